/**
 * The segment files of an open log: which are in use, which are free, and how much disk they take.
 *
 *        tail                                   head
 *   ┌───────────┐  ┌───────────┐  ┌───────────┐       ┌───────────┐
 *   │  lap 41   │  │  lap 42   │  │  lap 43 ▸ │       │   free    │
 *   └───────────┘  └───────────┘  └───────────┘       └───────────┘
 *
 * Invariants: laps in use are consecutive; commits go to the head only; a segment is free only once a durable
 * commit says that the tail is behind it; the files never take more than `capacityBytes`; a file gets its
 * final name only when it has its whole length and that is durable. Owned by the thread that writes the log.
 *
 * A segment is made ahead of its use (`SegmentMaker`). One that has blocks is taken before one that has not.
 */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { type FileSystem, writeFully } from '../file-system.ts';
import { alignUp, HEADER_COPY_BYTES, HEADER_REGION_BYTES, segmentFileName } from './layout.ts';
import type { LogLimits } from './options.ts';
import { encodeSegmentHeader } from './segment-header.ts';
import { SEGMENT_INDEX_FIXED_BYTES } from './segment-index.ts';
import { type MadeSegment, SegmentMaker } from './segment-maker.ts';

const GROWTH_FACTOR = 3;
/** What a segment has no room for commits in. */
export const OVERHEAD_BYTES: number = HEADER_REGION_BYTES + SEGMENT_INDEX_FIXED_BYTES;

export interface Segment extends MadeSegment {
  /** False for a file that lost its end: it is read, but never written again. */
  readonly reusable: boolean;
  lap: number;
}

export interface SegmentsInput {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly limits: LogLimits;
  readonly directoryId: Uint8Array;
  /** What segments may take together. */
  readonly capacityBytes: number;
  /** In use, ascending by lap. */
  readonly live: Segment[];
  readonly free: readonly Segment[];
  /** Where in the head the next commit goes. */
  readonly appendAt: number;
  /** What the index of the head takes at most, as it is now. */
  readonly indexBytes: number;
  /** Greater than every lap and every number in the directory. */
  readonly nextLap: number;
  readonly nextId: number;
}

export interface Activation {
  /** Bytes that the segment must have for commits. */
  readonly room: number;
  readonly firstCommit: number;
  readonly generation: number;
  /** Compaction and removals may take what is kept free for them; other commits may not. */
  readonly useReserve: boolean;
}

export class Segments {
  readonly live: Segment[];
  appendAt: number;
  /** What its index takes of the head. */
  private indexBytes: number;
  private readonly free: Segment[] = [];
  private readonly input: SegmentsInput;
  private readonly maker: SegmentMaker;
  private nextLap: number;

  constructor(input: SegmentsInput) {
    this.input = input;
    this.live = input.live;
    this.appendAt = input.appendAt;
    this.indexBytes = input.indexBytes;
    this.nextLap = input.nextLap;
    this.maker = new SegmentMaker(input);
    for (const segment of input.free) this.release(segment);
    this.shrinkFree(0);
  }

  get head(): Segment | undefined {
    return this.live.at(-1);
  }

  /** Bytes of all segment files, one being prepared included. */
  get diskBytes(): number {
    return totalSize(this.live) + totalSize(this.free) + this.maker.size;
  }

  get liveSize(): number {
    return totalSize(this.live);
  }

  /** Bytes left in the head for commits and what its index grows by with them. */
  get room(): number {
    if (this.head === undefined) return 0;
    return Math.max(0, this.head.size - this.appendAt - this.indexBytes - SEGMENT_INDEX_FIXED_BYTES);
  }

  byId(id: number): Segment | undefined {
    return this.live.find((segment) => segment.id === id);
  }

  /** Whether a commit of `room` bytes could ever be taken, were the log empty. */
  fitsDisk(room: number): boolean {
    const size = Math.max(this.input.limits.segmentBytes, sizeFor(room));
    // Beside it and what is kept free for it, the segment that is the head before it.
    return size + this.reserveFor(size) + this.input.limits.segmentBytes <= this.input.capacityBytes;
  }

  /**
   * What newest checkpoints may weigh, with a commit that takes a segment of `room` bytes among them. A segment in which
   * nothing lives is not carried, so it needs no reserve of its size: one that was made for a huge frame, since dead,
   * is in use until compaction has come around to it, and would have commits refused that are what brings it there.
   * Whether there is a segment for them, `activate` decides by what is in use now.
   */
  weightMax(room: number, liveBytesOf: (segment: number) => number): number {
    const carried = this.live.filter((segment) => segment === this.head || liveBytesOf(segment.id) > 0);
    return this.input.capacityBytes - this.reserveFor(largestOf(carried, sizeFor(room)));
  }

  /** Whether what is kept free for compaction still is. While it is not, only compaction and removals may write. */
  get isReserveWhole(): boolean {
    return this.unused() >= this.reserve(0);
  }

  /** Segments that are ready, and that `activate` could take for an ordinary commit. */
  get ready(): number {
    const unused = this.unused();
    return this.free.filter(({ size }) => unused - size >= this.reserve(size)).length;
  }

  /**
   * Makes a free segment the head, a new one if need be. False when there is no room on the disk for it.
   * The first copy of its header is durable when it returns; the second one is with the first commit. `seal` is called
   * while the head before it is still the head, and says where its index is now.
   */
  activate(activation: Activation, seal: () => number): boolean {
    const segment = this.takeFree(activation) ?? this.makeFree(activation);
    if (segment === undefined) return false;
    const previousIndex = seal();
    segment.lap = this.nextLap;
    this.nextLap += 1;
    const header = encodeSegmentHeader({
      directoryId: this.input.directoryId,
      segment: segment.id,
      size: segment.size,
      lap: segment.lap,
      firstCommit: activation.firstCommit,
      generation: activation.generation,
      previousIndex,
    });
    const { fileSystem } = this.input;
    writeFully(fileSystem, segment.handle, [header], 0);
    fileSystem.datasync(segment.handle);
    writeFully(fileSystem, segment.handle, [header], HEADER_COPY_BYTES);
    this.live.push(segment);
    this.appendAt = HEADER_REGION_BYTES;
    this.indexBytes = 0;
    return true;
  }

  /** Segments before `tailLap` are free from now on; a durable commit must have said so. */
  advanceTail(tailLap: number, onFree: (segment: Segment) => void): void {
    while (this.live.length > 1 && (this.live[0] as Segment).lap < tailLap) {
      const segment = this.live.shift() as Segment;
      onFree(segment);
      this.release(segment);
    }
  }

  /** Why the disk was full when it was last asked for blocks, if it was. */
  get outOfSpace(): unknown {
    return this.maker.outOfSpace;
  }

  /** Whether another free segment is wanted, and the limit allows it. */
  get canGrow(): boolean {
    if (this.maker.size > 0) return true;
    if (this.ready > 0) return false;
    const size = this.grownSize();
    return this.unused() - size >= this.reserve(size) && this.diskBytes + size <= this.input.capacityBytes;
  }

  /** Does a piece of the work of having a free segment ready; false when there is nothing to do, or the disk is full. */
  prepare(): boolean {
    if (!this.canGrow || (this.maker.size === 0 && !this.maker.start(this.grownSize()))) return false;
    if (this.maker.fillPiece()) return true;
    this.finishMaking();
    return false;
  }

  /** Fills a piece of a hole in the head or in a free segment; false when there is none, or the disk is full. */
  fillHole(): boolean {
    const { head } = this;
    // What the head has is before `appendAt`.
    if (head?.reusable === true) {
      const from = Math.max(head.filled, this.appendAt);
      if (from < head.size) return this.maker.fillHole(head, from);
    }
    const segment = this.free.find(({ filled, size }) => filled < size);
    return segment !== undefined && this.maker.fillHole(segment, segment.filled);
  }

  /**
   * Writes a commit to the head, durably; its index takes `indexBytes` more then. False when the disk had no blocks for
   * it: then nothing durable has changed, and another one may be written in its place. Whatever mixture of the two is
   * found after a crash is not whole: the last sector of the first was never written, and the COMMIT record of the
   * second covers all headers before it.
   */
  write(buffers: readonly Uint8Array[], bytes: number, indexBytes: number): boolean {
    const { head, appendAt } = this;
    assert(head !== undefined && bytes + indexBytes <= this.room);
    const { fileSystem } = this.input;
    if (!this.maker.withSpace(() => writeFully(fileSystem, head.handle, buffers, appendAt))) return false;
    fileSystem.datasync(head.handle);
    this.appendAt = appendAt + bytes;
    this.indexBytes += indexBytes;
    head.filled = Math.max(head.filled, this.appendAt);
    return true;
  }

  /**
   * Writes the index of the head behind its last commit, durably, and returns where; the next commit goes there all the
   * same. 0 when it does not fit, being a segment that an earlier version filled, or when the disk is full: nothing
   * relies on it.
   */
  writeIndex(record: Uint8Array): number {
    const { head, appendAt } = this;
    if (head === undefined || appendAt + record.length > head.size) return 0;
    const { fileSystem } = this.input;
    const isWritten = this.maker.withSpace(() => {
      writeFully(fileSystem, head.handle, [record], appendAt);
      fileSystem.datasync(head.handle);
    });
    return isWritten ? appendAt : 0;
  }

  /**
   * After a full disk: gives up the rest of the head if a free segment has the blocks that it has not. What was written
   * of the commit is torn: the next head begins with its number.
   */
  leaveHoles(room: number, useReserve: boolean): boolean {
    const { head } = this;
    const next = this.bestFree({ room, useReserve });
    if (head === undefined || next === undefined || next.filled < HEADER_REGION_BYTES + room) return false;
    this.appendAt = head.size;
    return true;
  }

  closeFiles(): void {
    this.maker.abandon();
    for (const segment of [...this.live, ...this.free]) this.input.fileSystem.close(segment.handle);
  }

  private bestFree({ room, useReserve }: Pick<Activation, 'room' | 'useReserve'>): Segment | undefined {
    return this.free
      .filter(({ size }) => size >= room + OVERHEAD_BYTES)
      .filter(({ size }) => this.unused() - size >= (useReserve ? 0 : this.reserve(size)))
      .sort((a, b) => b.filled - a.filled)[0];
  }

  private takeFree(activation: Activation): Segment | undefined {
    const segment = this.bestFree(activation);
    if (segment !== undefined) this.free.splice(this.free.indexOf(segment), 1);
    return segment;
  }

  /** Makes a new segment at once, in place of free ones that are too small if need be. */
  private makeFree(activation: Activation): Segment | undefined {
    const least = sizeFor(activation.room);
    const sizes = [this.maker.size, Math.max(least, this.grownSize()), least];
    const size = sizes.find(
      (bytes) => bytes >= least && this.unused() - bytes >= (activation.useReserve ? 0 : this.reserve(bytes)),
    );
    if (size === undefined) return undefined;
    if (this.maker.size !== size) {
      this.maker.abandon();
      this.shrinkFree(size);
      if (!this.maker.start(size)) return undefined;
    }
    if (!this.maker.hasAmpleSpace()) while (this.maker.fillPiece());
    return this.finishMaking() ? this.free.pop() : undefined;
  }

  /** Makes a free segment of the one that is being made; false when there is none, or the disk is full. */
  private finishMaking(): boolean {
    const made = this.maker.finish();
    if (made === undefined) return false;
    this.free.push({ ...made, reusable: true, lap: 0 });
    this.input.fileSystem.syncDirectory(this.input.directory);
    return true;
  }

  /** Gives up free segments until a new one of `size` bytes fits on the disk. */
  private shrinkFree(size: number): void {
    while (this.free.length > 0 && this.diskBytes + size > this.input.capacityBytes) {
      this.remove(this.free.shift() as Segment);
    }
  }

  /**
   * Several times as large as all segments together, so that a log grows in few steps and a small one stays small:
   * each segment that is put to use costs two syncs.
   */
  private grownSize(): number {
    const { segmentBytes, firstSegmentBytes } = this.input.limits;
    const total = totalSize(this.live) + totalSize(this.free);
    return Math.min(
      segmentBytes,
      Math.max(firstSegmentBytes, alignUp(GROWTH_FACTOR * total, HEADER_REGION_BYTES)),
    );
  }

  /** What must stay unused beside a segment of `size` bytes, so that any segment can be carried forward. */
  private reserve(size: number): number {
    return this.reserveFor(largestOf(this.live, size));
  }

  /** A segment of `size` full of live frames takes more than one when it is carried: it gets the records of others. */
  private reserveFor(size: number): number {
    return Math.max(size, this.input.limits.segmentBytes) + this.input.limits.segmentBytes;
  }

  /** What segments in use leave of the disk; free ones can always be given up. */
  private unused(): number {
    return this.input.capacityBytes - this.liveSize;
  }

  /** A segment of the usual size is kept to be used again; one that was made for a large frame is not. */
  private release(segment: Segment): void {
    if (segment.reusable && segment.size <= this.input.limits.segmentBytes) this.free.push(segment);
    else this.remove(segment);
  }

  private remove(segment: Segment): void {
    const { fileSystem, directory } = this.input;
    fileSystem.close(segment.handle);
    fileSystem.unlink(join(directory, segmentFileName(segment.id)));
    // Were the name to come back after a crash, the directory could take more than its limit.
    fileSystem.syncDirectory(directory);
  }
}

/** Bytes of a segment with `room` for commits. */
function sizeFor(room: number): number {
  return alignUp(room + OVERHEAD_BYTES, HEADER_REGION_BYTES);
}

function largestOf(segments: readonly Segment[], least: number): number {
  return segments.reduce((most, { size }) => Math.max(most, size), least);
}

function totalSize(segments: readonly { readonly size: number }[]): number {
  return segments.reduce((sum, { size }) => sum + size, 0);
}
