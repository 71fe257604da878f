/**
 * The kernel on one thread: an instance of the compiled module on the engine's memory. All addresses are
 * byte addresses in that memory.
 */
import { KERNEL_CODE } from './build/kernel-code.ts';

interface KernelExports {
  verify(frame: number, length: number, known: number): number;
  index(body: number, length: number, known: number): number;
  findState(body: number, end: number, key: number, keyBytes: number): number;
  findOffset(sources: number, end: number, key: number, keyBytes: number): number;
  copy(to: number, from: number, length: number): void;
  checksum(out: number, start: number, length: number): void;
  keep(undo: number, image: number, bytes: number, stream: number, position: number): void;
  sealHeaders(headers: number, count: number, sums: number): void;
  isRecord(record: number, length: number): number;
  isFrame(frame: number, length: number): number;
  goodFrames(first: number, end: number, position: number, rows: number, most: number): number;
  seal(frame: number, bodyBytes: number, extensionBytes: number): void;
  encode(frame: number, image: number, bodyBytes: number, extensionBytes: number, createdAtMs: number): void;
}

let compiled: WebAssembly.Module | undefined;

export class Kernel {
  /** Copies within the memory, whatever the alignment; the ranges may overlap. */
  readonly copy: KernelExports['copy'];
  /** Stores the XXH64 of a range as a u64 at `out`. */
  readonly checksum: KernelExports['checksum'];
  /** Ends headers of 64 bytes with their checksums, and stores these once more, one behind the other, at `sums`. */
  readonly sealHeaders: KernelExports['sealHeaders'];
  /** Keeps the bytes of an image, with what is said of them, at `undo`; `image` is 16-byte aligned. */
  readonly keep: KernelExports['keep'];
  /** Not 0: a FRAME record of the log with a frame of so many bytes, whose checksums are right and belong together. */
  readonly isRecord: KernelExports['isRecord'];
  /** Not 0: the range ends with the footer of a frame, whose checksum is right. What is before it is not looked at. */
  readonly isFrame: KernelExports['isFrame'];
  /**
   * How many good FRAME records stand one behind the other from `first` on and end at `end` at the latest; of each, at
   * most `most`, a row of twelve words at `rows`, in which positions count from `position` (in records) on.
   */
  readonly goodFrames: KernelExports['goodFrames'];
  /** Writes the footer behind the body and the extension that begin at `frame`. */
  readonly seal: KernelExports['seal'];
  /** Sets the time of creation (whole milliseconds) in an image and makes a frame of it: the copy and the footer. */
  readonly encode: KernelExports['encode'];

  /**
   * Where in the frame its first source is; 0 unless the range is one whole, undamaged frame. `known` is where the
   * thread keeps the layout that it met last; its first word then numbers that of this frame, or is 0.
   */
  readonly verify: KernelExports['verify'];
  /** The same for a body alone: 0 unless the range is a canonical body. */
  readonly index: KernelExports['index'];
  /**
   * Address of the length of an operator's state in a body that ends at `end`; 0 if there is none of that
   * name. The name's UTF-8 is at `key`, with 16 bytes in front of its end that may be read.
   */
  readonly findState: KernelExports['findState'];
  /** Address of a source's offset in a body that ends at `end`, whose first source is at `sources`. */
  readonly findOffset: KernelExports['findOffset'];

  constructor(memory: WebAssembly.Memory) {
    compiled ??= new WebAssembly.Module(Buffer.from(KERNEL_CODE, 'base64'));
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
    const kernel = exports as unknown as KernelExports;
    this.copy = kernel.copy;
    this.checksum = kernel.checksum;
    this.keep = kernel.keep;
    this.sealHeaders = kernel.sealHeaders;
    this.isRecord = kernel.isRecord;
    this.isFrame = kernel.isFrame;
    this.goodFrames = kernel.goodFrames;
    this.seal = kernel.seal;
    this.encode = kernel.encode;
    this.verify = kernel.verify;
    this.index = kernel.index;
    this.findState = kernel.findState;
    this.findOffset = kernel.findOffset;
  }
}
