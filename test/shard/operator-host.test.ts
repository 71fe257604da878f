/** The user's operators: what a factory must return, and what becomes of what they do wrong. */
import { describe, expect, test } from 'vitest';
import { TidemarkError } from '../../src/error.ts';
import { WORD } from '../../src/memory/layout.ts';
import type { Operator } from '../../src/shard/operator.ts';
import { ShardHarness } from '../support/shard-harness.ts';
import { counter } from '../support/shard-operators.ts';

/** The error that ends a shard whose stream has these operators. */
function failure(operators: unknown, event: { source?: string; offset?: bigint } = {}): TidemarkError {
  const factory = (
    typeof operators === 'function' ? operators : () => operators
  ) as () => readonly Operator[];
  const harness = ShardHarness.started({ factory });
  harness.push({ stream: 'flights', sequence: 12n, ...event });
  harness.requestAll(1);
  try {
    harness.run();
  } catch (error) {
    if (error instanceof TidemarkError) return error;
    throw error;
  }
  throw new Error('the shard did not fail');
}

const throwing = (cause: unknown) => () => {
  throw cause;
};
/** Not written out, since what has it can be taken for a promise where none is meant. */
const THEN = 'then';
const heap = {
  kind: 'heap',
  name: 'op',
  version: 1,
  create: () => ({}),
  process: () => undefined,
  snapshot: () => new Uint8Array(1),
  restore: () => ({}),
};

describe('the operators module', () => {
  test('that throws is named with the stream, and the cause is kept', () => {
    const cause = new Error('no such stream');
    const error = failure(throwing(cause));
    expect(error.code).toBe('ERR_TIDEMARK_OPERATOR');
    expect(error.message).toContain("'flights'");
    expect(error.cause).toBe(cause);
  });

  const refused: readonly (readonly [what: string, operators: unknown, message: RegExp])[] = [
    ['no array', undefined, /no array/],
    ['a promise', Promise.resolve([]), /no array/],
    ['something that is no operator', ['count'], /is not an object/],
    ['null', [null], /is not an object/],
    ['no name', [{ ...counter(), name: undefined }], /no well-formed name/],
    ['a name with an unpaired surrogate', [{ ...counter(), name: '\ud800' }], /no well-formed name/],
    ['no version', [{ ...counter(), version: undefined }], /'count'.*version/],
    ['a fractional version', [{ ...counter(), version: 1.5 }], /version/],
    ['a negative version', [{ ...counter(), version: -1 }], /version/],
    ['a version beyond u32', [{ ...counter(), version: 2 ** 32 }], /version/],
    ['another kind', [{ ...counter(), kind: 'slots' }], /kind "slots", not 'slot' or 'heap'/],
    ['no kind', [{ ...counter(), kind: undefined }], /kind undefined/],
    ['a slot without process', [{ ...counter(), process: 1 }], /lacks process\(\)/],
    ['a slot without size', [{ ...counter(), bytes: undefined }], /no size in bytes/],
    ['a slot of negative size', [{ ...counter(), bytes: -1 }], /no size in bytes/],
    ['a slot beyond 4 GiB', [{ ...counter(), bytes: 2 ** 32 }], /no size in bytes/],
    ...['create', 'process', 'snapshot', 'restore'].map(
      (method) =>
        [
          `a heap operator without ${method}`,
          [{ ...heap, [method]: undefined }],
          new RegExp(`lacks ${method}`),
        ] as const,
    ),
    ['two operators of one name', [counter('a'), { ...heap, name: 'a' }], /two operators named 'a'/],
  ];
  test.each(refused)('that returns %s is refused', (_what, operators, message) => {
    const error = failure(() => operators);
    expect(error.code).toBe('ERR_TIDEMARK_OPERATOR');
    expect(error.message).toMatch(message);
    expect(error.message).toContain("'flights'");
  });

  test('may return no operators at all, and the greatest version', () => {
    const harness = ShardHarness.started({
      factory: (stream) => (stream === 'none' ? [] : [{ ...counter(), version: 2 ** 32 - 1 }]),
    });
    harness.push({ stream: 'none', isDurable: true });
    harness.push({ stream: 'some', isDurable: true });
    expect(harness.run()).toMatchObject([{ stream: 'none' }, { stream: 'some' }]);
  });

  test('is asked once per stream', () => {
    const asked: string[] = [];
    const harness = ShardHarness.started({
      factory: (stream) => {
        asked.push(stream);
        return [counter()];
      },
    });
    for (const stream of ['a', 'b', 'a', 'b']) harness.push({ stream });
    harness.run();
    expect(asked).toEqual(['a', 'b']);
  });
});

describe('an operator that throws at an event', () => {
  test('is named with the stream, the sequence and the place in the source', () => {
    const cause = new RangeError('too far');
    const error = failure([counter('fine'), { ...counter('bad'), process: throwing(cause) }], {
      source: 'file',
      offset: 99n,
    });
    expect(error.code).toBe('ERR_TIDEMARK_OPERATOR');
    expect(error.message).toBe(
      "operator 'bad' threw at sequence 12 of stream 'flights', offset 99 of 'file'",
    );
    expect(error.cause).toBe(cause);
    expect(error.retryable).toBe(false);
  });

  test('may throw anything, and need not have a source', () => {
    const error = failure([{ ...counter('bad'), process: throwing('words') }]);
    expect(error.message).toBe("operator 'bad' threw at sequence 12 of stream 'flights'");
    expect(error.cause).toBe('words');
  });
});

describe('an operator that returns a thenable', () => {
  test.each([
    ['process', [{ ...heap, process: () => Promise.resolve() }]],
    ['process of a slot', [counter('op', () => Promise.reject(new Error('late')))]],
    ['create', [{ ...heap, create: () => Promise.resolve() }]],
    ['snapshot', [{ ...heap, snapshot: () => Promise.reject(new Error('late')) }]],
    ['process, of an own kind', [{ ...heap, process: () => ({ [THEN]: () => undefined }) }]],
  ])('from %s is refused, and its rejection is nobody else to handle', async (_what, operators) => {
    const unhandled: unknown[] = [];
    const listener = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', listener);
    try {
      const error = failure(operators);
      expect(error.code).toBe('ERR_TIDEMARK_ASYNC_OPERATOR');
      expect(error.message).toContain("'op'");
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', listener);
    }
  });

  test('may return any other value from process', () => {
    const harness = ShardHarness.started({ factory: () => [counter('op', () => ({ [THEN]: 1 }))] });
    harness.push({ stream: 's' });
    harness.run();
    expect(harness.words.get(WORD.droppedLow)).toBe(0);
  });
});

describe('snapshot', () => {
  test.each([
    ['nothing', undefined],
    ['a string', 'bytes'],
    ['an ArrayBuffer', new ArrayBuffer(3)],
    ['another array', new Uint16Array(3)],
  ])('that returns %s is refused', (_what, returned) => {
    const error = failure([{ ...heap, snapshot: () => returned }]);
    expect(error.code).toBe('ERR_TIDEMARK_OPERATOR');
    expect(error.message).toMatch(/snapshot\(\) of operator 'op' of stream 'flights' returned no Uint8Array/);
  });

  test('that throws is named, and the cause is kept', () => {
    const cause = new Error('cyclic');
    const error = failure([{ ...heap, snapshot: throwing(cause) }]);
    expect(error.message).toMatch(/snapshot\(\) of operator 'op' of stream 'flights' threw/);
    expect(error.cause).toBe(cause);
  });

  test('may return a Buffer, an empty array, and the same memory each time', () => {
    const same = Buffer.from('abc');
    const operators = [
      { ...heap, name: 'a', snapshot: () => same },
      { ...heap, name: 'b', snapshot: () => new Uint8Array(0) },
    ];
    const harness = ShardHarness.started({ factory: () => operators as readonly Operator[] });
    harness.push({ stream: 's', isDurable: true });
    const [frame] = harness.run();
    expect(frame).toMatchObject({ kind: 'stored' });
  });
});

test('what failed before anything was applied leaves the stream as it was', () => {
  let isBroken = false;
  const harness = ShardHarness.started({
    factory: () => [
      counter('count', () => {
        if (isBroken) throw new Error('poison');
      }),
    ],
  });
  harness.push({ stream: 's', source: 'x', offset: 1n });
  harness.requestAll(1);
  harness.run();
  isBroken = true;
  harness.push({ stream: 's', source: 'x', offset: 2n });
  expect(() => harness.shard.step()).toThrow(TidemarkError);
  // Nothing of the failed event was published.
  expect(harness.take()).toEqual([]);
});
