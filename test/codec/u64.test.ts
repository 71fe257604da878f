import { describe, expect, test } from 'vitest';
import { U64_MAX, u64 } from '../../src/codec/u64.ts';

describe('u64', () => {
  test.each([
    [0, 0n],
    [0n, 0n],
    [Number.MAX_SAFE_INTEGER, 9007199254740991n],
    [U64_MAX, 18446744073709551615n],
  ])('accepts %s', (value, expected) => {
    expect(u64(value, 'value')).toBe(expected);
  });

  test.each([
    -1,
    -1n,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    U64_MAX + 1n,
    '7',
    null,
    undefined,
    {},
    Symbol('seven'),
  ])('refuses %s and names the value', (value) => {
    expect(() => u64(value as bigint, 'the tide')).toThrow(
      expect.objectContaining({
        code: 'ERR_TIDEMARK_INVALID_ARGUMENT',
        message: expect.stringContaining('the tide'),
      }),
    );
  });
});
