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
import { type CommitRecord, readCommitRecord } from './commit-record.ts';
import { frameFactsAt } from './frame-facts.ts';
import { kernelXxh64Into } from './kernel-buffer.ts';
import { alignUp, HEADER_REGION_BYTES, isZero, recordFootprint, SECTOR_BYTES, viewOf } from './layout.ts';
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
  readonly record: CommitRecord | undefined;
  /** Without a COMMIT record: its frames are all there all the same, and it removed nothing. */
  readonly framesComplete: boolean;
  readonly frames: readonly ScannedFrame[];
  /** Position of padding that is not zero; it costs nothing. */
  readonly paddingDamage: number | undefined;
}

interface FoundFrame {
  readonly header: RecordHeader;
  readonly position: number;
  readonly generation: number;
  readonly createdAtMs: number;
  readonly damage: string | undefined;
}

interface Group {
  readonly number: number;
  readonly generation: number;
  readonly start: number;
  end: number;
  readonly frames: FoundFrame[];
  commitHeader: RecordHeader | undefined;
  record: CommitRecord | undefined;
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
    frames: [],
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

function addRecord(reader: SegmentReader, group: Group, place: RecordPlace): void {
  const { header, at, depth } = place;
  // What follows the COMMIT record with the same number is a leftover of a torn commit.
  if (group.commitHeader !== undefined) return;
  group.end = alignUp(at + recordFootprint(header.length), SECTOR_BYTES);
  if (header.kind === RECORD_KIND.frame) {
    group.frames.push(readFrame(reader, group, place));
  } else if (header.kind === RECORD_KIND.commit) {
    group.commitHeader = header;
    const payload = reader.load(at, recordFootprint(header.length)) + RECORD_HEADER_BYTES;
    const bytes = reader.bytes.slice(payload, payload + header.length);
    group.record = tryReadCommitRecord(header, bytes);
    if (depth === 'verify') checkPadding(reader, group, place);
  }
}

/** Undefined when the payload is damaged. */
function tryReadCommitRecord(header: RecordHeader, payload: Uint8Array): CommitRecord | undefined {
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
): CommitRecord | undefined {
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

function readFrame(reader: SegmentReader, group: Group, place: RecordPlace): FoundFrame {
  const { header, at, depth } = place;
  const found = { header, position: at, generation: 0, createdAtMs: 0, damage: undefined };
  if (depth === 'skim') return found;
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
    if (!isThisOne) return { ...found, damage: 'the frame is not the one that was saved' };
    return { ...found, ...frameFactsAt(view, start + bodyEnd) };
  } catch (error) {
    return { ...found, damage: error instanceof Error ? error.message : 'the frame does not verify' };
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
  const { record, commitHeader, number, generation, start, end, paddingDamage } = group;
  const frames =
    record === undefined ? identifyFrames(reader, group.frames) : matchFrames(record, group.frames);
  const allGood = frames.every((frame) => frame.damage === undefined);
  const whole = record !== undefined && allGood && isWhole(group, record);
  const framesComplete =
    record === undefined &&
    allGood &&
    commitHeader !== undefined &&
    commitHeader.index === frames.length &&
    (commitHeader.flags & RECORD_FLAG_TOMBSTONES) === 0;
  const state = whole ? 'good' : acknowledged ? 'damaged' : 'torn';
  return { number, generation, start, end, state, record, framesComplete, frames, paddingDamage };
}

/** All frames that the COMMIT record counts are there, and are those that it was written with. */
function isWhole(group: Group, record: CommitRecord): boolean {
  if (group.frames.length !== record.frames.length) return false;
  const checksums = new Uint8Array(8 * group.frames.length);
  const view = viewOf(checksums);
  for (const [index, frame] of group.frames.entries()) {
    if (frame.header.index !== index) return false;
    view.setUint32(8 * index, frame.header.checksumLow, true);
    view.setUint32(8 * index + 4, frame.header.checksumHigh, true);
  }
  return xxh64(checksums) === record.framesChecksum;
}

/** The frames that the COMMIT record names, each with what was found of it. */
function matchFrames(record: CommitRecord, found: readonly FoundFrame[]): ScannedFrame[] {
  const byIndex = new Map(found.map((frame) => [frame.header.index, frame]));
  return record.frames.map(({ stream, sequence }, index) => {
    const frame = byIndex.get(index);
    if (frame === undefined) {
      const damage = 'the header of its record is damaged';
      return { stream, sequence, position: -1, length: 0, origin: -1, generation: 0, createdAtMs: 0, damage };
    }
    return scanned(frame, stream, sequence);
  });
}

/** Without the COMMIT record, a frame that verifies says itself what it is. */
function identifyFrames(reader: SegmentReader, found: readonly FoundFrame[]): ScannedFrame[] {
  return found.map((frame) => {
    if (frame.damage !== undefined) return scanned(frame, undefined, undefined);
    const payload = reader.load(frame.position, recordFootprint(frame.header.length)) + RECORD_HEADER_BYTES;
    try {
      const view = viewFrame(reader.bytes.subarray(payload, payload + frame.header.length));
      return scanned(frame, view.streamId, view.sequence);
    } catch (error) {
      const damage = error instanceof Error ? error.message : 'the frame does not verify';
      return scanned({ ...frame, damage }, undefined, undefined);
    }
  });
}

function scanned(frame: FoundFrame, stream: string | undefined, sequence: bigint | undefined): ScannedFrame {
  const { header, position, generation, createdAtMs, damage } = frame;
  const { length, origin } = header;
  return { stream, sequence, position, length, origin, generation, createdAtMs, damage };
}
