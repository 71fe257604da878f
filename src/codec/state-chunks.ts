/**
 * Buffers that the states of decoded bodies share, like those of Node.js's Buffer: making one costs as much as
 * copying tens of kilobytes into it.
 *
 * - States lie one behind the other, each at a multiple of 8, as arrays of numbers must.
 * - A state that is kept keeps its chunk, so there are smaller ones for short bodies.
 * - A chunk cannot be transferred to another thread, which would take all the states in it along.
 */
import { markAsUntransferable } from 'node:worker_threads';

const ALIGNMENT = 8;
/** A quarter, so that little of a chunk is lost where the next body does not fit. */
const BODIES_PER_CHUNK_MIN = 4;

export class Chunk {
  /** Not asked of the bytes each time, which would be a call. */
  private readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** A multiple of 8: up to here it holds states. */
  used = 0;

  constructor(byteLength: number) {
    // Bytes are written before they are read, so they need not be zero.
    this.buffer = Buffer.allocUnsafeSlow(byteLength).buffer as ArrayBuffer;
    this.bytes = new Uint8Array(this.buffer);
    this.view = new DataView(this.buffer);
    markAsUntransferable(this.buffer);
  }

  /** Takes in a state of which the bytes are in the chunk already, from `start` on, at or behind `used`. */
  keep(start: number, length: number): Uint8Array {
    const to = this.used;
    this.bytes.copyWithin(to, start, start + length);
    this.used = (to + length + ALIGNMENT - 1) & -ALIGNMENT;
    return new Uint8Array(this.buffer, to, length);
  }
}

/** One chunk after the other, all of one size. */
export class Chunks {
  readonly bodyBytesMax: number;
  private readonly chunkBytes: number;
  /** The one that was asked for last. */
  current: Chunk;

  constructor(chunkBytes: number) {
    this.chunkBytes = chunkBytes;
    this.bodyBytesMax = chunkBytes / BODIES_PER_CHUNK_MIN;
    this.current = new Chunk(chunkBytes);
  }

  /** A chunk with room for so many bytes, at most `bodyBytesMax`. */
  withRoom(length: number): Chunk {
    if (length > this.chunkBytes - this.current.used) this.current = new Chunk(this.chunkBytes);
    return this.current;
  }
}
