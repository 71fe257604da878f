import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { xxh64, xxh64Into } from '../../src/codec/xxh64.ts';
import { shared } from './arbitrary-state.ts';

const MASK = 0xffff_ffff_ffff_ffffn;
const PRIME = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;

const rotate = (value: bigint, bits: bigint) => ((value << bits) | (value >> (64n - bits))) & MASK;
const round = (lane: bigint, input: bigint) =>
  (rotate((lane + input * PRIME[1]) & MASK, 31n) * PRIME[0]) & MASK;

/** The algorithm as it is specified, one 64-bit word a time. */
function reference(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  let hash: bigint = PRIME[4];
  if (bytes.length >= 32) {
    let lanes = [(PRIME[0] + PRIME[1]) & MASK, PRIME[1], 0n, (MASK + 1n - PRIME[0]) & MASK];
    for (; at + 32 <= bytes.length; at += 32) {
      lanes = lanes.map((lane, i) => round(lane, view.getBigUint64(at + 8 * i, true)));
    }
    const turns = [1n, 7n, 12n, 18n];
    hash = lanes.reduce((sum, lane, i) => (sum + rotate(lane, turns[i] as bigint)) & MASK, 0n);
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * PRIME[0] + PRIME[3]) & MASK;
  }
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8) {
    hash = (rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * PRIME[0] + PRIME[3]) & MASK;
  }
  if (at + 4 <= bytes.length) {
    hash ^= (BigInt(view.getUint32(at, true)) * PRIME[0]) & MASK;
    hash = (rotate(hash, 23n) * PRIME[1] + PRIME[2]) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) {
    hash = (rotate(hash ^ ((BigInt(bytes[at] as number) * PRIME[4]) & MASK), 11n) * PRIME[0]) & MASK;
  }
  hash = ((hash ^ (hash >> 33n)) * PRIME[1]) & MASK;
  hash = ((hash ^ (hash >> 29n)) * PRIME[2]) & MASK;
  return hash ^ (hash >> 32n);
}

/** The buffer that the xxHash project computes its sanity vectors over. */
function sanityBuffer(length: number): Uint8Array {
  let generator = 2654435761n;
  return Uint8Array.from({ length }, () => {
    const byte = Number(generator >> 56n);
    generator = (generator * 11400714785074694797n) & MASK;
    return byte;
  });
}

describe('xxh64', () => {
  test.each([
    ['', 0xef46db3751d8e999n],
    ['a', 0xd24ec4f1a98c6e5bn],
    ['abc', 0x44bc2cf5ad770999n],
    ['ABC', 0xe66ae7354fcfee98n],
    ['foo', 3728699739546630719n],
    ['bar', 5234164152756840025n],
    ['xxhash', 0x32dd38952c4bc720n],
    ['abcd', 0xde0327b0d25d92ccn],
    ['abcdefgh', 0x3ad351775b4634b7n],
  ])('gives the published value of %j', (text, expected) => {
    expect(xxh64(new TextEncoder().encode(text))).toBe(expected);
  });

  test.each([
    [1, 0xe934a84adb052768n],
    [4, 0x9136a0dca57457een],
    [14, 0x8282dcc4994e35c8n],
    [222, 0xb641ae8cb691c174n],
  ])('gives the sanity value of the xxHash project for %i bytes', (length, expected) => {
    expect(xxh64(sanityBuffer(length))).toBe(expected);
  });

  test('agrees with the specification for every length from 0 to 300', () => {
    const bytes = sanityBuffer(300);
    for (let length = 0; length <= 300; length++) {
      expect(xxh64(bytes, 0, length), `length ${length}`).toBe(reference(bytes.subarray(0, length)));
    }
  });

  test('agrees with the specification across the blocks it works in', () => {
    const bytes = sanityBuffer(3 * 16384 + 45);
    for (const length of [16383, 16384, 16385, 16416, 32768, 32800, bytes.length]) {
      expect(xxh64(bytes, 0, length), `length ${length}`).toBe(reference(bytes.subarray(0, length)));
    }
  });

  test('agrees with the specification for any range of any bytes, shared or not', () => {
    const range = fc
      .uint8Array({ maxLength: 200 })
      .chain((bytes) => fc.tuple(fc.constant(bytes), fc.nat(bytes.length), fc.nat(bytes.length)));
    fc.assert(
      fc.property(range, ([bytes, one, other]) => {
        const start = Math.min(one, other);
        const end = Math.max(one, other);
        const expected = reference(bytes.slice(start, end));
        expect(xxh64(bytes, start, end)).toBe(expected);
        expect(xxh64(shared(bytes), start, end)).toBe(expected);
      }),
    );
  });

  test('writes the low word before the high word', () => {
    const out = new Uint32Array(2);
    xxh64Into(new Uint8Array(0), 0, 0, out);
    expect([...out]).toEqual([0x51d8e999, 0xef46db37]);
  });

  test('works beyond the second gigabyte of a large memory', () => {
    const memory = new WebAssembly.Memory({ initial: 33_000, maximum: 65_536, shared: true });
    const bytes = new Uint8Array(memory.buffer);
    const sample = sanityBuffer(20_000);
    const at = 2 ** 31 - 9_001;
    bytes.set(sample, at);
    expect(xxh64(bytes, at, at + sample.length)).toBe(xxh64(sample));
  });

  test.each([
    [-1, 2],
    [3, 2],
    [0, 5],
    [Number.NaN, 2],
  ])('refuses the range %d to %d of four bytes', (start, end) => {
    expect(() => xxh64(new Uint8Array(4), start, end)).toThrow(
      expect.objectContaining({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' }),
    );
  });
});
