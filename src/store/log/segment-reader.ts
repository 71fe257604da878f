/**
 * Reads a segment through one reused buffer, which grows only for a record that is larger than it. Bytes that the
 * file does not have read as zeros, so a truncated segment is one with an unwritten end. One reader belongs
 * to one scan; `bytes` and `view` are good until its next call.
 */
import { type FileHandle, type FileSystem, readFully } from '../file-system.ts';
import { alignUp, RECORD_ALIGN, viewOf } from './layout.ts';
import { RECORD_MAGIC } from './record.ts';

export const SCAN_WINDOW_BYTES = 1024 * 1024;
/** For scans that skip payloads, where a large window would mostly be read in vain. */
export const SKIM_WINDOW_BYTES = 64 * 1024;

export interface SegmentFile {
  readonly fileSystem: FileSystem;
  readonly handle: FileHandle;
  /** Bytes of the segment, whether or not the file has them. */
  readonly size: number;
}

/** Fills `target` from `position`; what the file does not have is zeros. */
export function readSegmentOnDisk(
  { fileSystem, handle }: Pick<SegmentFile, 'fileSystem' | 'handle'>,
  target: Uint8Array,
  position: number,
): void {
  target.fill(0, readFully(fileSystem, handle, target, position));
}

export class SegmentReader {
  readonly size: number;
  bytes: Uint8Array;
  view: DataView;
  private words: Uint32Array;
  private readonly file: SegmentFile;
  private readonly allocate: (length: number) => Uint8Array;
  /** The part of the segment that `bytes` hold. */
  private start = 0;
  private end = 0;

  /** `allocate` makes the buffer, and a larger one in its place; on a multiple of four. */
  constructor(
    file: SegmentFile,
    windowBytes = SCAN_WINDOW_BYTES,
    allocate: (length: number) => Uint8Array = (length) => new Uint8Array(length),
  ) {
    this.file = file;
    this.size = file.size;
    this.allocate = allocate;
    this.bytes = allocate(windowBytes);
    this.view = viewOf(this.bytes);
    this.words = wordsOf(this.bytes);
  }

  /**
   * Makes `length` bytes from `position` (a multiple of the record alignment) available and returns where in
   * `bytes` they begin. The caller has checked that they lie within the segment.
   */
  load(position: number, length: number): number {
    if (position < this.start || position + length > this.end) this.fill(position, length);
    return position - this.start;
  }

  /** Where in `bytes` what is available ends. */
  get loadedEnd(): number {
    return this.end - this.start;
  }

  /** The first place from `position` on where a record could begin, or the end of the segment. */
  nextCandidate(position: number): number {
    for (let at = position; at + RECORD_ALIGN <= this.size; ) {
      let index = this.load(at, RECORD_ALIGN) >>> 2;
      const last = (this.end - this.start - RECORD_ALIGN) >>> 2;
      while (index <= last) {
        if (this.words[index] === RECORD_MAGIC) return this.start + 4 * index;
        index += RECORD_ALIGN / 4;
      }
      at = this.start + 4 * index;
    }
    return this.size;
  }

  private fill(position: number, length: number): void {
    if (length > this.bytes.length) {
      this.bytes = this.allocate(alignUp(length, 4096));
      this.view = viewOf(this.bytes);
      this.words = wordsOf(this.bytes);
    }
    const wanted = Math.min(this.bytes.length, this.size - position);
    readSegmentOnDisk(this.file, this.bytes.subarray(0, wanted), position);
    this.start = position;
    this.end = position + wanted;
  }
}

function wordsOf({ buffer, byteOffset, length }: Uint8Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length >>> 2);
}
