/**
 * XXH64 with seed 0, the checksum of frames, in plain TypeScript.
 *
 * 64-bit words are held as two 32-bit limbs: BigInt arithmetic allocates on every step. The four lanes of
 * the algorithm are independent, so each runs over a block on its own with its limbs in registers; a
 * block is small enough to stay in the first-level cache for the other three. Input is read a byte at a
 * time because a DataView would have to be allocated; engines merge the four reads of a word well.
 *
 * The scratch words are per thread (a module instance belongs to one thread) and nothing here yields, so
 * calls cannot overlap.
 */
import { TidemarkError } from '../error.ts';

const PRIME1_LOW = 0x85ebca87 | 0;
const PRIME1_HIGH = 0x9e3779b1 | 0;
const PRIME2_LOW = 0x27d4eb4f | 0;
const PRIME2_HIGH = 0xc2b2ae3d | 0;
const PRIME3_LOW = 0x9e3779f9 | 0;
const PRIME3_HIGH = 0x165667b1 | 0;
const PRIME4_LOW = 0xc2b2ae63 | 0;
const PRIME4_HIGH = 0x85ebca77 | 0;
const PRIME5_LOW = 0x165667c5 | 0;
const PRIME5_HIGH = 0x27d4eb2f | 0;

/** How far each lane is rotated when they are merged. */
const LANE_TURNS = [1, 7, 12, 18] as const;

const STRIPE_BYTES = 32;
/** A multiple of the stripe. */
const BLOCK_BYTES = 16384;
/** Indices above this are no longer 32-bit integers, and the lane loop would run forty times slower. */
const SMALL_INDEX_MAX = 0x7fffffff;

/** Low and high limb of each of the four lanes. */
const lanes = new Int32Array(8);
/** Low and high limb of the running hash after the lanes are merged. */
const hash = new Int32Array(2);
const result = new Uint32Array(2);

/**
 * XXH64 (seed 0) of `bytes` from `start` up to `end` (default: all of it).
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT when the range does not lie within `bytes`
 */
export function xxh64(bytes: Uint8Array, start = 0, end = bytes.length): bigint {
  xxh64Into(bytes, start, end, result);
  return (BigInt(result[1] as number) << 32n) | BigInt(result[0] as number);
}

/**
 * Writes the XXH64 (seed 0) of `bytes` from `start` up to `end` to `out` as [low, high]. Allocates
 * nothing unless the range reaches beyond 2 GiB.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT when the range does not lie within `bytes`
 */
export function xxh64Into(bytes: Uint8Array, start: number, end: number, out: Uint32Array): void {
  if (!(start >= 0 && start <= end && end <= bytes.length)) {
    throw new TidemarkError(
      'ERR_TIDEMARK_INVALID_ARGUMENT',
      `cannot checksum bytes ${start} to ${end} of ${bytes.length}`,
    );
  }
  const length = end - start;
  const tail = end - (length % STRIPE_BYTES);
  if (length >= STRIPE_BYTES) {
    absorbStripes(bytes, start, tail);
    mergeLanes();
  } else {
    hash[0] = PRIME5_LOW;
    hash[1] = PRIME5_HIGH;
  }
  addToHash(length | 0, Math.floor(length / 0x1_0000_0000));
  absorbTail(bytes, tail, end);
  avalanche();
  out[0] = hash[0] as number;
  out[1] = hash[1] as number;
}

function absorbStripes(bytes: Uint8Array, start: number, end: number): void {
  // Lanes begin at prime1 + prime2, prime2, 0 and -prime1.
  const sum = PRIME1_LOW + PRIME2_LOW;
  lanes[0] = sum;
  lanes[1] = PRIME1_HIGH + PRIME2_HIGH + (sum >>> 0 < PRIME1_LOW >>> 0 ? 1 : 0);
  lanes[2] = PRIME2_LOW;
  lanes[3] = PRIME2_HIGH;
  lanes[4] = 0;
  lanes[5] = 0;
  lanes[6] = -PRIME1_LOW;
  lanes[7] = ~PRIME1_HIGH;
  for (let at = start; at < end; at += BLOCK_BYTES) {
    const blockEnd = Math.min(at + BLOCK_BYTES, end);
    if (blockEnd <= SMALL_INDEX_MAX) {
      for (let lane = 0; lane < 4; lane++) absorbLane(bytes, at + 8 * lane, blockEnd, lane);
    } else {
      const block = bytes.subarray(at, blockEnd);
      for (let lane = 0; lane < 4; lane++) absorbLane(block, 8 * lane, blockEnd - at, lane);
    }
  }
}

/** One round per stripe: lane = rotate(lane + input * prime2, 31) * prime1. */
function absorbLane(bytes: Uint8Array, start: number, end: number, lane: number): void {
  let low = lanes[2 * lane] as number;
  let high = lanes[2 * lane + 1] as number;
  for (let at = start; at < end; at += STRIPE_BYTES) {
    const inputLow = word(bytes, at);
    const inputHigh = word(bytes, at + 4);
    const productLow = Math.imul(inputLow, PRIME2_LOW);
    const sum = (low + productLow) | 0;
    high = (high + timesHigh(inputLow, inputHigh, PRIME2_LOW, PRIME2_HIGH) + carry(sum, productLow)) | 0;
    const turnedLow = (sum << 31) | (high >>> 1);
    const turnedHigh = (high << 31) | (sum >>> 1);
    high = timesHigh(turnedLow, turnedHigh, PRIME1_LOW, PRIME1_HIGH);
    low = Math.imul(turnedLow, PRIME1_LOW);
  }
  lanes[2 * lane] = low;
  lanes[2 * lane + 1] = high;
}

/** The high limb of a 64-bit product; the low limb is `Math.imul` of the low limbs. */
function timesHigh(low: number, high: number, byLow: number, byHigh: number): number {
  const right = low & 0xffff;
  const left = low >>> 16;
  const byRight = byLow & 0xffff;
  const byLeft = byLow >>> 16;
  const middle = (Math.imul(left, byRight) + (Math.imul(right, byRight) >>> 16)) | 0;
  const cross = (Math.imul(right, byLeft) + (middle & 0xffff)) | 0;
  const upper = Math.imul(left, byLeft) + (middle >>> 16) + (cross >>> 16);
  return (upper + Math.imul(low, byHigh) + Math.imul(high, byLow)) | 0;
}

/** 1 when the 32-bit `sum` of `addend` and something else wrapped. */
function carry(sum: number, addend: number): number {
  return sum >>> 0 < addend >>> 0 ? 1 : 0;
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function addToHash(low: number, high: number): void {
  const sum = ((hash[0] as number) + low) | 0;
  hash[0] = sum;
  hash[1] = (hash[1] as number) + high + carry(sum, low);
}

function multiplyHash(byLow: number, byHigh: number): void {
  const low = hash[0] as number;
  hash[1] = timesHigh(low, hash[1] as number, byLow, byHigh);
  hash[0] = Math.imul(low, byLow);
}

/** `bits` from 1 to 31. */
function rotateHash(bits: number): void {
  const low = hash[0] as number;
  const high = hash[1] as number;
  hash[0] = (low << bits) | (high >>> (32 - bits));
  hash[1] = (high << bits) | (low >>> (32 - bits));
}

function xorHash(low: number, high: number): void {
  hash[0] = (hash[0] as number) ^ low;
  hash[1] = (hash[1] as number) ^ high;
}

function mergeLanes(): void {
  let low = 0;
  let high = 0;
  for (let lane = 0; lane < 4; lane++) {
    hash[0] = lanes[2 * lane] as number;
    hash[1] = lanes[2 * lane + 1] as number;
    rotateHash(LANE_TURNS[lane] as number);
    addToHash(low, high);
    low = hash[0];
    high = hash[1];
  }
  for (let lane = 0; lane < 4; lane++) {
    xorRound(lanes[2 * lane] as number, lanes[2 * lane + 1] as number);
    multiplyHash(PRIME1_LOW, PRIME1_HIGH);
    addToHash(PRIME4_LOW, PRIME4_HIGH);
  }
}

/** hash ^= rotate(input * prime2, 31) * prime1, the round of a lane that is zero. */
function xorRound(inputLow: number, inputHigh: number): void {
  const low = Math.imul(inputLow, PRIME2_LOW);
  const high = timesHigh(inputLow, inputHigh, PRIME2_LOW, PRIME2_HIGH);
  const turnedLow = (low << 31) | (high >>> 1);
  const turnedHigh = (high << 31) | (low >>> 1);
  xorHash(Math.imul(turnedLow, PRIME1_LOW), timesHigh(turnedLow, turnedHigh, PRIME1_LOW, PRIME1_HIGH));
}

/** The last 0 to 31 bytes. */
function absorbTail(bytes: Uint8Array, start: number, end: number): void {
  let at = start;
  for (; at + 8 <= end; at += 8) {
    xorRound(word(bytes, at), word(bytes, at + 4));
    rotateHash(27);
    multiplyHash(PRIME1_LOW, PRIME1_HIGH);
    addToHash(PRIME4_LOW, PRIME4_HIGH);
  }
  if (at + 4 <= end) {
    const input = word(bytes, at);
    xorHash(Math.imul(input, PRIME1_LOW), timesHigh(input, 0, PRIME1_LOW, PRIME1_HIGH));
    rotateHash(23);
    multiplyHash(PRIME2_LOW, PRIME2_HIGH);
    addToHash(PRIME3_LOW, PRIME3_HIGH);
    at += 4;
  }
  for (; at < end; at++) {
    const input = bytes[at] as number;
    xorHash(Math.imul(input, PRIME5_LOW), timesHigh(input, 0, PRIME5_LOW, PRIME5_HIGH));
    rotateHash(11);
    multiplyHash(PRIME1_LOW, PRIME1_HIGH);
  }
}

/** Shifts by 33, 29 and 32 spread every input bit over the result. */
function avalanche(): void {
  xorHash((hash[1] as number) >>> 1, 0);
  multiplyHash(PRIME2_LOW, PRIME2_HIGH);
  const low = hash[0] as number;
  const high = hash[1] as number;
  xorHash((low >>> 29) | (high << 3), high >>> 29);
  multiplyHash(PRIME3_LOW, PRIME3_HIGH);
  xorHash(hash[1] as number, 0);
}
