/**
 * The INDEX record of a sealed segment: all that opening needs to know of its commits, so that they are not read. It is
 * written behind the last commit when the next segment is put to use, whose header says where it is, and at a clean
 * close, when the superblock does. See FORMAT.md.
 */
import { ByteCursor } from '../../codec/cursor.ts';
import { xxh64 } from '../../codec/xxh64.ts';
import type { CheckpointLocation } from './checkpoint-index.ts';
import {
  type Frontiers,
  frontiersBytesMax,
  readFrontiers,
  readTombstones,
  type Tombstone,
  tombstoneBytesMax,
  writeFrontiers,
  writeText,
  writeTombstones,
} from './commit-record.ts';
import { INDEX_ENTRY_BYTES, StoredStreams, writeIndexEntry } from './index-entry.ts';
import { kernelXxh64 } from './kernel-buffer.ts';
import {
  alignUp,
  getCounter,
  putCounter,
  RECORD_ALIGN,
  recordFootprint,
  SECTOR_BYTES,
  viewOf,
} from './layout.ts';
import {
  decodeRecordHeader,
  finishRecordHeader,
  RECORD_HEADER_BYTES,
  RECORD_KIND,
  RECORD_PAYLOAD_CHECKSUM,
} from './record.ts';
import type { SegmentReader } from './segment-reader.ts';

export interface IndexedStream {
  readonly stream: string;
  readonly entries: readonly CheckpointLocation[];
}

export interface SegmentIndex {
  readonly lastCommit: number;
  /** Where the next commit could go. */
  readonly end: number;
  /** As the last commit says it. */
  readonly tailLap: number;
  readonly settledCommit: number;
  /** The last commit, up to the last one of the segment, in which compaction carried frames; 0: none. */
  readonly carryCommit: number;
  /** As of the last commit. */
  readonly frontiers: Frontiers;
  /** Of all commits of the segment. */
  readonly tombstones: readonly Tombstone[];
}

export interface SegmentIndexToWrite extends SegmentIndex {
  readonly lap: number;
  /** Of the engine that writes it. */
  readonly generation: number;
  /** What lives in the segment when it is sealed. */
  readonly streams: Iterable<IndexedStream>;
}

export interface FoundSegmentIndex extends SegmentIndex {
  readonly generation: number;
  /** To be gone through once, before the reader is used for anything else. */
  readonly streams: StoredStreams;
}

const AT = {
  lastCommit: 0,
  end: 8,
  tailLap: 16,
  settledCommit: 24,
  carryCommit: 32,
  streams: 40,
  frontiers: 44,
  tombstones: 48,
  entryBytes: 52,
} as const;
const FIXED_BYTES = 56;

/** What an index takes besides the frontiers, tombstones and streams in it. */
export const SEGMENT_INDEX_FIXED_BYTES: number = alignUp(
  RECORD_HEADER_BYTES + FIXED_BYTES + SECTOR_BYTES,
  SECTOR_BYTES,
);

/** At most what the index of a segment grows by with a frame of `stream`. */
export function indexFrameBytesMax(stream: string): number {
  return indexEntryBytesMax(3 * stream.length);
}

/** The same where the bytes of the name's UTF-8 are known. */
export function indexEntryBytesMax(nameBytes: number): number {
  return INDEX_ENTRY_BYTES + 8 + nameBytes;
}

/** The record, as whole sectors. */
export function encodeSegmentIndex(index: SegmentIndexToWrite): Uint8Array {
  const streams = [...index.streams];
  let bytes = RECORD_HEADER_BYTES + FIXED_BYTES + frontiersBytesMax(index.frontiers);
  for (const tombstone of index.tombstones) bytes += tombstoneBytesMax(tombstone);
  for (const { stream, entries } of streams)
    bytes += 8 + 3 * stream.length + INDEX_ENTRY_BYTES * entries.length;
  const sectors = new Uint8Array(alignUp(bytes, SECTOR_BYTES));
  const view = viewOf(sectors);
  const start = RECORD_HEADER_BYTES;
  putCounter(view, start + AT.lastCommit, index.lastCommit);
  putCounter(view, start + AT.end, index.end);
  putCounter(view, start + AT.tailLap, index.tailLap);
  putCounter(view, start + AT.settledCommit, index.settledCommit);
  putCounter(view, start + AT.carryCommit, index.carryCommit);
  view.setUint32(start + AT.streams, streams.length, true);
  view.setUint32(start + AT.frontiers, index.frontiers.size, true);
  view.setUint32(start + AT.tombstones, index.tombstones.length, true);
  view.setUint32(start + AT.entryBytes, INDEX_ENTRY_BYTES, true);
  let at = writeFrontiers(sectors, view, start + FIXED_BYTES, index.frontiers);
  at = writeTombstones(sectors, view, at, index.tombstones);
  for (const { stream, entries } of streams) {
    view.setUint32(at, entries.length, true);
    at = writeText(sectors, view, at + 4, stream);
    for (const entry of entries) {
      writeIndexEntry(view, at, entry);
      at += INDEX_ENTRY_BYTES;
    }
  }
  const length = at - RECORD_HEADER_BYTES;
  view.setBigUint64(RECORD_PAYLOAD_CHECKSUM, xxh64(sectors, RECORD_HEADER_BYTES, at), true);
  finishRecordHeader(sectors, view, 0, {
    kind: RECORD_KIND.index,
    flags: 0,
    length,
    index: streams.length,
    lap: index.lap,
    commit: index.lastCommit,
    origin: index.lastCommit,
    generation: index.generation,
  });
  return sectors.subarray(0, alignUp(at, SECTOR_BYTES));
}

/** The INDEX record of lap `lap` at `position`; undefined when none is there that verifies. */
export function readSegmentIndex(
  reader: SegmentReader,
  { position, lap }: { readonly position: number; readonly lap: number },
): FoundSegmentIndex | undefined {
  const { size } = reader;
  if (position % RECORD_ALIGN !== 0 || position + RECORD_HEADER_BYTES > size) return undefined;
  const found = reader.load(position, RECORD_HEADER_BYTES);
  const header = decodeRecordHeader(reader.bytes, reader.view, found, lap);
  if (header === undefined || header.kind !== RECORD_KIND.index || header.length < FIXED_BYTES)
    return undefined;
  if (position + recordFootprint(header.length) > size) return undefined;
  const start = reader.load(position, RECORD_HEADER_BYTES + header.length) + RECORD_HEADER_BYTES;
  const payload = reader.bytes.subarray(start, start + header.length);
  const checksum = (BigInt(header.payloadHigh) << 32n) | BigInt(header.payloadLow);
  if (kernelXxh64(payload) !== checksum) return undefined;
  const view = viewOf(payload);
  if (view.getUint32(AT.entryBytes, true) !== INDEX_ENTRY_BYTES) return undefined;
  return { ...readIndex(payload, view), generation: header.generation };
}

function readIndex(payload: Uint8Array, view: DataView): SegmentIndex & Pick<FoundSegmentIndex, 'streams'> {
  const cursor = new ByteCursor({
    bytes: payload,
    start: FIXED_BYTES,
    end: payload.length,
    code: 'ERR_TIDEMARK_DESERIALIZATION',
  });
  const frontiers = readFrontiers(cursor, view.getUint32(AT.frontiers, true));
  const tombstones = readTombstones(cursor, view, view.getUint32(AT.tombstones, true));
  const streams = view.getUint32(AT.streams, true);
  return {
    lastCommit: getCounter(view, AT.lastCommit),
    end: getCounter(view, AT.end),
    tailLap: getCounter(view, AT.tailLap),
    settledCommit: getCounter(view, AT.settledCommit),
    carryCommit: getCounter(view, AT.carryCommit),
    frontiers,
    tombstones,
    streams: new StoredStreams(payload, view, { start: cursor.at, streams }),
  };
}
