/**
 * Reading bytes that may be damaged or hostile: every length is checked against the bytes that are there
 * before it is used, and every error names the byte offset where reading stopped.
 */
import { isUint8Array } from 'node:util/types';
import { type ErrorCode, TidemarkError } from '../error.ts';
import { decodeUtf8, isUtf8Range } from './utf8.ts';

/** A length or count of the format is an unsigned 32-bit integer. */
export const U32_MAX = 0xffff_ffff;

/** Positions of a text within the bytes that were read. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** Which bytes to read, and the error that says they are wrong. Offsets count from the start of `bytes`. */
export interface CursorInput {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly code: ErrorCode;
}

export class ByteCursor {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;
  private readonly view: DataView;
  private readonly code: ErrorCode;

  constructor(input: CursorInput) {
    requireBytes(input.bytes, 'bytes');
    this.bytes = input.bytes;
    this.at = input.start;
    this.end = input.end;
    this.code = input.code;
    this.view = viewOf(input.bytes);
  }

  left(): number {
    return this.end - this.at;
  }

  /** Moves past `length` bytes and returns where they begin. */
  take(length: number, what: string): number {
    const start = this.at;
    if (length > this.end - start) {
      throw this.wrong(`${what} takes ${length} bytes, but ${this.end - start} are left`, start);
    }
    this.at = start + length;
    return start;
  }

  u32(what: string): number {
    return this.view.getUint32(this.take(4, what), true);
  }

  u64(what: string): bigint {
    return this.view.getBigUint64(this.take(8, what), true);
  }

  /** A length-prefixed text; checked to be strict UTF-8, not decoded. */
  text(what: string): TextRange {
    const length = this.u32(`the length of ${what}`);
    const start = this.take(length, what);
    if (!isUtf8Range(this.bytes, start, this.at)) throw this.wrong(`${what} is not UTF-8`, start);
    return { start, end: this.at };
  }

  /** The text of a range that `text` returned. */
  decode(range: TextRange): string {
    const text = decodeUtf8(this.bytes, range.start, range.end);
    // It was UTF-8 when it was checked, but another thread can write to shared memory.
    if (text === undefined) throw this.wrong('the bytes changed while they were read', range.start);
    return text;
  }

  /** The error to throw. */
  wrong(problem: string, at: number): TidemarkError {
    return new TidemarkError(this.code, `${problem} (byte offset ${at})`);
  }
}

/** Orders two byte ranges; a prefix comes before what it begins. */
export function compareBytes(a: Uint8Array, aRange: TextRange, b: Uint8Array, bRange: TextRange): number {
  const aLength = aRange.end - aRange.start;
  const bLength = bRange.end - bRange.start;
  const length = Math.min(aLength, bLength);
  for (let i = 0; i < length; i++) {
    const difference = (a[aRange.start + i] as number) - (b[bRange.start + i] as number);
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** A view of the same bytes, so that an offset means the same byte in both. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @throws ERR_TIDEMARK_INVALID_ARGUMENT when `bytes` is anything but a Uint8Array */
export function requireBytes(bytes: Uint8Array, what: string): void {
  if (isUint8Array(bytes)) return;
  throw new TidemarkError('ERR_TIDEMARK_INVALID_ARGUMENT', `${what} must be a Uint8Array`);
}
