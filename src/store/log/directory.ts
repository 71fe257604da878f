/**
 * What lies in a directory, read without changing anything: the superblock and the headers of the segments.
 * Whether the directory is ours is decided here, before anything in it is touched.
 */
import { join, parse, resolve } from 'node:path';
import { TidemarkError } from '../../error.ts';
import {
  type FileHandle,
  type FileSystem,
  type OpenMode,
  readFully,
  systemErrorCode,
} from '../file-system.ts';
import type { Damage } from './damage.ts';
import {
  HEADER_REGION_BYTES,
  LOCK_FILE,
  LOCK_REPAIR_FILE,
  parseSegmentFileName,
  RECORD_ALIGN,
  SUPERBLOCK_BYTES,
  SUPERBLOCK_FILE,
  SUPERBLOCK_SLOT_BYTES,
  SUPERBLOCK_TEMPORARY_FILE,
} from './layout.ts';
import { decodeRecordHeader } from './record.ts';
import { decodeSegmentHeaders, type SegmentHeader } from './segment-header.ts';
import { SegmentReader, SKIM_WINDOW_BYTES } from './segment-reader.ts';
import { decodeSuperblock, type Superblock } from './superblock.ts';

export interface SegmentOnDisk {
  readonly id: number;
  readonly file: string;
  readonly handle: FileHandle;
  /** Bytes that the file has, and that the segment had when it was made. */
  readonly fileBytes: number;
  readonly size: number;
  /** Undefined when both copies are damaged. */
  readonly header: SegmentHeader | undefined;
  /** From the header, or else from the records; 0: never used, or nothing says. */
  readonly lap: number;
  /** Positions of header copies that do not verify. */
  readonly damagedCopies: readonly number[];
  /** A change of the header was cut short: only its first copy is of this lap. */
  readonly interrupted: boolean;
}

export interface DirectoryOnDisk {
  /** The newer good slot; undefined when both are damaged or the file is missing. */
  readonly superblock: Superblock | undefined;
  /** Which slot holds it. */
  readonly slot: number;
  /** Both slots are good, so no later generation can have been in one of them. */
  readonly isSuperblockWhole: boolean;
  readonly directoryId: Uint8Array;
  /** Ours, in no particular order. */
  readonly segments: readonly SegmentOnDisk[];
  /** Files that an interrupted preparation left behind, with names of ours. */
  readonly leftovers: readonly string[];
  /** Bytes of segments that do not belong here; they are left alone. */
  readonly foreignBytes: number;
  readonly damage: readonly Damage[];
}

interface SuperblockOnDisk {
  readonly superblock: Superblock | undefined;
  readonly slot: number;
  readonly isWhole: boolean;
  readonly damage: readonly Damage[];
}

/** Whether `directory` is one of ours, can become one (`'empty'`, also when it does not exist), or neither. */
export function classifyDirectory(fileSystem: FileSystem, directory: string): 'ours' | 'empty' | 'foreign' {
  const names = namesIn(fileSystem, directory);
  if (names === undefined) return 'foreign';
  const hasSegments = names.some((name) => parseSegmentFileName(name)?.temporary === false);
  if (!names.includes(SUPERBLOCK_FILE) && !hasSegments) {
    return names.every(isLeftover) ? 'empty' : 'foreign';
  }
  return names.some((name) => isOurs(fileSystem, directory, name)) ? 'ours' : 'foreign';
}

/** Undefined when the path leads to something that is no directory; that it leads nowhere is an error. */
function namesIn(fileSystem: FileSystem, directory: string): string[] | undefined {
  try {
    return fileSystem.list(directory) ?? [];
  } catch (error) {
    const { dir, base } = parse(resolve(directory));
    const isFile = systemErrorCode(error) === 'ENOTDIR' && fileSystem.list(dir)?.includes(base) === true;
    if (isFile) return undefined;
    throw error;
  }
}

function isLeftover(name: string): boolean {
  const known = [LOCK_FILE, LOCK_REPAIR_FILE, SUPERBLOCK_TEMPORARY_FILE];
  return known.includes(name) || parseSegmentFileName(name)?.temporary === true;
}

/** One good superblock slot or segment header is proof enough. */
function isOurs(fileSystem: FileSystem, directory: string, name: string): boolean {
  const isSuperblock = name === SUPERBLOCK_FILE;
  if (!isSuperblock && parseSegmentFileName(name)?.temporary !== false) return false;
  const bytes = readStart(fileSystem, join(directory, name), SUPERBLOCK_BYTES);
  if (!isSuperblock) {
    const headers = decodeSegmentHeaders(bytes.subarray(0, HEADER_REGION_BYTES));
    return headers.header !== undefined || headers.newerVersion !== undefined;
  }
  return [0, 1].some((slot) => decodeSuperblock(slotOf(bytes, slot)).state !== 'damaged');
}

export function notAStore(directory: string): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_NOT_A_STORE',
    `${directory} does not hold checkpoints of tidemark; give the directory of a store, or an empty one to begin in`,
  );
}

/**
 * Reads a directory of ours. The handles of its segments are open in `mode` and belong to the caller.
 * @throws ERR_TIDEMARK_UNSUPPORTED when a later version of tidemark wrote it
 */
export function readDirectory(fileSystem: FileSystem, directory: string, mode: OpenMode): DirectoryOnDisk {
  const names = fileSystem.list(directory) ?? [];
  const { superblock, slot, isWhole, damage } = readSuperblock(fileSystem, directory, names);
  const found: SegmentOnDisk[] = [];
  try {
    for (const name of names) {
      if (parseSegmentFileName(name)?.temporary !== false) continue;
      found.push(readSegment(fileSystem, directory, name, mode));
    }
  } catch (error) {
    for (const segment of found) fileSystem.close(segment.handle);
    throw error;
  }
  const newest = found.reduce<SegmentHeader | undefined>(
    (best, { header }) => (header !== undefined && header.lap >= (best?.lap ?? 0) ? header : best),
    undefined,
  );
  const directoryId = superblock?.directoryId ?? newest?.directoryId ?? new Uint8Array(16);
  const ours: SegmentOnDisk[] = [];
  const segmentDamage: Damage[] = [];
  let foreignBytes = 0;
  for (const segment of found) {
    if (segment.header !== undefined && !belongsHere(segment, segment.header, directoryId)) {
      const detail = 'the segment was made in another directory or under another name; it is left alone';
      segmentDamage.push({ kind: 'segment-foreign', file: segment.file, detail });
      foreignBytes += segment.fileBytes;
      fileSystem.close(segment.handle);
    } else {
      ours.push(segment);
      segmentDamage.push(...headerDamage(segment));
    }
  }
  return {
    superblock,
    slot,
    isSuperblockWhole: isWhole,
    directoryId,
    segments: ours,
    leftovers: names.filter(
      (name) => name === SUPERBLOCK_TEMPORARY_FILE || parseSegmentFileName(name)?.temporary,
    ),
    foreignBytes,
    damage: [...damage, ...segmentDamage],
  };
}

function readSuperblock(
  fileSystem: FileSystem,
  directory: string,
  names: readonly string[],
): SuperblockOnDisk {
  const file = SUPERBLOCK_FILE;
  if (!names.includes(file)) {
    const detail = 'the superblock is missing; the generation is taken from the segments';
    return { superblock: undefined, slot: 0, isWhole: false, damage: [{ kind: 'superblock', file, detail }] };
  }
  const bytes = readStart(fileSystem, join(directory, file), SUPERBLOCK_BYTES);
  const damage: Damage[] = [];
  let best: { superblock: Superblock; slot: number } | undefined;
  let isWhole = true;
  for (const slot of [0, 1]) {
    const found = decodeSuperblock(slotOf(bytes, slot));
    if (found.state === 'newer') throw newerFormat(directory, found.version);
    if (found.state === 'damaged' || !found.isClean) {
      const detail = `slot ${slot} of the superblock does not verify; the other one serves, or the segments`;
      damage.push({ kind: 'superblock', file, position: slot * SUPERBLOCK_SLOT_BYTES, detail });
    }
    if (found.state === 'damaged') isWhole = false;
    else if (best === undefined || found.superblock.counter > best.superblock.counter) {
      best = { superblock: found.superblock, slot };
    }
  }
  return { superblock: best?.superblock, slot: best?.slot ?? 0, isWhole, damage };
}

function readSegment(fileSystem: FileSystem, directory: string, file: string, mode: OpenMode): SegmentOnDisk {
  const id = parseSegmentFileName(file)?.id ?? 0;
  const handle = fileSystem.open(join(directory, file), mode);
  try {
    const fileBytes = fileSystem.size(handle);
    const region = new Uint8Array(HEADER_REGION_BYTES);
    readFully(fileSystem, handle, region, 0);
    const { header, damaged, newerVersion, interrupted } = decodeSegmentHeaders(region);
    if (newerVersion !== undefined) throw newerFormat(directory, newerVersion);
    const size = header?.size ?? fileBytes - (fileBytes % RECORD_ALIGN);
    const lap =
      header?.lap ?? lapOfRecords(new SegmentReader({ fileSystem, handle, size }, SKIM_WINDOW_BYTES));
    return { id, file, handle, fileBytes, size, header, lap, damagedCopies: damaged, interrupted };
  } catch (error) {
    fileSystem.close(handle);
    throw error;
  }
}

/** The greatest lap of any record: what the lost header said, if the segment was in use. */
function lapOfRecords(reader: SegmentReader): number {
  let lap = 0;
  let at = reader.nextCandidate(HEADER_REGION_BYTES);
  while (at < reader.size) {
    const index = reader.load(at, RECORD_ALIGN);
    lap = Math.max(lap, decodeRecordHeader(reader.bytes, reader.view, index, undefined)?.lap ?? 0);
    at = reader.nextCandidate(at + RECORD_ALIGN);
  }
  return lap;
}

function headerDamage(segment: SegmentOnDisk): Damage[] {
  const { file, header, size, fileBytes, damagedCopies } = segment;
  const damage: Damage[] = [];
  if (header === undefined) {
    const detail = 'both copies of the segment header are damaged; its records are read all the same';
    damage.push({ kind: 'segment-header', file, position: 0, detail });
  } else if (damagedCopies.length === 1) {
    const detail = 'one copy of the segment header is damaged; the other one serves';
    damage.push({ kind: 'segment-header', file, position: damagedCopies[0] as number, detail });
  }
  if (fileBytes < size) {
    const detail = `the file ends after ${fileBytes} of ${size} bytes`;
    damage.push({ kind: 'segment-truncated', file, position: fileBytes, detail });
  }
  return damage;
}

function slotOf(bytes: Uint8Array, slot: number): Uint8Array {
  return bytes.subarray(slot * SUPERBLOCK_SLOT_BYTES, (slot + 1) * SUPERBLOCK_SLOT_BYTES);
}

function readStart(fileSystem: FileSystem, path: string, length: number): Uint8Array {
  const handle = fileSystem.open(path, 'read');
  try {
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, readFully(fileSystem, handle, bytes, 0));
  } finally {
    fileSystem.close(handle);
  }
}

function newerFormat(directory: string, version: number): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_UNSUPPORTED',
    `${directory} has format version ${version}, which a later tidemark wrote; open it with that one`,
  );
}

function belongsHere(segment: SegmentOnDisk, header: SegmentHeader, directoryId: Uint8Array): boolean {
  return header.segment === segment.id && header.directoryId.every((byte, i) => byte === directoryId[i]);
}
