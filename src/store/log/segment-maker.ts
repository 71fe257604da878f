/**
 * Makes segment files and sees to it that they have blocks. A file gets its final name only when it has its whole
 * length and that is durable; nothing durable depends on it before. Owned by the thread that writes the log.
 *
 * A segment is best filled with zeros before its use: a commit into blocks that the file system has given out
 * already is a good deal faster, and finds no full disk. When a commit waits for a segment there is no time for that:
 * to fill it first would be to write everything twice. It is made without blocks then, and what is still a hole of it
 * is filled when the log is quiet.
 */
import { join } from 'node:path';
import { type FileHandle, type FileSystem, systemErrorCode, writeFully } from '../file-system.ts';
import { HEADER_REGION_BYTES, SECTOR_BYTES, segmentFileName, temporarySegmentFileName } from './layout.ts';
import { encodeSegmentHeader } from './segment-header.ts';

/** A segment file under its final name. */
export interface MadeSegment {
  readonly id: number;
  readonly handle: FileHandle;
  readonly size: number;
  /** It has blocks up to here; behind it there may be holes. */
  filled: number;
}

export interface SegmentMakerInput {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly directoryId: Uint8Array;
  /** Greater than every number in the directory. */
  readonly nextId: number;
}

/** Zeros are written in pieces, so that what waits for the thread does not wait for a whole segment. */
const ZERO_CHUNK_BYTES = 1024 * 1024;
const ZEROS = new Uint8Array(ZERO_CHUNK_BYTES);
/** A segment is made without blocks while the disk has this many times its size, and so many bytes more. */
const AMPLE_FACTOR = 2;
const AMPLE_BYTES = 64 * 1024 * 1024;

export class SegmentMaker {
  /** Why the disk was full when a file last wanted blocks; undefined once one got them. */
  outOfSpace: unknown;
  private readonly input: SegmentMakerInput;
  /** Under its temporary name. */
  private making: MadeSegment | undefined;
  private nextId: number;

  constructor(input: SegmentMakerInput) {
    this.input = input;
    this.nextId = input.nextId;
  }

  /** Bytes of the segment that is being made; 0: none is. */
  get size(): number {
    return this.making?.size ?? 0;
  }

  /** Begins a segment of `size` bytes; false when the disk is full. */
  start(size: number): boolean {
    const { fileSystem, directory } = this.input;
    const id = this.nextId;
    this.nextId += 1;
    return this.withSpace(() => {
      const handle = fileSystem.open(join(directory, temporarySegmentFileName(id)), 'create');
      this.making = { id, handle, size, filled: 0 };
    });
  }

  /** Whether a segment without blocks will get them, whatever else is written meanwhile within reason. */
  hasAmpleSpace(): boolean {
    const { fileSystem, directory } = this.input;
    return fileSystem.freeBytes(directory) >= AMPLE_FACTOR * this.size + AMPLE_BYTES;
  }

  /** Fills a piece of the segment that is being made; false when there is nothing left to fill. */
  fillPiece(): boolean {
    const { making } = this;
    if (making === undefined || making.filled >= making.size) return false;
    if (this.fillHole(making, making.filled)) return true;
    this.abandon();
    return false;
  }

  /**
   * Writes zeros to what may be a hole at `from`, where nothing is that counts. False when the disk is full.
   */
  fillHole(segment: Pick<MadeSegment, 'handle' | 'size' | 'filled'>, from: number): boolean {
    const { fileSystem } = this.input;
    return this.withSpace(() => {
      const piece = ZEROS.subarray(0, Math.min(ZERO_CHUNK_BYTES, segment.size - from));
      writeFully(fileSystem, segment.handle, [piece], from);
      fileSystem.datasync(segment.handle);
      segment.filled = from + piece.length;
    });
  }

  /**
   * Gives the segment, filled or not, its final name, which the caller makes durable. Undefined when none is made, or
   * the disk is full.
   */
  finish(): MadeSegment | undefined {
    const { making, input } = this;
    if (making === undefined) return undefined;
    const { fileSystem, directory, directoryId } = input;
    const { id, handle, size, filled } = making;
    const isWhole = this.withSpace(() => {
      // What lies between reads as zeros.
      if (filled < size)
        writeFully(fileSystem, handle, [ZEROS.subarray(0, SECTOR_BYTES)], size - SECTOR_BYTES);
      const copy = encodeSegmentHeader({
        directoryId,
        segment: id,
        size,
        lap: 0,
        firstCommit: 0,
        generation: 0,
        previousIndex: 0,
      });
      writeFully(fileSystem, handle, [copy, copy], 0);
      fileSystem.sync(handle);
      fileSystem.rename(join(directory, temporarySegmentFileName(id)), join(directory, segmentFileName(id)));
    });
    if (!isWhole) {
      this.abandon();
      return undefined;
    }
    making.filled = Math.max(filled, HEADER_REGION_BYTES);
    this.making = undefined;
    return making;
  }

  abandon(): void {
    const { making, input } = this;
    if (making === undefined) return;
    this.making = undefined;
    input.fileSystem.close(making.handle);
    input.fileSystem.unlink(join(input.directory, temporarySegmentFileName(making.id)));
  }

  /** Does something that wants blocks; false when the disk has none. Nothing durable may depend on it yet. */
  withSpace(work: () => void): boolean {
    try {
      work();
      this.outOfSpace = undefined;
      return true;
    } catch (error) {
      const code = systemErrorCode(error);
      if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
      this.outOfSpace = error;
      return false;
    }
  }
}
