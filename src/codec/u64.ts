/** Unsigned 64-bit integers: `bigint` inside, `bigint` or safe integer `number` at the public edge. */
import { TidemarkError } from '../error.ts';

export const U64_MAX = 0xffff_ffff_ffff_ffffn;

/**
 * `value` as a bigint from 0 to 2^64 - 1. `what` names the value in the error.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT for anything else: negative, fractional, unsafe or not a number
 */
export function u64(value: bigint | number, what: string): bigint {
  if (typeof value === 'bigint') {
    // Compiled code does this without a call, which two comparisons of bigints would take.
    if (BigInt.asUintN(64, value) === value) return value;
  } else if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) {
    return BigInt(value);
  }
  throw new TidemarkError(
    'ERR_TIDEMARK_INVALID_ARGUMENT',
    `${what} must be a bigint from 0 to 2^64 - 1 or a safe non-negative integer, got ${describe(value)}`,
  );
}

function describe(value: unknown): string {
  return typeof value === 'bigint' || typeof value === 'number' ? String(value) : typeof value;
}
