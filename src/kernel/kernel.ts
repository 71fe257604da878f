/**
 * The kernel on one thread: an instance of the compiled module on the engine's memory. All addresses are
 * byte addresses in that memory. Each thread has a scratch block of its own for results that do not fit a
 * return value.
 */
import { KERNEL_CODE } from './build/kernel-code.ts';

/** What `verify` and `index` store at `out`, as u32 words; positions count from the start of the frame. */
export const FRAME_PARTS = {
  operatorCount: 0,
  sourceCount: 1,
  sourcesAt: 2,
  bodyEnd: 3,
  streamIdStart: 4,
  streamIdEnd: 5,
  versionsAt: 6,
  metadataCount: 7,
  metadataAt: 8,
  extensionEnd: 9,
} as const;

interface KernelExports {
  verify(frame: number, length: number, out: number): number;
  index(body: number, length: number, out: number): number;
  copy(to: number, from: number, length: number): void;
  checksum(out: number, start: number, length: number): void;
  seal(frame: number, bodyBytes: number, extensionBytes: number): void;
  encode(frame: number, image: number, bodyBytes: number, extensionBytes: number, createdAtMs: number): void;
}

let compiled: WebAssembly.Module | undefined;

export class Kernel {
  /** Copies within the memory, whatever the alignment; the ranges may overlap. */
  readonly copy: KernelExports['copy'];
  /** Stores the XXH64 of a range as a u64 at `out`. */
  readonly checksum: KernelExports['checksum'];
  /** Writes the footer behind the body and the extension that begin at `frame`. */
  readonly seal: KernelExports['seal'];
  /** Makes a frame of an image: the copy, the time of creation (whole milliseconds), the footer. */
  readonly encode: KernelExports['encode'];

  /** 1 if a range is one whole, undamaged frame, whose parts are then at `out`; else 0. */
  readonly verify: KernelExports['verify'];
  /** 1 if a range is a canonical body, whose parts are then at `out`; else 0. */
  readonly index: KernelExports['index'];

  constructor(memory: WebAssembly.Memory) {
    compiled ??= new WebAssembly.Module(Buffer.from(KERNEL_CODE, 'base64'));
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
    const kernel = exports as unknown as KernelExports;
    this.copy = kernel.copy;
    this.checksum = kernel.checksum;
    this.seal = kernel.seal;
    this.encode = kernel.encode;
    this.verify = kernel.verify;
    this.index = kernel.index;
  }
}
