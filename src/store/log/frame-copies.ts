/** Copies frames from where they were read and verified to their places in the engine's memory. */
import { Kernel } from '../../kernel/kernel.ts';
import { bufferOf } from './layout.ts';

/** Up to here copying word by word beats two views and a call. */
const WORDWISE_BYTES_MAX = 1024;

/** The memory that frames are copied to. */
export class TargetMemory {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  /** One that works on it; none if it is no memory of WebAssembly. */
  readonly kernel: Kernel | undefined;

  constructor(memory: WebAssembly.Memory | SharedArrayBuffer) {
    const buffer = bufferOf(memory);
    this.u8 = new Uint8Array(buffer);
    // Not by a shift: 4 GiB are more than its 32 bits.
    this.u32 = new Uint32Array(buffer, 0, Math.floor(buffer.byteLength / 4));
    this.kernel = memory instanceof SharedArrayBuffer ? undefined : new Kernel(memory);
  }
}

/** Where checkpoints go: the byte address of each, one after the other. */
export interface FrameTargets {
  readonly memory: TargetMemory;
  readonly addresses: Float64Array;
}

/** One frame after the other from `bytes`, which begin on a multiple of four, to the addresses from number `next` on. */
export class FrameCopies {
  private readonly targets: FrameTargets;
  private readonly bytes: Uint8Array;
  private readonly words: Uint32Array;
  private next: number;

  constructor(targets: FrameTargets, next: number, bytes: Uint8Array) {
    this.targets = targets;
    this.next = next;
    this.bytes = bytes;
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  }

  copy(start: number, length: number): void {
    const { memory, addresses } = this.targets;
    const address = addresses[this.next] as number;
    this.next += 1;
    if (length > WORDWISE_BYTES_MAX || ((start | address) & 3) !== 0) {
      memory.u8.set(this.bytes.subarray(start, start + length), address);
      return;
    }
    const { words } = this;
    const { u32 } = memory;
    const wordsEnd = (start + length) >>> 2;
    for (let from = start >>> 2, to = address / 4; from < wordsEnd; from++, to++)
      u32[to] = words[from] as number;
    for (let at = start + (length & ~3); at < start + length; at++)
      memory.u8[address + at - start] = this.bytes[at] as number;
  }
}
