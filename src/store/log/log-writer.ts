/**
 * Appends commits to the head of the log and keeps what is in memory equal to what is durable.
 *
 * Invariants: one commit at a time, in one write and one sync; nothing in memory changes before the sync has
 * returned; after a failed write or sync nothing is ever written again, since what reached the disk is not
 * known and a second sync may claim what the first one lost. Owned by the thread that writes the log.
 */
import { strict as assert } from 'node:assert';
import type { Clock } from '../../clock.ts';
import { TidemarkError } from '../../error.ts';
import type { CheckpointIndex } from './checkpoint-index.ts';
import { CommitEncoder, commitBytesMax, type FrameToWrite } from './commit-encoder.ts';
import { CommitPlaces } from './commit-places.ts';
import {
  type Frontiers,
  frontiersBytesMax,
  type Origin,
  type Tombstone,
  tombstoneBytesMax,
} from './commit-record.ts';
import { HEADER_REGION_BYTES } from './layout.ts';
import { encodeSegmentIndex, indexFrameBytesMax } from './segment-index.ts';
import type { Segment, Segments } from './segments.ts';

/** A frame with what the index keeps of it. */
export interface IndexedFrame extends FrameToWrite {
  readonly generation: number;
}

export interface Append {
  readonly frames: readonly IndexedFrame[];
  /** Undefined: as they are. */
  readonly frontiers?: Frontiers;
  readonly origins?: readonly Origin[];
  readonly tombstones?: readonly Tombstone[];
}

export interface LogWriterInput {
  readonly clock: Clock;
  readonly segments: Segments;
  readonly index: CheckpointIndex;
  readonly generation: number;
  readonly frontiers: Map<string, bigint>;
  readonly lastCommit: number;
  readonly carryCommit: number;
  readonly settledCommit: number;
  /** As the last commit says it. */
  readonly tailLap: number;
  /** Of the commits in the head. */
  readonly headTombstones: readonly Tombstone[];
  /** Of a head in which damage was found; it gets no index. */
  readonly damagedLap: number | undefined;
}

export class LogWriter {
  readonly segments: Segments;
  readonly index: CheckpointIndex;
  readonly generation: number;
  frontiers: ReadonlyMap<string, bigint>;
  lastCommit: number;
  carryCommit: number;
  settledCommit: number;
  /** Since opening. */
  bytesWritten = 0;
  readonly places: CommitPlaces;
  private failure: TidemarkError | undefined;
  private tailLap: number;
  private headTombstones: Tombstone[];
  private readonly encoder = new CommitEncoder();
  private readonly input: LogWriterInput;

  constructor(input: LogWriterInput) {
    this.input = input;
    this.segments = input.segments;
    this.index = input.index;
    this.generation = input.generation;
    this.frontiers = input.frontiers;
    this.lastCommit = input.lastCommit;
    this.carryCommit = input.carryCommit;
    this.settledCommit = input.settledCommit;
    this.tailLap = input.tailLap;
    this.headTombstones = [...input.headTombstones];
    const { head, appendAt } = input.segments;
    this.places = new CommitPlaces(head && { id: head.id, appendAt });
  }

  /** @throws ERR_TIDEMARK_STORE_FAILED once anything has failed */
  requireSound(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  get isSound(): boolean {
    return this.failure === undefined;
  }

  /** What everything is refused with once anything has failed. */
  get failedWith(): TidemarkError | undefined {
    return this.failure;
  }

  /**
   * Runs something that touches files. What it throws ends the store, unless it is an error that says itself
   * what it means.
   */
  guard<T>(work: () => T): T {
    this.requireSound();
    try {
      return work();
    } catch (error) {
      if (error instanceof TidemarkError) throw error;
      throw this.fail(error, 'a write to the checkpoint directory failed');
    }
  }

  /** Ends the store: nothing is written from here on. Returns the error that everything is refused with. */
  fail(cause: unknown, what: string): TidemarkError {
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    this.failure ??= new TidemarkError(
      'ERR_TIDEMARK_STORE_FAILED',
      `${what}${reason}; what is durable stays, nothing more is written until the directory is opened again`,
      { cause },
    );
    return this.failure;
  }

  /** Bytes that the commit takes of a segment at most, with what the index grows by. */
  bytesOf(append: Append): number {
    const record = this.recordOf(append);
    return commitBytesMax(append.frames, record) + indexGrowth(append) + frontiersBytesMax(record.frontiers);
  }

  /** Puts a segment with `room` for commits at the head; false when the disk has none. */
  activate(room: number, useReserve: boolean): boolean {
    const { generation } = this;
    const firstCommit = this.lastCommit + 1;
    const activation = { room, firstCommit, generation, useReserve };
    const isDone = this.guard(() => this.segments.activate(activation, () => this.writeIndex()));
    if (!isDone) return false;
    this.headTombstones = [];
    this.places.begin((this.segments.head as Segment).id);
    return true;
  }

  /** Writes the index of the head, so that it need not be scanned at the next opening; where it is, or 0. */
  writeIndex(): number {
    const { segments, index, lastCommit, settledCommit, carryCommit, frontiers, generation } = this;
    const { head } = segments;
    // An empty head has nothing to say, and one that was given up no room to say it.
    if (head === undefined || segments.appendAt === HEADER_REGION_BYTES) return 0;
    if (segments.appendAt >= head.size) return 0;
    // Damage in it must be found again until what was lost is known to be read again.
    if (head.lap === this.input.damagedLap) return 0;
    const record = encodeSegmentIndex({
      lap: head.lap,
      generation,
      lastCommit,
      end: segments.appendAt,
      tailLap: this.tailLap,
      settledCommit,
      carryCommit,
      frontiers,
      tombstones: this.headTombstones,
      streams: index.streamsIn(head.id),
    });
    return segments.writeIndex(record);
  }

  /** The least lap that is still needed; everything before it can be given up by the next commit. */
  get neededTailLap(): number {
    const { live } = this.segments;
    const needed = live.find((segment) => this.index.segmentBytes(segment.id) > 0);
    return (needed ?? live.at(-1))?.lap ?? 0;
  }

  /**
   * Writes one commit to the head, which has room for it. Durable when it returns true; false, and nothing has
   * changed, when the disk is full.
   */
  append(append: Append): boolean {
    this.requireSound();
    const { segments } = this;
    const { head } = segments;
    assert(head !== undefined);
    const number = this.lastCommit + 1;
    const record = this.recordOf(append);
    const { frames } = append;
    const commit = { lap: head.lap, number, generation: this.generation, frames, record };
    const { buffers, length, positions, recordAt } = this.encoder.encode(commit);
    const start = segments.appendAt;
    if (!this.guard(() => segments.write(buffers, length, indexGrowth(append)))) return false;
    this.lastCommit = number;
    this.tailLap = record.tailLap;
    this.headTombstones.push(...record.tombstones);
    this.frontiers = record.frontiers;
    this.bytesWritten += length;
    this.places.note(head.id, { number, recordAt: start + recordAt, end: start + length });
    for (let i = 0; i < frames.length; i++) {
      const frame = frames[i] as IndexedFrame;
      const { stream, sequence, generation, bytes } = frame;
      const origin = frame.origin ?? number;
      if (origin !== number) this.carryCommit = number;
      const position = start + (positions[i] as number);
      this.index.add(stream, {
        sequence,
        origin,
        segment: head.id,
        position,
        length: bytes.length,
        generation,
      });
    }
    for (const tombstone of record.tombstones) this.index.remove(tombstone.stream, tombstone);
    this.guard(() => segments.advanceTail(record.tailLap, (freed) => this.places.forget(freed.id)));
    return true;
  }

  private recordOf(append: Append) {
    return {
      createdAtMs: this.input.clock.wallMs(),
      // Computed before this commit makes anything dead: if it is torn, what it replaces is needed.
      tailLap: this.neededTailLap,
      settledCommit: this.settledCommit,
      previousCarry: this.carryCommit,
      frontiers: append.frontiers ?? this.frontiers,
      origins: append.origins ?? [],
      tombstones: append.tombstones ?? [],
    };
  }
}

/** What the index of a segment grows by at most with the commit. */
function indexGrowth({ frames, tombstones = [] }: Pick<Append, 'frames' | 'tombstones'>): number {
  let bytes = 0;
  for (const { stream } of frames) bytes += indexFrameBytesMax(stream);
  for (const tombstone of tombstones) bytes += tombstoneBytesMax(tombstone);
  return bytes;
}
