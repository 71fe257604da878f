/**
 * The one shared memory of an engine and the views that every thread uses on it.
 *
 * A shared `WebAssembly.Memory` rather than a plain SharedArrayBuffer, because a kernel instance of any
 * thread can then work on the same bytes. It is reserved once and never grows, so views never detach;
 * pages are committed by the operating system on first touch.
 */

import { Kernel } from '../kernel/kernel.ts';
import { KernelFrames } from './kernel-frames.ts';
import { KNOWN_LAYOUT_AT, NAMES_AT, NAMES_BYTES, SCRATCH_AT, STAGING_AT, STAGING_BYTES } from './layout.ts';

const WASM_PAGE_BYTES = 65_536;
/** Fewer bytes are copied as fast one by one. */
const STAGED_BYTES_MIN = 64;

export class EngineMemory {
  readonly memory: WebAssembly.Memory;
  readonly buffer: SharedArrayBuffer;
  readonly u8: Uint8Array<SharedArrayBuffer>;
  readonly u32: Uint32Array<SharedArrayBuffer>;
  readonly i32: Int32Array<SharedArrayBuffer>;
  readonly u64: BigUint64Array<SharedArrayBuffer>;
  /** For counts and positions below 2^53, which a bigint would be slow for. */
  readonly f64: Float64Array<SharedArrayBuffer>;
  readonly view: DataView<SharedArrayBuffer>;
  /** This thread's instance of the kernel, on this memory. */
  readonly kernel: Kernel;
  /** How views find what is in a frame of this memory. */
  readonly frames: KernelFrames;
  /** For text: the only view that encodes and decodes UTF-8 in shared memory. */
  readonly text: Buffer<SharedArrayBuffer>;

  /** Address of the block in which this thread's kernel stores results. */
  readonly scratch: number;

  /** Address of the page through which badly aligned bytes are copied in. */
  readonly #staging: number;

  /** `block` is the address of the thread's own block: 0 on the main thread, its arena's on a shard. */
  constructor(memory: WebAssembly.Memory, block = 0) {
    const buffer: unknown = memory.buffer;
    if (!(buffer instanceof SharedArrayBuffer)) throw new TypeError('the memory of an engine is shared');
    this.memory = memory;
    this.scratch = block + SCRATCH_AT;
    this.#staging = block + STAGING_AT;
    this.kernel = new Kernel(memory);
    this.buffer = buffer;
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.view = new DataView(buffer);
    this.text = Buffer.from(buffer);
    this.frames = new KernelFrames(this, {
      names: block + NAMES_AT,
      nameBytes: NAMES_BYTES,
      knownLayout: block + KNOWN_LAYOUT_AT,
    });
  }

  /** Stores `value`, which must be one, as a u64 at `address`, a multiple of 8. */
  writeU64(address: number, value: number | bigint): void {
    if (typeof value === 'bigint') {
      this.u64[address / 8] = value;
      return;
    }
    // Stores into a Uint32Array take the value modulo 2^32.
    this.u32[address >>> 2] = value;
    this.u32[(address >>> 2) + 1] = Math.floor(value / 2 ** 32);
  }

  /**
   * Copies bytes from elsewhere to address `to`. V8 copies into shared memory byte by byte unless both
   * sides are aligned alike; then it pays to go through a page that is, and on with the kernel.
   */
  copyIn(bytes: Uint8Array, to: number): void {
    const misalignment = (bytes.byteOffset ^ to) & 7;
    if (misalignment === 0 || bytes.length < STAGED_BYTES_MIN) {
      this.u8.set(bytes, to);
      return;
    }
    const staging = this.#staging + (bytes.byteOffset & 7);
    const most = STAGING_BYTES - 8;
    if (bytes.length <= most) {
      this.u8.set(bytes, staging);
      this.kernel.copy(to, staging, bytes.length);
      return;
    }
    for (let at = 0; at < bytes.length; at += most) {
      const piece = bytes.subarray(at, at + most);
      this.u8.set(piece, staging);
      this.kernel.copy(to + at, staging, piece.length);
    }
  }

  /** Reserves `bytes` rounded up to 64 KiB. Throws the platform's RangeError when that is not to be had. */
  static reserve(bytes: number): EngineMemory {
    const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
    return new EngineMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
  }
}
