/**
 * Frames in an engine's memory, searched by the kernel. It compares names within the memory, so the names that
 * are asked for get a place there: names recur, and each is written once.
 */
import { type FrameSpace, findOffsetIn, findStateIn, keyOf } from '../codec/frame-space.ts';
import type { Kernel } from '../kernel/kernel.ts';

/** A name's place in the memory. Address 0: it has none, being longer than all the room there is. */
interface Key {
  readonly name: string;
  readonly address: number;
  readonly bytes: number;
}

const NOWHERE: Key = { name: '', address: 0, bytes: 0 };

/** The kernel compares up to so many bytes at once, and reads those before a shorter name along with it. */
const VECTOR_BYTES = 16;

/** The thread's room for names, of `bytes` at `address`. */
export interface NameRoom {
  readonly address: number;
  readonly bytes: number;
}

export class KernelFrames implements FrameSpace {
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset = 0;
  private readonly kernelFindState: Kernel['findState'];
  private readonly kernelFindOffset: Kernel['findOffset'];
  private readonly room: NameRoom;
  private readonly keys = new Map<string, Key>();
  /** Where the next name goes. */
  private next: number;
  /** Most readers ask for the same operator and the same source of every frame. */
  private lastOperator: Key = NOWHERE;
  private lastSource: Key = NOWHERE;

  constructor(buffer: SharedArrayBuffer, kernel: Kernel, room: NameRoom) {
    this.buffer = buffer;
    this.u8 = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.kernelFindState = kernel.findState;
    this.kernelFindOffset = kernel.findOffset;
    this.room = room;
    this.next = room.address + VECTOR_BYTES;
  }

  findState(start: number, end: number, name: string): number {
    let key = this.lastOperator;
    if (key.name !== name) {
      key = this.keyOf(name);
      this.lastOperator = key;
    }
    if (key.address === 0) return findStateIn(this, start, keyOf(name));
    return this.kernelFindState(start, end, key.address, key.bytes) >>> 0;
  }

  findOffset(sources: number, end: number, name: string): number {
    let key = this.lastSource;
    if (key.name !== name) {
      key = this.keyOf(name);
      this.lastSource = key;
    }
    if (key.address === 0) return findOffsetIn(this, sources, keyOf(name));
    return this.kernelFindOffset(sources, end, key.address, key.bytes) >>> 0;
  }

  private keyOf(name: string): Key {
    return this.keys.get(name) ?? this.intern(name);
  }

  private intern(name: string): Key {
    const { address, bytes } = this.room;
    const utf8 = keyOf(name);
    if (utf8.length > bytes - VECTOR_BYTES) return { name, address: 0, bytes: utf8.length };
    if (this.next + utf8.length > address + bytes) this.forgetAll();
    const key: Key = { name, address: this.next, bytes: utf8.length };
    this.u8.set(utf8, this.next);
    this.next += utf8.length;
    this.keys.set(name, key);
    return key;
  }

  /** The room is full: the names that are still wanted will be asked for again. */
  private forgetAll(): void {
    this.keys.clear();
    this.lastOperator = NOWHERE;
    this.lastSource = NOWHERE;
    this.next = this.room.address + VECTOR_BYTES;
  }
}
