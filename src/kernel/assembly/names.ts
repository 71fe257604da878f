// Names: strict UTF-8, ascending by their bytes. Most have at most 16 bytes, which is one vector. What is read along
// with a name counts for nothing, and always lies in the same frame: in front of the first name of a frame or body
// there are 32 bytes, and behind a name no more is read than the caller says there is.

export const VECTOR_BYTES: usize = 16;

/**
 * Less than, equal to or greater than 0, as the bytes of `a` sort before, with or after those of `b`, which
 * lies behind `a`; both lie before `end`.
 */
// @ts-ignore: decorator
@inline
export function compare(a: usize, aBytes: usize, b: usize, bBytes: usize, end: usize): i32 {
  const shared = min(aBytes, bBytes);
  for (let at: usize = 0; at < shared; at += VECTOR_BYTES) {
    if (end - b < at + VECTOR_BYTES) return compareBytes(a + at, aBytes - at, b + at, bBytes - at);
    const alike: usize = ctz(~i8x16.bitmask(i8x16.eq(v128.load(a + at), v128.load(b + at))));
    if (alike == VECTOR_BYTES) continue;
    const first = at + alike;
    if (first < shared) return <i32>load<u8>(a + first) - <i32>load<u8>(b + first);
    break;
  }
  return compareLengths(aBytes, bBytes);
}

function compareBytes(a: usize, aBytes: usize, b: usize, bBytes: usize): i32 {
  const shared = min(aBytes, bBytes);
  for (let i: usize = 0; i < shared; i++) {
    const difference = <i32>load<u8>(a + i) - <i32>load<u8>(b + i);
    if (difference != 0) return difference;
  }
  return compareLengths(aBytes, bBytes);
}

// @ts-ignore: decorator
@inline
function compareLengths(aBytes: usize, bBytes: usize): i32 {
  return aBytes < bBytes ? -1 : aBytes > bBytes ? 1 : 0;
}

/** Whether the `bytes` at `a` and at `b` are the same; at least 16 bytes in front of the end of both can be read. */
// @ts-ignore: decorator
@inline
export function isSame(a: usize, b: usize, bytes: usize): bool {
  if (bytes <= VECTOR_BYTES) return isSameTail(a + bytes, b + bytes, bytes);
  for (let at: usize = 0; at + VECTOR_BYTES <= bytes; at += VECTOR_BYTES)
    if (!isSameTail(a + at + VECTOR_BYTES, b + at + VECTOR_BYTES, VECTOR_BYTES)) return false;
  return isSameTail(a + bytes, b + bytes, VECTOR_BYTES);
}

/** Whether the last `bytes`, at most 16, before `aEnd` and `bEnd` are the same. */
// @ts-ignore: decorator
@inline
export function isSameTail(aEnd: usize, bEnd: usize, bytes: usize): bool {
  const alike = i8x16.bitmask(i8x16.eq(v128.load(aEnd - VECTOR_BYTES), v128.load(bEnd - VECTOR_BYTES)));
  return (~alike & 0xffff) >>> <i32>(VECTOR_BYTES - bytes) == 0;
}

/** Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF, nothing cut. */
// @ts-ignore: decorator
@inline
export function isUtf8(start: usize, end: usize): bool {
  const bytes = end - start;
  if (bytes <= VECTOR_BYTES) {
    // The sign bits of the bytes that are not ASCII; those in front of the name are shifted out.
    const high = i8x16.bitmask(v128.load(end - VECTOR_BYTES)) >>> <i32>(VECTOR_BYTES - bytes);
    return high == 0 || isUtf8Bytes(start, end);
  }
  return isLongUtf8(start, end);
}

function isLongUtf8(start: usize, end: usize): bool {
  let at = start;
  while (end - at >= VECTOR_BYTES && i8x16.bitmask(v128.load(at)) == 0) at += VECTOR_BYTES;
  return isUtf8Bytes(at, end);
}

function isUtf8Bytes(start: usize, end: usize): bool {
  let at = start;
  while (at < end) {
    const lead: u32 = load<u8>(at);
    if (lead < 0x80) {
      at++;
      continue;
    }
    // The second byte's bounds rule out what is overlong, a surrogate or too great.
    let more: usize = 1;
    let least: u32 = 0x80;
    let most: u32 = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
      more = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead == 0xe0) least = 0xa0;
      if (lead == 0xed) most = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead == 0xf0) least = 0x90;
      if (lead == 0xf4) most = 0x8f;
    } else {
      return false;
    }
    if (end - at <= more) return false;
    const second: u32 = load<u8>(at, 1);
    if (second < least || second > most) return false;
    for (let i: usize = 2; i <= more; i++) if ((load<u8>(at + i) & 0xc0) != 0x80) return false;
    at += more + 1;
  }
  return true;
}
