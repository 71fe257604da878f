/** The error type, and what is left of an error after it crossed a thread. */
import { describe, expect, test } from 'vitest';
import { fromErrorRecord, TidemarkError, toErrorRecord } from '../src/error.ts';

/** As between threads. */
function cross(error: unknown): Error {
  return fromErrorRecord(structuredClone(toErrorRecord(error)));
}

describe('a TidemarkError', () => {
  test('says its code, its cause, and that it is not retryable unless told', () => {
    const cause = new Error('disk');
    const error = new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'full', { cause });
    expect(error).toMatchObject({
      name: 'TidemarkError',
      code: 'ERR_TIDEMARK_STORE_FULL',
      retryable: false,
      cause,
    });
    expect(new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'full', { retryable: true }).retryable).toBe(true);
  });

  test('has no cause when none is given', () => {
    expect('cause' in new TidemarkError('ERR_TIDEMARK_CLOSED', 'closed')).toBe(false);
  });

  test('is whole again on the other side of a thread', () => {
    const cause = new TypeError('inner', { cause: new RangeError('innermost') });
    const error = new TidemarkError('ERR_TIDEMARK_OPERATOR', 'outer', { cause, retryable: true });
    const arrived = cross(error);
    expect(arrived).toBeInstanceOf(TidemarkError);
    expect(arrived).toMatchObject({ code: 'ERR_TIDEMARK_OPERATOR', message: 'outer', retryable: true });
    expect(arrived.stack).toBe(error.stack);
    expect(arrived.cause).toMatchObject({ name: 'TypeError', message: 'inner', stack: cause.stack });
    expect((arrived.cause as Error).cause).toMatchObject({ name: 'RangeError', message: 'innermost' });
  });
});

describe('any other error on the other side of a thread', () => {
  test('keeps name, message, stack and code', () => {
    const error = Object.assign(new RangeError('too far'), { code: 'ENOSPC' });
    const arrived = cross(error);
    expect(arrived).not.toBeInstanceOf(TidemarkError);
    expect(arrived).toMatchObject({
      name: 'RangeError',
      message: 'too far',
      code: 'ENOSPC',
      stack: error.stack,
    });
    expect('cause' in arrived).toBe(false);
  });

  test('is not taken for one of ours by a code that looks like it', () => {
    const arrived = cross(Object.assign(new Error('no'), { code: 'ERR_OTHER' }));
    expect(arrived).not.toBeInstanceOf(TidemarkError);
  });

  test('may have a code that is no text', () => {
    expect(cross(Object.assign(new Error('no'), { code: 5 }))).not.toHaveProperty('code');
  });
});

describe('what is thrown need not be an error', () => {
  test.each([
    ['words', 'thrown value: words'],
    [undefined, 'thrown value: undefined'],
    [null, 'thrown value: null'],
    [5n, 'thrown value: 5'],
    [Symbol('s'), 'thrown value: Symbol(s)'],
    [Object.create(null), 'thrown value of type object'],
    [
      {
        toString: () => {
          throw new Error('no');
        },
      },
      'thrown value of type object',
    ],
  ])('%o', (thrown, message) => {
    expect(toErrorRecord(thrown)).toEqual({ name: 'Error', message });
    expect(cross(thrown).message).toBe(message);
  });

  test('and a cause need not be one either', () => {
    const arrived = cross(new Error('outer', { cause: 'words' }));
    expect((arrived.cause as Error).message).toBe('thrown value: words');
  });
});

test('a chain of causes that comes back to itself ends', () => {
  const error = new Error('self');
  error.cause = error;
  let depth = 0;
  for (let at: unknown = cross(error); at instanceof Error; at = at.cause) depth++;
  expect(depth).toBeGreaterThan(1);
  expect(depth).toBeLessThan(20);
});

test('a record can be cloned whatever the error carries', () => {
  const error = Object.assign(new Error('with a function'), { retry: () => 1, socket: { on: () => 1 } });
  expect(() => structuredClone(toErrorRecord(error))).not.toThrow();
});
