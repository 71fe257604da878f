/**
 * Frees the oldest segment by carrying forward what is still needed of it, a bounded step at a time.
 *
 * Segments are freed strictly from the oldest on. So when a segment is freed, no older one is left, and the
 * tombstones in it have nothing more to remove: what they removed was in older segments or earlier in the
 * same one. They are dropped with it.
 * Order: frames are carried and durable before their old records count as free, because the tail that a
 * commit declares is computed from an index that changes only after the sync.
 * Owned by the thread that writes the log.
 */
import { TidemarkError } from '../../error.ts';
import type { FileSystem } from '../file-system.ts';
import type { CheckpointLocation } from './checkpoint-index.ts';
import { type FoundCommitRecord, type Frontiers, type Origin, originBytesMax } from './commit-record.ts';
import { readFrameInto, type SegmentAccess } from './frame-reader.ts';
import { recordFootprint, segmentFileName } from './layout.ts';
import type { Append, IndexedFrame, LogWriter } from './log-writer.ts';
import { commitRecordIn, type ScannedCommit, scanSegment } from './scan.ts';
import { SegmentReader, SKIM_WINDOW_BYTES } from './segment-reader.ts';
import type { Segment } from './segments.ts';

/** `idle`: nothing to compact. `stuck`: no room to carry to. */
export type CompactionStep = 'moved' | 'idle' | 'stuck';

const STEP_FRAMES_MAX = 1024;
const STAGING_BYTES = 2 ** 20;
/** More, which only a huge frame needs, is not kept. */
const STAGING_BYTES_MAX = 2 ** 23;
/** Up to so many streams, to look for what lives in a segment takes a few milliseconds. */
const INDEXED_STREAMS_MAX = 65_536;

/** Origins may add this share to what a step carries. */
const ORIGIN_SHARE = 1 / 8;
const ORIGIN_BYTES_LEAST = 256;
/** What a frame's entries in the COMMIT record and in the segment's index take, with a name of usual length. */
const ENTRY_BYTES = 128;

/**
 * The room that a record of `bytes` needs when everything is carried into segments of `segmentBytes`, with what is
 * lost at their ends because a large one does not fit there. Compaction can always go around as long as
 * the newest checkpoints together do not weigh more than the disk without its reserve.
 */
export function carriedWeight(bytes: number, segmentBytes: number): number {
  const lostAtEnds = Math.min(1, (2 * bytes) / segmentBytes);
  return bytes * (1 + ORIGIN_SHARE + lostAtEnds) + ENTRY_BYTES;
}

interface Candidate {
  readonly stream: string;
  readonly sequence: bigint;
  readonly position: number;
  /** Frontiers of the commit that first saved it; undefined: not known any more. */
  readonly frontiers: () => Frontiers | undefined;
}

interface Cursor {
  readonly lap: number;
  readonly commits: Generator<ScannedCommit, void>;
  readonly candidates: Candidate[];
  next: number;
}

interface Carry {
  readonly frames: IndexedFrame[];
  readonly origins: Map<number, Origin>;
  /** How many candidates it used up. */
  taken: number;
}

export interface CompactorInput {
  readonly fileSystem: FileSystem;
  readonly writer: LogWriter;
  readonly access: SegmentAccess;
  /** Above this many live bytes only the newest checkpoint of a stream is carried. */
  readonly pressureBytes: number;
}

export class Compactor {
  private readonly input: CompactorInput;
  private cursor: Cursor | undefined;
  /** Per stream, the least sequence that was given up and may still be in a segment. */
  private readonly givenUp = new Map<string, bigint>();
  /** What a step carries, each frame aligned as its record is; fresh memory for each would have to be filled with zeros first. */
  private staging = new Uint8Array(0);

  constructor(input: CompactorInput) {
    this.input = input;
  }

  /** Carries up to `bytesMax`, or one frame. `newestOnly` gives up every checkpoint but the newest of its stream. */
  step(newestOnly: boolean, bytesMax: number): CompactionStep {
    const { writer } = this.input;
    const { live } = writer.segments;
    const victim = live[0];
    if (victim === undefined || live.length < 2) return 'idle';
    if (writer.neededTailLap > victim.lap) return this.declareTail();
    if (this.cursor?.lap !== victim.lap) this.cursor = this.cursorOf(victim);
    const { cursor } = this;
    const carry = this.collect(victim, cursor, { newestOnly, bytesMax });
    if (carry.frames.length > 0) {
      const step = this.carry(cursor, carry);
      if (this.staging.length > STAGING_BYTES_MAX) this.staging = new Uint8Array(0);
      return step;
    }
    cursor.next += carry.taken;
    this.giveUpUnreadable(victim);
    return writer.neededTailLap > victim.lap ? this.declareTail() : 'moved';
  }

  /**
   * Whether checkpoints of the stream, those below `below` or any, were given up: gone from the index, but until their
   * segment is freed they would be back after a restart. A removal must say so too.
   */
  hasGivenUp(stream: string, below: bigint | undefined): boolean {
    const least = this.givenUp.get(stream);
    return least !== undefined && (below === undefined || least < below);
  }

  /** A durable tombstone says it: what is left of the stream is not below `below`. */
  noteRemoved(stream: string, below: bigint | undefined): void {
    const least = this.givenUp.get(stream);
    if (below === undefined) this.givenUp.delete(stream);
    else if (least !== undefined && least < below) this.givenUp.set(stream, below);
  }

  /** A commit without frames, only to say which segments are free. */
  private declareTail(): CompactionStep {
    const { writer } = this.input;
    const append = { frames: [] };
    const bytes = writer.bytesOf(append);
    if (writer.segments.room < bytes && !writer.activate(bytes, true)) return 'stuck';
    return writer.append(append) ? 'moved' : this.withoutBlocks(append);
  }

  private cursorOf(victim: Segment): Cursor {
    const { handle, size, lap } = victim;
    const candidates = this.indexedCandidates(victim);
    if (candidates !== undefined) return { lap, commits: noCommits(), candidates, next: 0 };
    const { fileSystem } = this.input;
    const reader = new SegmentReader({ fileSystem, handle, size }, SKIM_WINDOW_BYTES);
    const expected = { lap, firstCommit: 0, acknowledged: this.input.writer.lastCommit };
    return { lap, commits: scanSegment(reader, expected, 'skim'), candidates: [], next: 0 };
  }

  private collect(
    victim: Segment,
    cursor: Cursor,
    { newestOnly, bytesMax }: { readonly newestOnly: boolean; readonly bytesMax: number },
  ): Carry {
    const carry: Carry = { frames: [], origins: new Map(), taken: 0 };
    let bytes = 0;
    while (bytes < bytesMax && carry.frames.length < STEP_FRAMES_MAX) {
      const candidate = this.candidate(cursor, carry);
      if (candidate === undefined) break;
      const place = this.needed(victim, candidate, newestOnly);
      if (place !== undefined) {
        const footprint = recordFootprint(place.length);
        if (carry.frames.length > 0 && bytes + footprint > bytesMax) break;
        const frame = this.readFrame(candidate.stream, place, bytes);
        if (frame !== undefined) {
          bytes += footprint;
          carry.frames.push(frame);
          this.addOrigin(carry, candidate, place);
        }
      }
      carry.taken += 1;
    }
    return carry;
  }

  /** The next candidate behind those that `carry` has taken; undefined at the end of the segment. */
  private candidate(cursor: Cursor, carry: Carry): Candidate | undefined {
    while (cursor.next + carry.taken >= cursor.candidates.length) {
      const { value: commit } = cursor.commits.next();
      if (commit === undefined) return undefined;
      // What was used up is forgotten, so that a cursor never holds more than a step and a commit.
      cursor.candidates.splice(0, cursor.next);
      cursor.next = 0;
      cursor.candidates.push(...this.candidatesOf(commit));
    }
    return cursor.candidates[cursor.next + carry.taken];
  }

  private *candidatesOf(commit: ScannedCommit): Generator<Candidate> {
    if (commit.state === 'torn') return;
    for (const { stream, sequence, position, origin } of commit.frames) {
      if (stream === undefined || sequence === undefined || position < 0) continue;
      const frontiers = (): Frontiers | undefined => frontiersIn(commit.record, commit.number, origin);
      yield { stream, sequence, position, frontiers };
    }
  }

  /**
   * What lives in the segment by the index, in the order in which it lies. Undefined where it is not known in which
   * commits that is, or there are so many streams that to look at all of them would hold up commits.
   */
  private indexedCandidates(victim: Segment): Candidate[] | undefined {
    const { index, places } = this.input.writer;
    const from = places.knownFrom(victim.id);
    if (from === undefined || index.streamCount > INDEXED_STREAMS_MAX) return undefined;
    const candidates: Candidate[] = [];
    const records = this.recordsOf(victim);
    for (const { stream, entries } of index.streamsIn(victim.id)) {
      for (const { sequence, position, origin } of entries) {
        if (position < from) return undefined;
        candidates.push({ stream, sequence, position, frontiers: () => records(position, origin) });
      }
    }
    return candidates.sort((a, b) => a.position - b.position);
  }

  /** Reads the COMMIT record that a record belongs to; the last one is remembered, since neighbours share it. */
  private recordsOf({ id, lap }: Segment): (position: number, origin: number) => Frontiers | undefined {
    const { access, writer } = this.input;
    let last: { readonly number: number; readonly record: FoundCommitRecord | undefined } | undefined;
    return (position, origin) => {
      const place = writer.places.at(id, position);
      if (place === undefined) return undefined;
      const { number, recordAt, end } = place;
      if (last?.number !== number) {
        const bytes = new Uint8Array(end - recordAt);
        access.read(id, bytes, recordAt);
        last = { number, record: commitRecordIn(bytes, { lap, number }) };
      }
      return frontiersIn(last.record, number, origin);
    };
  }

  /** Where the candidate is, if it is still to be kept. */
  private needed(
    victim: Segment,
    { stream, sequence, position }: Candidate,
    newestOnly: boolean,
  ): CheckpointLocation | undefined {
    const { index } = this.input.writer;
    const place = index.find(stream, sequence);
    if (place === undefined || place.segment !== victim.id || place.position !== position) return undefined;
    const isNewest = index.newest(stream)?.sequence === sequence;
    if (isNewest || (!newestOnly && index.liveBytes <= this.input.pressureBytes)) return place;
    index.removeAt(stream, victim.id, position);
    const least = this.givenUp.get(stream);
    if (least === undefined || sequence < least) this.givenUp.set(stream, sequence);
    return undefined;
  }

  /** Into the staging memory at `at`, where nothing of this step is yet. */
  private readFrame(stream: string, place: CheckpointLocation, at: number): IndexedFrame | undefined {
    const { sequence, origin, generation, length } = place;
    // What is staged already is still referred to where it is.
    const { staging } = this;
    if (at + length > staging.length)
      this.staging = new Uint8Array(Math.max(STAGING_BYTES, 2 * staging.length, at + length));
    const bytes = this.staging.subarray(at, at + length);
    try {
      readFrameInto(this.input.access, place, bytes);
      return { stream, sequence, bytes, origin, generation };
    } catch (error) {
      this.giveUp(stream, place, error);
      return undefined;
    }
  }

  /**
   * An older checkpoint that turned bad is dropped. The newest one must not be: without its record nothing would
   * say at the next opening that the stream fell back, and the events behind it would not be read again.
   */
  private giveUp(stream: string, place: { segment: number; position: number }, cause: unknown): void {
    const { writer } = this.input;
    const newest = writer.index.newest(stream);
    if (newest?.segment === place.segment && newest.position === place.position) {
      const where = segmentFileName(place.segment);
      throw writer.fail(cause, `the newest checkpoint of ${JSON.stringify(stream)} is damaged in ${where}`);
    }
    writer.index.removeAt(stream, place.segment, place.position);
  }

  /** What the index has in the segment, but the scan did not find any more. */
  private giveUpUnreadable(victim: Segment): void {
    const { index } = this.input.writer;
    if (index.segmentBytes(victim.id) === 0) return;
    const damaged = new TidemarkError('ERR_TIDEMARK_DAMAGED_FRAME', 'its record cannot be found any more');
    for (const { stream, entries } of index.streamsIn(victim.id)) {
      for (const place of entries) this.giveUp(stream, place, damaged);
    }
  }

  private addOrigin(carry: Carry, candidate: Candidate, place: CheckpointLocation): void {
    const frontiers = candidate.frontiers();
    if (frontiers !== undefined) carry.origins.set(place.origin, { commit: place.origin, frontiers });
  }

  /** Writes as many of the frames as the head takes, or all of them to a new head. */
  private carry(cursor: Cursor, carry: Carry): CompactionStep {
    const { writer } = this.input;
    const all = carry.frames.length;
    // A few frames more in an old head are not worth a commit.
    for (let count = all; 4 * count >= all && count > 0; count = Math.floor(count / 2)) {
      const append = firstOf(carry, count);
      if (writer.bytesOf(append) <= writer.segments.room) return this.write(cursor, carry, append);
    }
    for (let count = all; count > 0; count = Math.floor(count / 2)) {
      const append = firstOf(carry, count);
      if (writer.activate(writer.bytesOf(append), true)) return this.write(cursor, carry, append);
    }
    return 'stuck';
  }

  private write(cursor: Cursor, carry: Carry, append: Append): CompactionStep {
    if (!this.input.writer.append(append)) return this.withoutBlocks(append);
    // Of a part, the next step meets the frames again and passes over those that live elsewhere now.
    if (append.frames.length === carry.frames.length) cursor.next += carry.taken;
    return 'moved';
  }

  /** The disk is full: the next step tries again if there is a segment that needs no more of it. */
  private withoutBlocks(append: Append): CompactionStep {
    const { writer } = this.input;
    return writer.segments.leaveHoles(writer.bytesOf(append), true) ? 'moved' : 'stuck';
  }
}

function* noCommits(): Generator<ScannedCommit, void> {}

/** What a COMMIT record says of the frontiers of the commit `origin`, which may be its own. */
function frontiersIn(
  record: FoundCommitRecord | undefined,
  number: number,
  origin: number,
): Frontiers | undefined {
  if (origin === number) return record?.frontiers;
  return record?.origins.find((known) => known.commit === origin)?.frontiers;
}

/**
 * A commit of the first `count` frames and the origins that belong to them. Origins beyond their share are left
 * out: should a stream ever fall back to such a frame, everything is read from the start.
 */
function firstOf(carry: Carry, count: number): Append {
  const frames = carry.frames.slice(0, count);
  const carried = frames.reduce((sum, { bytes }) => sum + recordFootprint(bytes.length), 0);
  let left = Math.max(ORIGIN_BYTES_LEAST, carried * ORIGIN_SHARE);
  const origins: Origin[] = [];
  for (const commit of new Set(frames.map(({ origin }) => origin))) {
    const origin = commit === undefined ? undefined : carry.origins.get(commit);
    if (origin === undefined) continue;
    left -= originBytesMax(origin);
    if (left < 0) break;
    origins.push(origin);
  }
  return { frames, origins };
}
