/**
 * Frames in an engine's memory, searched by the kernel. It compares names within the memory, so the names that
 * are asked for get a place there: names recur, and each is written once.
 */
import { type FrameSpace, findOffsetIn, findStateIn, keyOf } from '../codec/frame-space.ts';
import { encodeUtf8 } from '../codec/utf8.ts';
import type { Kernel } from '../kernel/kernel.ts';

/**
 * A name's place in the memory; address 0: it has none, being longer than all the room there is. And where an entry of
 * that name was found last, in bodies of which layout.
 */
interface Key {
  readonly name: string;
  readonly address: number;
  readonly bytes: number;
  stateLayout: number;
  /** Position of the length of the operator's state in the body; 0: there is none. */
  stateAt: number;
  offsetLayout: number;
  /** Position of the source's offset behind the first source; -1: there is none. */
  offsetAt: number;
}

/** The kernel compares up to so many bytes at once, and reads those before a shorter name along with it. */
const VECTOR_BYTES = 16;

/** Within what the kernel keeps of a layout: the lengths by which it goes, of the known one and of the last other one. */
const KNOWN_BODY_BYTES = 8;
const OTHER_BODY_BYTES = 24;

/** The memory that the kernel works on, as the thread sees it. */
export interface KernelMemory {
  readonly buffer: SharedArrayBuffer;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  readonly kernel: Kernel;
}

/** What the kernel of the thread has in the memory; byte addresses. */
export interface KernelRoom {
  readonly names: number;
  readonly nameBytes: number;
  /** Where it keeps the layout that it met last. */
  readonly knownLayout: number;
}

export class KernelFrames implements FrameSpace {
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset = 0;
  readonly knownLayout: number;
  private readonly u32: Uint32Array;
  private readonly kernelFindState: Kernel['findState'];
  private readonly kernelFindOffset: Kernel['findOffset'];
  private readonly room: KernelRoom;
  private readonly keys = new Map<string, Key>();
  /** Where the next name goes. */
  private next: number;
  /** Most readers ask for the same operator and the same source of every frame. */
  private lastOperator: Key = makeKey('', 0, 0);
  private lastSource: Key = this.lastOperator;

  constructor({ buffer, u8, u32, view, kernel }: KernelMemory, room: KernelRoom) {
    this.buffer = buffer;
    this.u8 = u8;
    this.u32 = u32;
    this.view = view;
    this.kernelFindState = kernel.findState;
    this.kernelFindOffset = kernel.findOffset;
    this.room = room;
    this.knownLayout = room.knownLayout;
    this.next = room.names + VECTOR_BYTES;
    // A thread that used the block before may have died while it wrote there.
    this.forgetLayout();
  }

  /** The kernel knows no layout until it meets one again. */
  forgetLayout(): void {
    this.u32[(this.knownLayout + KNOWN_BODY_BYTES) >>> 2] = 0;
    this.u32[(this.knownLayout + OTHER_BODY_BYTES) >>> 2] = 0;
  }

  /** Number of the layout of the body that the kernel has just checked; 0: it has none. */
  get checkedLayout(): number {
    return this.u32[this.knownLayout >>> 2] as number;
  }

  findState(start: number, end: number, name: string, layout: number): number {
    let key = this.lastOperator;
    if (key.name !== name) {
      key = this.keyOf(name);
      this.lastOperator = key;
    }
    if (layout !== 0 && key.stateLayout === layout) return key.stateAt === 0 ? 0 : start + key.stateAt;
    if (key.address === 0) return findStateIn(this, start, keyOf(name));
    const found = this.kernelFindState(start, end, key.address, key.bytes) >>> 0;
    key.stateLayout = layout;
    key.stateAt = found === 0 ? 0 : found - start;
    return found;
  }

  findOffset(sources: number, end: number, name: string, layout: number): number {
    let key = this.lastSource;
    if (key.name !== name) {
      key = this.keyOf(name);
      this.lastSource = key;
    }
    if (layout !== 0 && key.offsetLayout === layout) return key.offsetAt < 0 ? 0 : sources + key.offsetAt;
    if (key.address === 0) return findOffsetIn(this, sources, keyOf(name));
    const found = this.kernelFindOffset(sources, end, key.address, key.bytes) >>> 0;
    key.offsetLayout = layout;
    key.offsetAt = found === 0 ? -1 : found - sources;
    return found;
  }

  private keyOf(name: string): Key {
    return this.keys.get(name) ?? this.intern(name);
  }

  private intern(name: string): Key {
    const { names, nameBytes } = this.room;
    const utf8 = encodeUtf8(name, 'name');
    if (utf8.length > nameBytes - VECTOR_BYTES) return makeKey(name, 0, utf8.length);
    if (this.next + utf8.length > names + nameBytes) this.forgetAll();
    const key = makeKey(name, this.next, utf8.length);
    this.u8.set(utf8, this.next);
    this.next += utf8.length;
    this.keys.set(name, key);
    return key;
  }

  /** The room is full: the names that are still wanted will be asked for again. */
  private forgetAll(): void {
    this.keys.clear();
    this.lastOperator = makeKey('', 0, 0);
    this.lastSource = this.lastOperator;
    this.next = this.room.names + VECTOR_BYTES;
  }
}

function makeKey(name: string, address: number, bytes: number): Key {
  return { name, address, bytes, stateLayout: 0, stateAt: 0, offsetLayout: 0, offsetAt: -1 };
}
