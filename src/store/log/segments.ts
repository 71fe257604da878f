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
 * A segment is made ahead of its use and filled with zeros then: a commit into blocks that the file system has
 * given out already is a good deal faster, and finds no full disk. When commits come faster than that, the next one
 * takes a segment whose blocks are given out as they are written: to fill it first would be to write everything
 * twice, and have the commit wait for it.
 */
import { join } from 'node:path';
import { type FileHandle, type FileSystem, systemErrorCode, writeFully } from '../file-system.ts';
import {
  alignUp,
  HEADER_COPY_BYTES,
  HEADER_REGION_BYTES,
  SECTOR_BYTES,
  segmentFileName,
  temporarySegmentFileName,
} from './layout.ts';
import type { LogLimits } from './options.ts';
import { encodeSegmentHeader } from './segment-header.ts';

export interface Segment {
  readonly id: number;
  readonly handle: FileHandle;
  readonly size: number;
  /** False for a file that lost its end: it is read, but never written again. */
  readonly reusable: boolean;
  lap: number;
}

/** A new segment on its way; it is full of zeros up to `filled`. */
interface Preparation {
  readonly id: number;
  readonly handle: FileHandle;
  readonly size: number;
  filled: number;
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

/** Zeros are written in pieces, so that what waits for the thread does not wait for a whole segment. */
const ZERO_CHUNK_BYTES = 1024 * 1024;
const ZEROS = new Uint8Array(ZERO_CHUNK_BYTES);
/** A segment is made without blocks while the disk has this many times its size, and so many bytes more. */
const AMPLE_FACTOR = 2;
const AMPLE_BYTES = 64 * 1024 * 1024;

export class Segments {
  readonly live: Segment[];
  appendAt: number;
  /** Why the last new segment could not be made, when the disk itself was full. */
  outOfSpace: unknown;
  private readonly free: Segment[] = [];
  private readonly input: SegmentsInput;
  private preparation: Preparation | undefined;
  private nextLap: number;
  private nextId: number;

  constructor(input: SegmentsInput) {
    this.input = input;
    this.live = input.live;
    this.appendAt = input.appendAt;
    this.nextLap = input.nextLap;
    this.nextId = input.nextId;
    for (const segment of input.free) this.release(segment);
    this.shrinkFree(0);
  }

  get head(): Segment | undefined {
    return this.live.at(-1);
  }

  /** Bytes of all segment files, one being prepared included. */
  get diskBytes(): number {
    return totalSize(this.live) + totalSize(this.free) + (this.preparation?.size ?? 0);
  }

  get liveSize(): number {
    return totalSize(this.live);
  }

  /** Bytes left in the head. */
  get room(): number {
    return this.head === undefined ? 0 : this.head.size - this.appendAt;
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

  /** What newest checkpoints may weigh, with a commit that takes a segment of `room` bytes among them. */
  weightMax(room: number): number {
    return this.input.capacityBytes - this.reserve(sizeFor(room));
  }

  /** Whether what is kept free for compaction still is. While it is not, only compaction and removals may write. */
  get isReserveWhole(): boolean {
    return this.unused() >= this.reserve(0);
  }

  /** Whether a segment is ready that `activate` could take for an ordinary commit. */
  get isReady(): boolean {
    return this.free.some(({ size }) => this.unused() - size >= this.reserve(size));
  }

  /**
   * Makes a free segment the head, a new one if need be. False when there is no room on the disk for it.
   * The first copy of its header is durable when it returns; the second one is with the first commit.
   */
  activate(activation: Activation): boolean {
    const segment = this.takeFree(activation) ?? this.makeFree(activation);
    if (segment === undefined) return false;
    segment.lap = this.nextLap;
    this.nextLap += 1;
    const header = encodeSegmentHeader({
      directoryId: this.input.directoryId,
      segment: segment.id,
      size: segment.size,
      lap: segment.lap,
      firstCommit: activation.firstCommit,
      generation: activation.generation,
    });
    const { fileSystem } = this.input;
    writeFully(fileSystem, segment.handle, [header], 0);
    fileSystem.datasync(segment.handle);
    writeFully(fileSystem, segment.handle, [header], HEADER_COPY_BYTES);
    this.live.push(segment);
    this.appendAt = HEADER_REGION_BYTES;
    return true;
  }

  /** Segments before `tailLap` are free from now on; a durable commit must have said so. */
  advanceTail(tailLap: number): void {
    while (this.live.length > 1 && (this.live[0] as Segment).lap < tailLap) {
      this.release(this.live.shift() as Segment);
    }
  }

  /** Does a piece of the work of having a free segment ready; false when there is nothing to do. */
  prepare(): boolean {
    if (this.preparation === undefined) {
      const size = this.grownSize();
      if (this.isReady || this.unused() - size < this.reserve(size)) return false;
      if (this.diskBytes + size > this.input.capacityBytes) return false;
      if (!this.startPreparation(size)) return false;
    }
    return this.continuePreparation();
  }

  closeFiles(): void {
    this.abandonPreparation();
    for (const segment of [...this.live, ...this.free]) this.input.fileSystem.close(segment.handle);
  }

  private takeFree(activation: Activation): Segment | undefined {
    const needed = activation.room + HEADER_REGION_BYTES;
    const fitting = this.free
      .filter(({ size }) => size >= needed)
      .filter(({ size }) => this.unused() - size >= (activation.useReserve ? 0 : this.reserve(size)))
      .sort((a, b) => b.size - a.size);
    const segment = fitting[0];
    if (segment !== undefined) this.free.splice(this.free.indexOf(segment), 1);
    return segment;
  }

  /** Makes a new segment at once, in place of free ones that are too small if need be. */
  private makeFree(activation: Activation): Segment | undefined {
    const least = sizeFor(activation.room);
    const sizes = [this.preparation?.size ?? 0, Math.max(least, this.grownSize()), least];
    const size = sizes.find(
      (bytes) => bytes >= least && this.unused() - bytes >= (activation.useReserve ? 0 : this.reserve(bytes)),
    );
    if (size === undefined) return undefined;
    if (this.preparation?.size !== size) {
      this.abandonPreparation();
      this.shrinkFree(size);
      if (!this.startPreparation(size)) return undefined;
    }
    if (this.hasAmpleSpace(size)) this.finishPreparation();
    else while (this.preparation !== undefined) if (!this.continuePreparation()) break;
    return this.outOfSpace === undefined ? this.free.pop() : undefined;
  }

  /** Gives up free segments until a new one of `size` bytes fits on the disk. */
  private shrinkFree(size: number): void {
    while (this.free.length > 0 && this.diskBytes + size > this.input.capacityBytes) {
      this.remove(this.free.shift() as Segment);
    }
  }

  /** As large as all segments together, so that a log grows in few steps and a small one stays small. */
  private grownSize(): number {
    const { segmentBytes, firstSegmentBytes } = this.input.limits;
    const total = totalSize(this.live) + totalSize(this.free);
    return Math.min(segmentBytes, Math.max(firstSegmentBytes, alignUp(total, HEADER_REGION_BYTES)));
  }

  /** What must stay unused beside a segment of `size` bytes, so that any segment can be carried forward. */
  private reserve(size: number): number {
    return this.reserveFor(this.live.reduce((most, segment) => Math.max(most, segment.size), size));
  }

  /** A segment of `size` full of live frames takes more than one when it is carried: it gets the records of others. */
  private reserveFor(size: number): number {
    return Math.max(size, this.input.limits.segmentBytes) + this.input.limits.segmentBytes;
  }

  /** What segments in use leave of the disk; free ones can always be given up. */
  private unused(): number {
    return this.input.capacityBytes - this.liveSize;
  }

  private startPreparation(size: number): boolean {
    const { fileSystem, directory } = this.input;
    const id = this.nextId;
    this.nextId += 1;
    this.outOfSpace = undefined;
    try {
      const handle = fileSystem.open(join(directory, temporarySegmentFileName(id)), 'create');
      this.preparation = { id, handle, size, filled: 0 };
      return true;
    } catch (error) {
      return this.noteOutOfSpace(error);
    }
  }

  /**
   * Whether a segment without blocks will get them, whatever else is written meanwhile within reason. Should the
   * disk be full all the same, the store ends as with any failed write.
   */
  private hasAmpleSpace(size: number): boolean {
    const { fileSystem, directory } = this.input;
    return fileSystem.freeBytes(directory) >= AMPLE_FACTOR * size + AMPLE_BYTES;
  }

  /** Fills a piece with zeros. True while there is more to do. */
  private continuePreparation(): boolean {
    const { preparation } = this;
    if (preparation === undefined) return false;
    const { handle, size, filled } = preparation;
    const isDone = this.attempt(() => {
      const { fileSystem } = this.input;
      const piece = ZEROS.subarray(0, Math.min(ZERO_CHUNK_BYTES, size - filled));
      writeFully(fileSystem, handle, [piece], filled);
      preparation.filled += piece.length;
      if (preparation.filled < size) fileSystem.datasync(handle);
    });
    if (!isDone) return false;
    if (preparation.filled < size) return true;
    this.finishPreparation();
    return false;
  }

  /** Makes a free segment of the one being prepared, filled or not. */
  private finishPreparation(): void {
    const { preparation, input } = this;
    if (preparation === undefined) return;
    const { fileSystem, directory } = input;
    const { id, handle, size, filled } = preparation;
    const isReady = this.attempt(() => {
      // What lies between reads as zeros.
      if (filled < size)
        writeFully(fileSystem, handle, [ZEROS.subarray(0, SECTOR_BYTES)], size - SECTOR_BYTES);
      const header = {
        directoryId: input.directoryId,
        segment: id,
        size,
        lap: 0,
        firstCommit: 0,
        generation: 0,
      };
      const copy = encodeSegmentHeader(header);
      writeFully(fileSystem, handle, [copy, copy], 0);
      fileSystem.sync(handle);
      fileSystem.rename(join(directory, temporarySegmentFileName(id)), join(directory, segmentFileName(id)));
      fileSystem.syncDirectory(directory);
    });
    if (!isReady) return;
    this.preparation = undefined;
    this.free.push({ id, handle, size, reusable: true, lap: 0 });
  }

  /** Does a step of the preparation, which is given up when the disk is full; false then. */
  private attempt(step: () => void): boolean {
    try {
      step();
      return true;
    } catch (error) {
      this.abandonPreparation();
      return this.noteOutOfSpace(error);
    }
  }

  /** Nothing durable depends on a segment that is being made, so a full disk is no reason to fail. */
  private noteOutOfSpace(error: unknown): false {
    const code = systemErrorCode(error);
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    this.outOfSpace = error;
    return false;
  }

  private abandonPreparation(): void {
    const { preparation, input } = this;
    if (preparation === undefined) return;
    this.preparation = undefined;
    input.fileSystem.close(preparation.handle);
    input.fileSystem.unlink(join(input.directory, temporarySegmentFileName(preparation.id)));
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
  return alignUp(room + HEADER_REGION_BYTES, HEADER_REGION_BYTES);
}

function totalSize(segments: readonly { readonly size: number }[]): number {
  return segments.reduce((sum, { size }) => sum + size, 0);
}
