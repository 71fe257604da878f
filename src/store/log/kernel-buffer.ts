/**
 * A buffer in which the kernel computes checksums, ten times as fast as plain TypeScript does. There is one for a
 * thread, since shared memory is given back late: who takes it must be done with it before anybody else takes it,
 * and so never yields in between.
 */
import { strict as assert } from 'node:assert';
import { xxh64Into } from '../../codec/xxh64.ts';
import { Kernel } from '../../kernel/kernel.ts';
import { FRAME_ROW_WORDS } from './frame-rows.ts';
import { RECORD_HEADER_BYTES } from './record.ts';

const PAGE_BYTES = 65_536;
/** More are taken from ordinary memory, and summed in TypeScript. */
const LENGTH_MAX = 64 * 1024 * 1024;
/** Where the kernel puts a checksum and what it says of frames; what is taken begins behind them. */
const SUM = 0;
const ROWS = 64;
const ROWS_MAX = 512;
const START = ROWS + ROWS_MAX * FRAME_ROW_WORDS * 4;

class KernelBuffer {
  private readonly memory = new WebAssembly.Memory({
    initial: 1,
    maximum: 1 + LENGTH_MAX / PAGE_BYTES,
    shared: true,
  });
  private readonly kernel = new Kernel(this.memory);
  private readonly sum = new Uint32Array(this.memory.buffer, SUM, 2);
  /** The memory's own answer takes longer than a short checksum. */
  private buffer: ArrayBufferLike = this.memory.buffer;

  take(length: number): Uint8Array {
    const missing = START + length - this.buffer.byteLength;
    if (missing > 0) {
      this.memory.grow(Math.ceil(missing / PAGE_BYTES));
      this.buffer = this.memory.buffer;
    }
    return new Uint8Array(this.buffer, START, length);
  }

  holds(bytes: Uint8Array): boolean {
    return bytes.buffer === this.buffer;
  }

  sealHeaders(headers: Uint8Array, count: number): void {
    const { byteOffset } = headers;
    this.kernel.sealHeaders(byteOffset, count, byteOffset + RECORD_HEADER_BYTES * count);
  }

  goodFrames(bytes: Uint8Array, at: number, end: number, position: number): Uint32Array {
    const first = bytes.byteOffset + at;
    const count = this.kernel.goodFrames(first, bytes.byteOffset + end, position, ROWS, ROWS_MAX);
    return new Uint32Array(this.buffer, ROWS, count * FRAME_ROW_WORDS);
  }

  isRecord(bytes: Uint8Array, at: number, length: number): boolean {
    return this.kernel.isRecord(bytes.byteOffset + at, length) !== 0;
  }

  xxh64Into(bytes: Uint8Array, start: number, end: number, out: Uint32Array): void {
    this.kernel.checksum(SUM, bytes.byteOffset + start, end - start);
    out[0] = this.sum[0] as number;
    out[1] = this.sum[1] as number;
  }
}

let ofThread: KernelBuffer | undefined;

/**
 * Ends the headers of `count` records at the start of the thread's buffer, which holds all of `headers`, with their
 * checksums; behind the headers, these are put once more, one behind the other.
 */
export function sealRecordHeaders(headers: Uint8Array, count: number): void {
  assert(ofThread?.holds(headers) === true && headers.length >= (RECORD_HEADER_BYTES + 8) * count);
  ofThread.sealHeaders(headers, count);
}

/** The buffer of the thread, at `length` bytes; what was taken before is not to be used any more. */
export function takeKernelBuffer(length: number): Uint8Array {
  if (length > LENGTH_MAX) return new Uint8Array(length);
  ofThread ??= new KernelBuffer();
  return ofThread.take(length);
}

/** None, or where the kernel cannot look. */
const NO_ROWS = new Uint32Array(0);

/**
 * Of the good FRAME records that stand one behind the other from `at` on, of one commit, a row of `FRAME_ROW_WORDS`
 * each (see `FrameRows`): not of all of them where they are many, and of none where the kernel cannot look. `position`
 * is that of the first one, in records. Good until the buffer is taken or this is called again.
 */
export function kernelGoodFrames(
  bytes: Uint8Array,
  { at, end, position }: { readonly at: number; readonly end: number; readonly position: number },
): Uint32Array {
  return ofThread?.holds(bytes) === true ? ofThread.goodFrames(bytes, at, end, position) : NO_ROWS;
}

/**
 * Whether at `at` is the record of a frame of `length` bytes, which lie within `bytes`, and header and frame are
 * undamaged. False says nothing: the bytes may lie where the kernel cannot look at them.
 */
export function kernelIsRecord(bytes: Uint8Array, at: number, length: number): boolean {
  return ofThread?.holds(bytes) === true && ofThread.isRecord(bytes, at, length);
}

/** As `xxh64Into` of the codec; by the kernel if the bytes lie in its buffer. The range must lie within them. */
export function kernelXxh64Into(bytes: Uint8Array, start: number, end: number, out: Uint32Array): void {
  if (ofThread?.holds(bytes) === true) ofThread.xxh64Into(bytes, start, end, out);
  else xxh64Into(bytes, start, end, out);
}

const result = new Uint32Array(2);

/** XXH64 of all of `bytes`, by the kernel if they lie in its buffer. */
export function kernelXxh64(bytes: Uint8Array): bigint {
  kernelXxh64Into(bytes, 0, bytes.length, result);
  return (BigInt(result[1] as number) << 32n) | BigInt(result[0] as number);
}
