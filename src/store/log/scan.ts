/**
 * From the bytes of one segment to the commits in it: what is there, what is damaged, what was never whole.
 *
 * Only records of the segment's lap count, with commit numbers that grow; everything else is stale or
 * unwritten. A commit with number n is *acknowledged* when anything of a later one exists, because the
 * writer begins a commit only when the one before it is durable: a valid header with a greater number, or
 * `acknowledged` as told by later segments and the superblock. What is missing of an acknowledged commit is
 * damage. The last commit, if nothing says that it was acknowledged, is believed when it is whole and is a
 * torn tail when it is not.
 *
 * No state outlives a call: opening, verifying, listing and compacting all read segments through this.
 */
import { FOOTER_CHECKSUM, FRAME_FOOTER_BYTES, verifyFrameAt } from '../../codec/frame.ts';
import { viewFrame } from '../../codec/view.ts';
import { xxh64 } from '../../codec/xxh64.ts';
import { type FoundCommitRecord, readCommitRecord } from './commit-record.ts';
import { type FrameFacts, frameFactsAt } from './frame-facts.ts';
import { FrameRows } from './frame-rows.ts';
import { kernelGoodFrames, kernelXxh64Into } from './kernel-buffer.ts';
import {
  alignUp,
  HEADER_REGION_BYTES,
  isZero,
  RECORD_ALIGN,
  recordFootprint,
  SECTOR_BYTES,
  viewOf,
} from './layout.ts';
import {
  decodeRecordHeader,
  RECORD_FLAG_TOMBSTONES,
  RECORD_HEADER_BYTES,
  RECORD_KIND,
  type RecordHeader,
} from './record.ts';
import type { SegmentReader } from './segment-reader.ts';

export interface SegmentExpectation {
  readonly lap: number;
  /** Number of its first commit; 0 when its header is lost. */
  readonly firstCommit: number;
  /** Commits up to this one are known to have been durable. */
  readonly acknowledged: number;
}

/** `verify` reads every byte; `skim` believes frames whose headers are right. */
export type ScanDepth = 'verify' | 'skim';

export interface ScannedFrame {
  /** Undefined when neither the COMMIT record nor the frame itself says it. */
  readonly stream: string | undefined;
  readonly sequence: bigint | undefined;
  /** Position of its record in the segment; -1 when that is not known. */
  readonly position: number;
  readonly length: number;
  readonly origin: number;
  /** Generation and time of the checkpoint itself; 0 when skimmed. */
  readonly generation: number;
  readonly createdAtMs: number;
  /** Why it cannot be believed; undefined: it can. */
  readonly damage: string | undefined;
}

export interface ScannedCommit {
  readonly number: number;
  readonly generation: number;
  /** Where it begins and where the next one can. */
  readonly start: number;
  readonly end: number;
  /** `good`: all of it is there. `damaged`: acknowledged, and not all of it is. `torn`: never acknowledged. */
  readonly state: 'good' | 'damaged' | 'torn';
  /** Undefined when the COMMIT record is damaged. */
  readonly record: FoundCommitRecord | undefined;
  /** Without a COMMIT record: its frames are all there all the same, and it removed nothing. */
  readonly framesComplete: boolean;
  /** Of a good commit: what was found of the frames that `record` names, in its order. */
  readonly rows: FrameRows;
  readonly frames: readonly ScannedFrame[];
  /** Position of padding that is not zero; it costs nothing. */
  readonly paddingDamage: number | undefined;
}

interface Group {
  readonly number: number;
  readonly generation: number;
  readonly start: number;
  end: number;
  readonly frames: FrameRows;
  commitHeader: RecordHeader | undefined;
  record: FoundCommitRecord | undefined;
  paddingDamage: number | undefined;
}

export function* scanSegment(
  reader: SegmentReader,
  expected: SegmentExpectation,
  depth: ScanDepth,
): Generator<ScannedCommit, void> {
  let group: Group | undefined;
  let last = { number: expected.firstCommit - 1, generation: 0 };
  for (let at = reader.nextCandidate(HEADER_REGION_BYTES); at < reader.size; ) {
    const index = reader.load(at, RECORD_HEADER_BYTES);
    const header = decodeRecordHeader(reader.bytes, reader.view, index, expected.lap, kernelXxh64Into);
    const next = header === undefined ? Number.POSITIVE_INFINITY : at + recordFootprint(header.length);
    if (header?.kind === RECORD_KIND.index && next <= reader.size) {
      // It says of the commits before it what these say themselves.
      at = reader.nextCandidate(next);
      continue;
    }
    if (header === undefined || next > reader.size || isStale(header, group ?? last, group !== undefined)) {
      at = reader.nextCandidate(at + RECORD_HEADER_BYTES);
      continue;
    }
    if (group === undefined || header.commit !== group.number || header.generation !== group.generation) {
      // The same number in a later generation takes the place of a commit that was torn.
      if (group !== undefined && header.commit > group.number) {
        last = group;
        yield closeGroup(reader, group, true);
      }
      group = newGroup(header, at);
    }
    const end = addGoodFrames(reader, group, { header, at, depth });
    if (end > at) {
      at = reader.nextCandidate(end);
      continue;
    }
    addRecord(reader, group, { header, at, depth });
    at = reader.nextCandidate(header.kind === RECORD_KIND.commit ? alignUp(next, SECTOR_BYTES) : next);
  }
  if (group !== undefined) yield closeGroup(reader, group, group.number <= expected.acknowledged);
}

/** A leftover of a commit that was torn and whose number was given again, or something that is no commit. */
function isStale(header: RecordHeader, last: { number: number; generation: number }, open: boolean): boolean {
  if (header.commit <= 0 || header.generation < last.generation) return true;
  return open ? header.commit < last.number : header.commit <= last.number;
}

function newGroup(header: RecordHeader, at: number): Group {
  return {
    number: header.commit,
    generation: header.generation,
    start: at,
    end: at,
    frames: new FrameRows(),
    commitHeader: undefined,
    record: undefined,
    paddingDamage: undefined,
  };
}

interface RecordPlace {
  readonly header: RecordHeader;
  readonly at: number;
  readonly depth: ScanDepth;
}

/** Adds the good frames that stand one behind the other from `at` on, and returns where they end: at `at` if there is none. */
function addGoodFrames(reader: SegmentReader, group: Group, { header, at, depth }: RecordPlace): number {
  if (depth === 'skim' || header.kind !== RECORD_KIND.frame || group.commitHeader !== undefined) return at;
  const start = reader.load(at, RECORD_HEADER_BYTES);
  const place = { at: start, end: reader.loadedEnd, position: at / RECORD_ALIGN };
  const rows = kernelGoodFrames(reader.bytes, place);
  if (rows.length === 0) return at;
  const { frames } = group;
  frames.addGood(rows);
  const last = frames.count - 1;
  const end = frames.position(last) + recordFootprint(frames.length(last));
  group.end = alignUp(end, SECTOR_BYTES);
  return end;
}

function addRecord(reader: SegmentReader, group: Group, place: RecordPlace): void {
  const { header, at, depth } = place;
  // What follows the COMMIT record with the same number is a leftover of a torn commit.
  if (group.commitHeader !== undefined) return;
  group.end = alignUp(at + recordFootprint(header.length), SECTOR_BYTES);
  if (header.kind === RECORD_KIND.frame) {
    group.frames.add(header, at, readFrame(reader, group, place));
  } else if (header.kind === RECORD_KIND.commit) {
    group.commitHeader = header;
    const payload = reader.load(at, recordFootprint(header.length)) + RECORD_HEADER_BYTES;
    const bytes = reader.bytes.slice(payload, payload + header.length);
    group.record = tryReadCommitRecord(header, bytes);
    if (depth === 'verify') checkPadding(reader, group, place);
  }
}

/** Undefined when the payload is damaged. */
function tryReadCommitRecord(header: RecordHeader, payload: Uint8Array): FoundCommitRecord | undefined {
  if (!checksumMatches(header, payload)) return undefined;
  try {
    return readCommitRecord(payload);
  } catch {
    // Its checksum was right, so it is of a form that this format does not have: not to be believed.
    return undefined;
  }
}

/**
 * The COMMIT record that fills `bytes`, up to padding; undefined when that is not the one of the commit `number` in
 * the lap `lap`, or is damaged.
 */
export function commitRecordIn(
  bytes: Uint8Array,
  { lap, number }: { readonly lap: number; readonly number: number },
): FoundCommitRecord | undefined {
  const header = decodeRecordHeader(bytes, viewOf(bytes), 0, lap);
  if (header?.kind !== RECORD_KIND.commit || header.commit !== number) return undefined;
  return tryReadCommitRecord(
    header,
    bytes.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + header.length),
  );
}

function checksumMatches(header: RecordHeader, payload: Uint8Array): boolean {
  const expected = (BigInt(header.payloadHigh) << 32n) | BigInt(header.payloadLow);
  return xxh64(payload) === expected;
}

/** Nothing when it is skimmed. */
function readFrame(
  reader: SegmentReader,
  group: Group,
  place: RecordPlace,
): FrameFacts | { readonly damage: string } | undefined {
  const { header, at, depth } = place;
  if (depth === 'skim') return undefined;
  const start = reader.load(at, recordFootprint(header.length)) + RECORD_HEADER_BYTES;
  checkPadding(reader, group, place);
  const { bytes, view } = reader;
  const { length } = header;
  try {
    const { bodyEnd } = verifyFrameAt(bytes, view, { start, length, sumInto: kernelXxh64Into });
    const checksum = start + length - FRAME_FOOTER_BYTES + FOOTER_CHECKSUM;
    const isThisOne =
      view.getUint32(checksum, true) === header.payloadLow &&
      view.getUint32(checksum + 4, true) === header.payloadHigh;
    if (!isThisOne) return { damage: 'the frame is not the one that was saved' };
    return frameFactsAt(view, start + bodyEnd);
  } catch (error) {
    return { damage: error instanceof Error ? error.message : 'the frame does not verify' };
  }
}

function checkPadding(reader: SegmentReader, group: Group, place: RecordPlace): void {
  const { header, at } = place;
  const end = at + recordFootprint(header.length);
  const paddedEnd = header.kind === RECORD_KIND.commit ? alignUp(end, SECTOR_BYTES) : end;
  const index = reader.load(at, Math.min(paddedEnd, reader.size) - at);
  const from = index + RECORD_HEADER_BYTES + header.length;
  const to = index + Math.min(paddedEnd, reader.size) - at;
  if (!isZero(reader.bytes, from, to)) group.paddingDamage ??= at + RECORD_HEADER_BYTES + header.length;
}

function closeGroup(reader: SegmentReader, group: Group, acknowledged: boolean): ScannedCommit {
  const { record, commitHeader, number, generation, start, end, paddingDamage, frames: rows } = group;
  const whole = record !== undefined && !rows.hasDamage && isWhole(group, record);
  const state = whole ? 'good' : acknowledged ? 'damaged' : 'torn';
  const commit = { number, generation, start, end, state, record, rows, paddingDamage } as const;
  if (record === undefined) {
    const frames = identifyFrames(reader, rows);
    const framesComplete =
      frames.every((frame) => frame.damage === undefined) &&
      commitHeader !== undefined &&
      commitHeader.index === frames.length &&
      (commitHeader.flags & RECORD_FLAG_TOMBSTONES) === 0;
    return { ...commit, framesComplete, frames };
  }
  let frames: ScannedFrame[] | undefined;
  return {
    ...commit,
    framesComplete: false,
    get frames() {
      frames ??= matchFrames(record, rows);
      return frames;
    },
  };
}

/** All frames that the COMMIT record counts are there, and are those that it was written with. */
function isWhole({ frames }: Group, record: FoundCommitRecord): boolean {
  if (frames.count !== record.frames.count) return false;
  for (let i = 0; i < frames.count; i++) if (frames.index(i) !== i) return false;
  const checksums = frames.headerChecksums();
  return xxh64(checksums) === record.framesChecksum;
}

/** The frames that the COMMIT record names, each with what was found of it. */
function matchFrames(record: FoundCommitRecord, found: FrameRows): ScannedFrame[] {
  const byIndex = new Map<number, number>();
  for (let i = 0; i < found.count; i++) byIndex.set(found.index(i), i);
  return record.frames.decode().map(({ stream, sequence }, index) => {
    const i = byIndex.get(index);
    if (i === undefined) {
      const damage = 'the header of its record is damaged';
      return { stream, sequence, position: -1, length: 0, origin: -1, generation: 0, createdAtMs: 0, damage };
    }
    return { stream, sequence, ...frameAt(found, i) };
  });
}

/** Without the COMMIT record, a frame that verifies says itself what it is. */
function identifyFrames(reader: SegmentReader, found: FrameRows): ScannedFrame[] {
  return Array.from({ length: found.count }, (_, i) => {
    const frame = { stream: undefined, sequence: undefined, ...frameAt(found, i) };
    if (frame.damage !== undefined) return frame;
    const payload = reader.load(frame.position, recordFootprint(frame.length)) + RECORD_HEADER_BYTES;
    try {
      const view = viewFrame(reader.bytes.subarray(payload, payload + frame.length));
      return { ...frame, stream: view.streamId, sequence: view.sequence };
    } catch (error) {
      return { ...frame, damage: error instanceof Error ? error.message : 'the frame does not verify' };
    }
  });
}

function frameAt(found: FrameRows, i: number): Omit<ScannedFrame, 'stream' | 'sequence'> {
  return {
    position: found.position(i),
    length: found.length(i),
    origin: found.origin(i),
    generation: found.generation(i),
    createdAtMs: found.createdAtMs(i),
    damage: found.damage(i),
  };
}
