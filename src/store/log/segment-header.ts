/**
 * The header of a segment as bytes. It is held twice, and the second copy is written only when the first one is
 * durable, so whatever a crash does to one, the other is whole. See FORMAT.md.
 */
import { xxh64 } from '../../codec/xxh64.ts';
import {
  DIRECTORY_ID_BYTES,
  FORMAT_VERSION,
  getCounter,
  HEADER_COPY_BYTES,
  HEADER_REGION_BYTES,
  isZero,
  putCounter,
  SECTOR_BYTES,
  viewOf,
} from './layout.ts';

/** "TDMKSEGM" as little-endian words. */
const MAGIC_LOW = 0x4b4d4454;
const MAGIC_HIGH = 0x4d474553;

const AT = {
  magic: 0,
  version: 8,
  reserved: 12,
  directoryId: 16,
  segment: 32,
  size: 40,
  lap: 48,
  firstCommit: 56,
  generation: 64,
  previousIndex: 72,
  /** Within the first sector, like all the rest: a write of a copy cannot be torn between sectors. */
  checksum: SECTOR_BYTES - 8,
} as const;

export interface SegmentHeader {
  readonly directoryId: Uint8Array;
  /** The number in the file's name. */
  readonly segment: number;
  /** Bytes of the file, header region included. */
  readonly size: number;
  /** One more with each segment that is put to use, reused ones too; 0: never used. */
  readonly lap: number;
  /** Number of the first commit of this lap; all before it are durable, in earlier laps. */
  readonly firstCommit: number;
  readonly generation: number;
  /** Where in the segment of the lap before its INDEX record is; 0: it has none. */
  readonly previousIndex: number;
}

export interface SegmentHeaders {
  /** The copy with the greatest lap; undefined when both are damaged. */
  readonly header: SegmentHeader | undefined;
  /** Positions in the file of copies that do not verify, or behind which something stands. */
  readonly damaged: readonly number[];
  /** Format version of a copy that a later tidemark wrote. */
  readonly newerVersion: number | undefined;
  /** The copies differ: a change of the header was cut short. */
  readonly interrupted: boolean;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_COPY_BYTES);
  const view = viewOf(bytes);
  view.setUint32(AT.magic, MAGIC_LOW, true);
  view.setUint32(AT.magic + 4, MAGIC_HIGH, true);
  view.setUint32(AT.version, FORMAT_VERSION, true);
  bytes.set(header.directoryId, AT.directoryId);
  putCounter(view, AT.segment, header.segment);
  putCounter(view, AT.size, header.size);
  putCounter(view, AT.lap, header.lap);
  putCounter(view, AT.firstCommit, header.firstCommit);
  putCounter(view, AT.generation, header.generation);
  putCounter(view, AT.previousIndex, header.previousIndex);
  view.setBigUint64(AT.checksum, xxh64(bytes, 0, AT.checksum), true);
  return bytes;
}

/** Reads both copies from the header region. */
export function decodeSegmentHeaders(region: Uint8Array): SegmentHeaders {
  const damaged: number[] = [];
  const laps: number[] = [];
  let header: SegmentHeader | undefined;
  let newerVersion: number | undefined;
  for (let at = 0; at < HEADER_REGION_BYTES; at += HEADER_COPY_BYTES) {
    const bytes = region.subarray(at, at + HEADER_COPY_BYTES);
    const copy = decodeCopy(bytes);
    const isClean = isZero(bytes, SECTOR_BYTES, HEADER_COPY_BYTES);
    if (copy === undefined || !isClean) damaged.push(at);
    if (copy === undefined) continue;
    if (typeof copy === 'number') {
      newerVersion = copy;
    } else {
      laps.push(copy.lap);
      if (header === undefined || copy.lap > header.lap) header = copy;
    }
  }
  return { header, damaged, newerVersion, interrupted: laps.length === 2 && laps[0] !== laps[1] };
}

/** The header, the version of a format that is not ours, or undefined for a damaged copy. */
function decodeCopy(bytes: Uint8Array): SegmentHeader | number | undefined {
  if (bytes.length < HEADER_COPY_BYTES) return undefined;
  const view = viewOf(bytes);
  const good =
    view.getUint32(AT.magic, true) === MAGIC_LOW &&
    view.getUint32(AT.magic + 4, true) === MAGIC_HIGH &&
    view.getBigUint64(AT.checksum, true) === xxh64(bytes, 0, AT.checksum);
  if (!good) return undefined;
  const version = view.getUint32(AT.version, true);
  if (version !== FORMAT_VERSION) return version;
  return {
    directoryId: bytes.slice(AT.directoryId, AT.directoryId + DIRECTORY_ID_BYTES),
    segment: getCounter(view, AT.segment),
    size: getCounter(view, AT.size),
    lap: getCounter(view, AT.lap),
    firstCommit: getCounter(view, AT.firstCommit),
    generation: getCounter(view, AT.generation),
    previousIndex: getCounter(view, AT.previousIndex),
  };
}
