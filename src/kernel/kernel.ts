/**
 * The kernel on one thread: an instance of the compiled module on the engine's memory. All addresses are
 * byte addresses in that memory. Each thread has a scratch block of its own for results that do not fit a
 * return value.
 */
import { KERNEL_CODE } from './build/kernel-code.ts';

interface KernelExports {
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

  constructor(memory: WebAssembly.Memory) {
    compiled ??= new WebAssembly.Module(Buffer.from(KERNEL_CODE, 'base64'));
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
    const kernel = exports as unknown as KernelExports;
    this.copy = kernel.copy;
    this.checksum = kernel.checksum;
    this.seal = kernel.seal;
    this.encode = kernel.encode;
  }
}
