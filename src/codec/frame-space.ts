/**
 * Bytes in which frames lie, and how an entry is found there by its name. An engine's memory has the kernel
 * look; bytes of any other kind are searched here.
 */
import { BODY_OPERATOR_COUNT } from './body.ts';
import { viewOf } from './cursor.ts';
import { OPERATORS_AT, TEXT_HEAD_BYTES } from './frame-parts.ts';
import { encodeUtf8 } from './utf8.ts';

const OFFSET_BYTES = 8;
/** UTF-8 of names asked for before; names recur. At most 1 MiB of it, so what is longer is encoded each time. */
const keys = new Map<string, Uint8Array>();
const KEYS_MAX = 4_096;
const KEPT_KEY_BYTES_MAX = 256;

/**
 * Positions count from the start of `u8`. A layout is a number that bodies have in common whose entries have the same
 * names and are in the same places; 0 says nothing.
 */
export interface FrameSpace {
  readonly u8: Uint8Array;
  /** Spans the same bytes as `u8`. */
  readonly view: DataView;
  readonly buffer: ArrayBufferLike;
  /** Where `u8` begins in `buffer`. */
  readonly byteOffset: number;
  /**
   * Where the length of the state of the operator `name` is in the checked body from `start` up to `end`; 0 if
   * there is none.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `name` has an unpaired surrogate
   */
  findState(start: number, end: number, name: string, layout: number): number;
  /**
   * Where the offset of the source `name` is in a checked body that ends at `end` and whose first source is at
   * `sources`; 0 if there is none.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `name` has an unpaired surrogate
   */
  findOffset(sources: number, end: number, name: string, layout: number): number;
}

/** Bytes that are nobody's memory but their own, as a whole. */
export class OwnBytes implements FrameSpace {
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;

  constructor(bytes: Uint8Array) {
    this.u8 = bytes;
    this.view = viewOf(bytes);
    this.buffer = bytes.buffer;
    this.byteOffset = bytes.byteOffset;
  }

  findState(start: number, _end: number, name: string): number {
    return findStateIn(this, start, keyOf(name));
  }

  findOffset(sources: number, _end: number, name: string): number {
    return findOffsetIn(this, sources, keyOf(name));
  }
}

type Bytes = Pick<FrameSpace, 'u8' | 'view'>;

export function findStateIn({ u8, view }: Bytes, start: number, key: Uint8Array): number {
  let at = start + OPERATORS_AT;
  for (let left = view.getUint32(start + BODY_OPERATOR_COUNT, true); left > 0; left--) {
    const nameBytes = view.getUint32(at, true);
    const state = at + TEXT_HEAD_BYTES + nameBytes;
    if (nameBytes === key.length && endsWith(u8, state, key)) return state;
    at = state + TEXT_HEAD_BYTES + view.getUint32(state, true);
  }
  return 0;
}

export function findOffsetIn({ u8, view }: Bytes, sources: number, key: Uint8Array): number {
  let at = sources;
  for (let left = view.getUint32(sources - 4, true); left > 0; left--) {
    const nameBytes = view.getUint32(at, true);
    const offset = at + TEXT_HEAD_BYTES + nameBytes;
    if (nameBytes === key.length && endsWith(u8, offset, key)) return offset;
    at = offset + OFFSET_BYTES;
  }
  return 0;
}

/** Whether the bytes before `end` are `key`. Names of one length tend to differ at their end. */
function endsWith(u8: Uint8Array, end: number, key: Uint8Array): boolean {
  for (let i = 1; i <= key.length; i++) {
    if (u8[end - i] !== key[key.length - i]) return false;
  }
  return true;
}

/**
 * UTF-8 of a name that entries are searched for.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `name` has an unpaired surrogate
 */
export function keyOf(name: string): Uint8Array {
  const kept = keys.get(name);
  if (kept !== undefined) return kept;
  const key = encodeUtf8(name, 'name');
  if (key.length > KEPT_KEY_BYTES_MAX) return key;
  if (keys.size >= KEYS_MAX) keys.clear();
  keys.set(name, key);
  return key;
}
