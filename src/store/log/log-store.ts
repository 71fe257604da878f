/**
 * The log of one directory, opened: what the store-writer worker runs. Synchronous; every call returns when
 * what it promises is durable. One thread owns it, and the lock of the directory belongs to it until `close`.
 *
 * Space: a commit by a user may take a segment only if, after it, the largest segment in use could still be
 * carried forward, and only if the newest checkpoints would still fit when all are carried. So compaction can
 * always go around, and removals, which may use its reserve, succeed in a full store.
 */
import { TidemarkError } from '../../error.ts';
import type { CheckpointIndex, CheckpointLocation } from './checkpoint-index.ts';
import { commitFrameBytesMax, type Frontiers, type Tombstone } from './commit-record.ts';
import { Compactor } from './compaction.ts';
import { generationOf, readFrameFacts } from './frame-facts.ts';
import {
  readFrameInto,
  readFramesInto,
  type SegmentAccess,
  segmentAccess,
  type WantedFrame,
} from './frame-reader.ts';
import { recordFootprint } from './layout.ts';
import type { DirectoryLock } from './lock.ts';
import type { Append, IndexedFrame, LogWriter } from './log-writer.ts';
import type { LogLimits, LogPorts } from './options.ts';
import { indexFrameBytesMax } from './segment-index.ts';
import { OVERHEAD_BYTES } from './segments.ts';

export interface LogFrame {
  readonly stream: string;
  readonly sequence: bigint;
  readonly bytes: Uint8Array;
}

export interface LogBatch {
  readonly frames: readonly LogFrame[];
  /** Sources that are not in it keep their frontier. */
  readonly frontiers: Frontiers;
  readonly generation: bigint;
  /** It may have been committed already, or a beginning of it: what the log has of that is not written again. */
  readonly isRepeated?: boolean;
}

export interface CheckpointTime {
  readonly sequence: bigint;
  readonly createdAtMs: number;
}

export interface LogStoreInput {
  readonly ports: LogPorts;
  readonly limits: LogLimits;
  readonly writer: LogWriter;
  readonly lock: DirectoryLock;
  readonly capacityBytes: number;
  /** Makes the state of a clean end durable in the superblock; `headIndex` is where the index of the head is, or 0. */
  readonly seal: (writer: LogWriter, headIndex: number) => void;
}

/** Up to here a log may be mostly garbage: compacting so little costs more than the disk it frees. */
const COMPACT_FROM_BYTES = 16 * 1024 * 1024;
/**
 * A log may take this many times its live bytes before the background compacts rather than grows: compacting writes half
 * as much again as is saved at most, where most of it is cold streams, and a thirtieth where all are equally busy and
 * three checkpoints of each are kept.
 */
const GROWTH_FACTOR = 3;
/** So that a tail with more alive in it than usual does not make the log grow after all. */
const READY_WHILE_WASTEFUL = 2;

/** What compaction carries at a time, in bytes. */
const STEP_BYTES_LEAST = 2 ** 20;
const STEP_BYTES_MAX = 2 ** 22;

export class LogStore {
  private readonly input: LogStoreInput;
  private readonly writer: LogWriter;
  private readonly index: CheckpointIndex;
  private readonly compactor: Compactor;
  private readonly access: SegmentAccess;
  private isClosed = false;
  /** A commit of this size found no room, and nothing has died since. */
  private full: { readonly bytes: number; readonly deaths: number } | undefined;
  /** Background compaction may write this much: a share of what users wrote, so that it cannot run in circles. */
  private compactionCredit: number;
  /** Compaction carries as much at a time as the last commit brought: who waits for a step waits as for one more commit. */
  private stepBytes = STEP_BYTES_LEAST;

  constructor(input: LogStoreInput) {
    this.input = input;
    this.writer = input.writer;
    this.index = input.writer.index;
    this.compactionCredit = input.capacityBytes;
    const { segments } = this.writer;
    const { fileSystem } = input.ports;
    this.access = segmentAccess(fileSystem, (id) => segments.byId(id));
    const pressureBytes = input.capacityBytes / 2;
    this.compactor = new Compactor({ fileSystem, writer: this.writer, access: this.access, pressureBytes });
  }

  get generation(): bigint {
    return BigInt(this.writer.generation);
  }

  /** Of the last commit; each has the next one. */
  get lastCommit(): number {
    return this.writer.lastCommit;
  }

  /** What has failed, if anything has: nothing is written any more. */
  get failure(): TidemarkError | undefined {
    return this.writer.failedWith;
  }

  /**
   * Makes the batch durable: one commit, or, if it is larger than a segment, several, of which only the last
   * carries the new frontiers.
   * @throws ERR_TIDEMARK_FENCED, ERR_TIDEMARK_STORE_FULL, ERR_TIDEMARK_STORE_FAILED, ERR_TIDEMARK_DAMAGED_FRAME
   */
  commit(batch: LogBatch): void {
    this.requireOpen();
    if (batch.generation !== this.generation) throw this.fenced(batch.generation);
    const frontiers = new Map([...this.writer.frontiers, ...batch.frontiers]);
    const missing = batch.isRepeated === true ? this.withoutHeld(batch.frames) : batch.frames;
    if (missing.length === 0 && sameFrontiers(frontiers, this.writer.frontiers)) return;
    const parts = this.split(missing);
    this.stepBytes = Math.min(STEP_BYTES_MAX, Math.max(STEP_BYTES_LEAST, this.bytesOf(batch)));
    for (const [i, frames] of parts.entries()) {
      this.appendWithRoom(i === parts.length - 1 ? { frames, frontiers } : { frames });
    }
    const credit = this.compactionCredit + GROWTH_FACTOR * this.bytesOf(batch);
    this.compactionCredit = Math.min(this.input.capacityBytes, credit);
  }

  /** The newest checkpoint of `stream`, or the one at `sequence`; verified, in memory of its own. */
  readFrame(stream: string, sequence?: bigint): Uint8Array<ArrayBuffer> | undefined {
    this.requireOpen();
    const place = sequence === undefined ? this.index.newest(stream) : this.index.find(stream, sequence);
    if (place === undefined) return undefined;
    const bytes = new Uint8Array(place.length);
    readFrameInto(this.access, place, bytes);
    return bytes;
  }

  /** Where a checkpoint is, for `copyFrames`. */
  locate(stream: string, sequence: bigint): CheckpointLocation | undefined {
    return this.index.find(stream, sequence);
  }

  /** Fills targets with checkpoints, verified, in the order in which these lie; `onFailure` hears of those that are not. */
  copyFrames(wanted: readonly WantedFrame[], onFailure: (frame: WantedFrame, error: unknown) => void): void {
    this.requireOpen();
    readFramesInto(this.access, wanted, onFailure);
  }

  /** Ascending by sequence. */
  list(stream: string): CheckpointTime[] {
    this.requireOpen();
    return this.index
      .entries(stream)
      .reverse()
      .map((place) => ({
        sequence: place.sequence,
        createdAtMs: readFrameFacts(this.access, place).createdAtMs,
      }));
  }

  streams(): IterableIterator<string> {
    this.requireOpen();
    return this.index.streams();
  }

  newest(stream: string): CheckpointLocation | undefined {
    return this.index.newest(stream);
  }

  deleteBefore(stream: string, sequence: bigint): void {
    this.removeCheckpoints([stream], sequence);
  }

  /** With several streams, in one commit: all of them or, after a crash, none. */
  forget(...streams: readonly string[]): void {
    this.removeCheckpoints(streams, undefined);
  }

  /**
   * Does a piece of the work that keeps commits from waiting: the next segment is made ready, or the oldest
   * one is compacted. Returns whether there is more; call it again when nothing else waits. With `isBusy`, commits
   * keep coming: nothing is filled with zeros in between, which would hold them up.
   */
  idleStep(isBusy = false): boolean {
    const { segments } = this.writer;
    if (this.isClosed || !this.writer.isSound) return false;
    if (!isBusy && this.writer.guard(() => segments.fillHole())) return true;
    const { liveBytes } = this.index;
    const isWasteful = segments.liveSize > Math.max(COMPACT_FROM_BYTES, GROWTH_FACTOR * liveBytes);
    const { isReserveWhole } = segments;
    if (segments.ready >= (isWasteful ? READY_WHILE_WASTEFUL : 1) && isReserveWhole) return false;
    if (isWasteful && this.compactStep()) return true;
    // Under load the next commit makes a segment without blocks: to grow is cheaper than to compact.
    if (isBusy && segments.canGrow) return false;
    if (this.writer.guard(() => segments.prepare())) return true;
    if (segments.ready > 0 && segments.isReserveWhole) return false;
    const garbage = segments.liveSize - segments.room - liveBytes;
    return garbage >= 2 * this.input.limits.segmentBytes && this.compactStep();
  }

  /** Ends the use of the directory. Nothing is lost without it; with it, a damaged last commit can be told. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    try {
      if (this.writer.isSound) {
        // The index is durable before the superblock says where it is.
        this.writer.guard(() => this.input.seal(this.writer, this.writer.writeIndex()));
      }
    } finally {
      try {
        this.writer.segments.closeFiles();
      } finally {
        this.input.lock.release();
      }
    }
  }

  private removeCheckpoints(streams: readonly string[], below: bigint | undefined): void {
    this.requireOpen();
    const isThere = (stream: string): boolean =>
      this.compactor.hasGivenUp(stream, below) ||
      this.index.entries(stream).some(({ sequence }) => below === undefined || sequence < below);
    // Through the commit before the one that says so: a checkpoint saved later is a new one.
    const through = this.writer.lastCommit;
    const tombstones = streams.filter(isThere).map((stream): Tombstone => ({ stream, below, through }));
    if (tombstones.length === 0) return;
    const append = { frames: [], tombstones };
    const bytes = this.writer.bytesOf(append);
    const { segments } = this.writer;
    const hasRoom = (): boolean =>
      segments.room >= bytes || this.makeRoom(bytes) || this.writer.activate(bytes, true);
    while (hasRoom()) {
      if (this.writer.append(append)) {
        for (const { stream } of tombstones) this.compactor.noteRemoved(stream, below);
        return;
      }
      if (!segments.leaveHoles(bytes, true)) break;
    }
    throw this.storeFull(bytes);
  }

  private appendWithRoom(append: Append): void {
    const bytes = this.writer.bytesOf(append);
    if (!this.isKnownFull(bytes) && this.canBeCarried(append, bytes)) {
      while (this.makeRoom(bytes)) {
        this.full = undefined;
        if (this.writer.append(append)) return;
        if (!this.writer.segments.leaveHoles(bytes, false)) break;
      }
    }
    // A disk that others have filled may have room again at any time; only our own limit stands until something dies.
    const isOurLimit = this.writer.segments.outOfSpace === undefined;
    this.full = isOurLimit ? { bytes, deaths: this.index.deaths } : undefined;
    throw this.storeFull(bytes);
  }

  private isKnownFull(bytes: number): boolean {
    return this.full !== undefined && this.full.deaths === this.index.deaths && bytes >= this.full.bytes;
  }

  /** Whether the newest checkpoints, these among them, leave compaction the room that it needs. */
  private canBeCarried({ frames }: Append, room: number): boolean {
    const { index } = this;
    if (frames.length === 0) return true;
    const weight = frames.reduce((sum, { bytes }) => sum + index.weigh(recordFootprint(bytes.length)), 0);
    const weightMax = this.writer.segments.weightMax(room, (id) => index.segmentBytes(id));
    return index.newestWeight + weight <= weightMax;
  }

  /** Sees to it that the head takes `bytes`, by compacting if it must: first with what retention keeps, then less. */
  private makeRoom(bytes: number): boolean {
    if (this.hasRoom(bytes)) return true;
    const { segments } = this.writer;
    for (const newestOnly of [false, true]) {
      // Once around: every segment that is in use now is compacted at most once.
      const last = segments.head?.lap ?? 0;
      while ((segments.live[0]?.lap ?? Number.POSITIVE_INFINITY) <= last) {
        if (this.writer.guard(() => this.compactor.step(newestOnly, STEP_BYTES_LEAST)) !== 'moved') break;
        if (this.hasRoom(bytes)) return true;
      }
    }
    return false;
  }

  private hasRoom(bytes: number): boolean {
    const { segments } = this.writer;
    if (segments.room >= bytes && segments.isReserveWhole) return true;
    return this.writer.activate(bytes, false);
  }

  private compactStep(): boolean {
    if (this.compactionCredit <= 0) return false;
    const before = this.writer.bytesWritten;
    const step = this.writer.guard(() => this.compactor.step(false, this.stepBytes));
    this.compactionCredit -= this.writer.bytesWritten - before;
    return step === 'moved';
  }

  /**
   * `frames` without those at their beginning that the log has: to write them again would change nothing, and in a full
   * store there may be no room for it. Not what it has behind one that it has not, which that one may replace.
   */
  private withoutHeld(frames: readonly LogFrame[]): readonly LogFrame[] {
    const missing = frames.findIndex((frame) => !this.holds(frame));
    return missing < 0 ? [] : frames.slice(missing);
  }

  private holds({ stream, sequence, bytes }: LogFrame): boolean {
    if (this.index.find(stream, sequence)?.length !== bytes.length) return false;
    try {
      return Buffer.compare(this.readFrame(stream, sequence) ?? new Uint8Array(), bytes) === 0;
    } catch {
      // What cannot be read is written again.
      return false;
    }
  }

  /** Parts that fit a segment of the usual size; a frame that is larger is a part of its own. */
  private split(frames: readonly LogFrame[]): IndexedFrame[][] {
    const roomy = this.input.limits.segmentBytes - OVERHEAD_BYTES;
    const fixed = this.writer.bytesOf({ frames: [] });
    const parts: IndexedFrame[][] = [];
    let bytes = Number.POSITIVE_INFINITY;
    for (const { stream, sequence, bytes: frameBytes } of frames) {
      const generation = generationOf(frameBytes);
      const frame = { stream, sequence, bytes: frameBytes, origin: undefined, generation };
      const more =
        recordFootprint(frameBytes.length) + commitFrameBytesMax(stream) + indexFrameBytesMax(stream);
      bytes += more;
      if (bytes > roomy) {
        parts.push([]);
        bytes = fixed + more;
      }
      parts.at(-1)?.push(frame);
    }
    return parts.length === 0 ? [[]] : parts;
  }

  private bytesOf(batch: LogBatch): number {
    return batch.frames.reduce((sum, { bytes }) => sum + recordFootprint(bytes.length), 512);
  }

  private requireOpen(): void {
    if (this.isClosed) throw new TidemarkError('ERR_TIDEMARK_CLOSED', 'the store is closed');
    this.writer.requireSound();
  }

  private fenced(generation: bigint): TidemarkError {
    return new TidemarkError(
      'ERR_TIDEMARK_FENCED',
      `generation ${generation} may not write: generation ${this.generation} has opened the store`,
    );
  }

  private storeFull(bytes: number): TidemarkError {
    const { diskBytes } = this.input.limits;
    const { segments } = this.writer;
    const fits = segments.fitsDisk(bytes);
    const message = !fits
      ? `a commit of ${bytes} bytes can never fit in diskBytes (${diskBytes}); raise it`
      : segments.outOfSpace === undefined
        ? `the newest checkpoints leave no room for ${bytes} more bytes in diskBytes (${diskBytes}); forget streams or raise it`
        : `the disk has no room for a commit of ${bytes} bytes; make some, or lower diskBytes (${diskBytes})`;
    return new TidemarkError('ERR_TIDEMARK_STORE_FULL', message, {
      retryable: fits,
      cause: segments.outOfSpace,
    });
  }
}

function sameFrontiers(a: Frontiers, b: Frontiers): boolean {
  if (a.size !== b.size) return false;
  for (const [source, offset] of a) if (b.get(source) !== offset) return false;
  return true;
}
