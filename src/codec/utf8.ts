/**
 * Text as the format holds it: strict UTF-8, ordered by its bytes.
 *
 * Bytes may lie in shared memory. Decoders may refuse shared bytes, and another thread may change them
 * between a check and a use, so text outside ASCII is copied before it is decoded.
 */
import { isUtf8 } from 'node:buffer';
import { TidemarkError } from '../error.ts';

const encoder = new TextEncoder();
/** `ignoreBOM` keeps a leading U+FEFF: it is part of the name. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Up to here appending characters beats a call into the decoder. */
const SHORT_BYTES_MAX = 32;

/**
 * Throws unless `text` is a string without unpaired surrogates, which UTF-8 cannot express. `what` names
 * the text in the error.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT
 */
export function requireText(text: string, what: string): void {
  if (typeof text === 'string' && text.isWellFormed()) return;
  const found = typeof text === 'string' ? 'an unpaired surrogate' : typeof text;
  throw new TidemarkError(
    'ERR_TIDEMARK_INVALID_ARGUMENT',
    `${what} must be a string of well-formed Unicode, got ${found}`,
  );
}

/**
 * UTF-8 of `text`, in memory of its own.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT naming `what` when `text` has an unpaired surrogate
 */
export function encodeUtf8(text: string, what: string): Uint8Array {
  requireText(text, what);
  return encoder.encode(text);
}

/** Length in bytes of the UTF-8 of `text`, which must be well-formed. */
export function utf8ByteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

/**
 * The text in `bytes` from `start` up to `end`, or undefined when that is not strict UTF-8 (overlong
 * forms, surrogates, cut sequences). A leading U+FEFF is kept.
 */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start <= SHORT_BYTES_MAX) {
    let text = '';
    let at = start;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    if (at === end) return text;
  }
  const copy = new Uint8Array(end - start);
  copy.set(bytes.subarray(start, end));
  try {
    return decoder.decode(copy);
  } catch {
    // A fatal decoder reports every malformed input by throwing.
    return undefined;
  }
}

/** Whether `decodeUtf8` would give a text. */
export function isUtf8Range(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if ((bytes[at] as number) >= 0x80) {
      const copy = new Uint8Array(end - at);
      copy.set(bytes.subarray(at, end));
      return isUtf8(copy);
    }
  }
  return true;
}

/**
 * Orders texts by their UTF-8 bytes, which is code point order, without encoding them. Negative: `a`
 * first; positive: `b` first; 0: equal.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return codePointRank(left) - codePointRank(right);
  }
  return a.length - b.length;
}

/** A surrogate stands for a code point above U+FFFF, so it ranks after U+E000 to U+FFFF. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/**
 * Writes the UTF-8 of `text`, which must be well-formed, at `at` and returns where it ends. `target` has
 * room for it.
 */
export function writeUtf8(target: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) return at + i + encoder.encodeInto(text.slice(i), target.subarray(at + i)).written;
    target[at + i] = unit;
  }
  return at + text.length;
}
