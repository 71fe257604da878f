// XXH64 with seed 0, after the specification in the xxHash project (doc/xxhash_spec.md, version 0.2.0).

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME_3: u64 = 0x165667b19e3779f9;
const PRIME_4: u64 = 0x85ebca77c2b2ae63;
const PRIME_5: u64 = 0x27d4eb2f165667c5;

const STRIPE_BYTES: usize = 32;

// @ts-expect-error: decorator
@inline
function round(lane: u64, input: u64): u64 {
  return rotl<u64>(lane + input * PRIME_2, 31) * PRIME_1;
}

// @ts-expect-error: decorator
@inline
function merge(hash: u64, lane: u64): u64 {
  return (hash ^ round(0, lane)) * PRIME_1 + PRIME_4;
}

/** XXH64 of the `length` bytes at `start`, which may have any alignment. */
export function xxh64(start: usize, length: usize): u64 {
  return hash(start, start, 0, length);
}

/**
 * Copies `copied` bytes from `from` to `to`, where as many as make up `length` stand behind them already; the XXH64
 * of the `length` bytes at `to`. The hash waits for its multiplications, and the stores take place meanwhile.
 */
export function copyAndXxh64(to: usize, from: usize, copied: usize, length: usize): u64 {
  return hash(to, from, copied, length);
}

// @ts-expect-error: decorator
@inline
function hash(to: usize, from: usize, copied: usize, length: usize): u64 {
  const end = to + length;
  let at = to;
  let sum = PRIME_5;
  if (length >= STRIPE_BYTES) {
    let a: u64 = PRIME_1 + PRIME_2;
    let b: u64 = PRIME_2;
    let c: u64 = 0;
    let d: u64 = 0 - PRIME_1;
    if (copied > 0) {
      const whole = to + (copied & ~(STRIPE_BYTES - 1));
      for (let source = from; at < whole; at += STRIPE_BYTES, source += STRIPE_BYTES) {
        const first = load<u64>(source);
        const second = load<u64>(source, 8);
        const third = load<u64>(source, 16);
        const fourth = load<u64>(source, 24);
        store<u64>(at, first);
        store<u64>(at, second, 8);
        store<u64>(at, third, 16);
        store<u64>(at, fourth, 24);
        a = round(a, first);
        b = round(b, second);
        c = round(c, third);
        d = round(d, fourth);
      }
      memory.copy(at, from + (at - to), to + copied - at);
    }
    const last = end - STRIPE_BYTES;
    for (; at <= last; at += STRIPE_BYTES) {
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      c = round(c, load<u64>(at, 16));
      d = round(d, load<u64>(at, 24));
    }
    sum = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    sum = merge(merge(merge(merge(sum, a), b), c), d);
  } else if (copied > 0) {
    memory.copy(to, from, copied);
  }
  return finish(sum + <u64>length, at, end);
}

// @ts-expect-error: decorator
@inline
function finish(sum: u64, start: usize, end: usize): u64 {
  let hash = sum;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    hash = rotl<u64>(hash ^ round(0, load<u64>(at)), 27) * PRIME_1 + PRIME_4;
  }
  if (at + 4 <= end) {
    hash = rotl<u64>(hash ^ (<u64>load<u32>(at) * PRIME_1), 23) * PRIME_2 + PRIME_3;
    at += 4;
  }
  for (; at < end; at++) {
    hash = rotl<u64>(hash ^ (<u64>load<u8>(at) * PRIME_5), 11) * PRIME_1;
  }
  hash = (hash ^ (hash >> 33)) * PRIME_2;
  hash = (hash ^ (hash >> 29)) * PRIME_3;
  return hash ^ (hash >> 32);
}
