/** The frontier of a source, case by case. The random test over real shards is in `frontiers-model.test.ts`. */
import { describe, expect, test } from 'vitest';
import { U64_MAX } from '../../src/codec/u64.ts';
import { computeFrontiers, SourceProgress } from '../../src/engine/frontiers.ts';

function source(restored?: bigint): SourceProgress {
  return new SourceProgress(0, 'file', restored);
}

describe('a source of which nothing was pushed', () => {
  test('has no frontier and no position when nothing was restored', () => {
    expect(source().frontier(undefined)).toBeUndefined();
    expect(source().position).toBeUndefined();
    expect(computeFrontiers([source()], [])).toEqual(new Map());
  });

  test('has the frontier that was restored', () => {
    expect(source(9n).frontier(undefined)).toBe(9n);
    expect(source(9n).position).toBe(9n);
  });
});

describe('an accepted event holds the frontier at its offset', () => {
  test('while it is unread', () => {
    const file = source();
    file.onPush(0, 5n, 6n);
    file.onPush(0, 8n, 9n);
    expect(file.frontier(undefined)).toBe(5n);
    expect(file.position).toBe(9n);
  });

  test('while it is read and in no frame', () => {
    const file = source();
    file.onPush(0, 5n, 6n);
    file.onPush(0, 8n, 9n);
    file.onReport(0, { read: 2, lastOffset: 8n, openLow: 5n });
    expect(file.frontier(undefined)).toBe(5n);
  });

  test('while its frame is not durable', () => {
    const file = source();
    file.onPush(0, 5n, 6n);
    file.onReport(0, { read: 1, lastOffset: 5n, openLow: undefined });
    expect(file.frontier(5n)).toBe(5n);
    expect(file.frontier(undefined)).toBe(6n);
  });

  test('while it was held out and waits to be accepted once more, behind later ones of its source', () => {
    const file = source();
    file.onHeldOut(5n, 6n);
    file.onWait(20n);
    file.onWait(5n);
    expect(file.frontier(undefined)).toBe(5n);
  });

  test('while it waits to be accepted', () => {
    const file = source();
    file.onPush(0, 5n, 6n);
    file.onWait(5n);
    file.onWait(7n);
    file.onReport(0, { read: 1, lastOffset: 5n, openLow: undefined });
    expect(file.frontier(undefined)).toBe(5n);
    file.onPush(1, 5n, 6n);
    file.onWaited(5n);
    file.onReport(1, { read: 1, lastOffset: 5n, openLow: undefined });
    // The next one waits at 7, but that is not looked up: too low is safe.
    expect(file.frontier(undefined)).toBe(5n);
    file.onPush(1, 7n, 8n);
    file.onWaited(7n);
    expect(file.frontier(undefined)).toBe(7n);
    file.onReport(1, { read: 2, lastOffset: 7n, openLow: undefined });
    expect(file.frontier(undefined)).toBe(8n);
  });

  test('on whichever shard it is', () => {
    const file = source();
    file.onPush(0, 5n, 6n);
    file.onPush(2, 7n, 8n);
    file.onPush(1, 9n, 10n);
    file.onReport(0, { read: 1, lastOffset: 5n, openLow: undefined });
    expect(file.frontier(undefined)).toBe(7n);
    file.onReport(2, { read: 1, lastOffset: 7n, openLow: undefined });
    expect(file.frontier(undefined)).toBe(9n);
    file.onReport(1, { read: 1, lastOffset: 9n, openLow: 9n });
    expect(file.frontier(undefined)).toBe(9n);
  });
});

describe('what is still unread', () => {
  test('begins no lower than the last that was read', () => {
    const file = source();
    for (const offset of [5n, 6n, 7n]) file.onPush(0, offset, offset + 1n);
    file.onReport(0, { read: 2, lastOffset: 6n, openLow: undefined });
    expect(file.frontier(undefined)).toBe(6n);
  });

  test('is not lowered by a report that came of a frame, with nothing new read', () => {
    const file = source();
    file.onPush(0, 5n, 6n);
    file.onReport(0, { read: 1, lastOffset: 5n, openLow: 5n });
    file.onPush(0, 50n, 51n);
    file.onReport(0, { read: 1, lastOffset: 5n, openLow: undefined });
    expect(file.frontier(undefined)).toBe(50n);
  });

  test('begins at the next push once all is read', () => {
    const file = source();
    file.onPush(0, 5n, 6n);
    file.onReport(0, { read: 1, lastOffset: 5n, openLow: undefined });
    file.onPush(0, 50n, 51n);
    file.onPush(0, 60n, 61n);
    expect(file.frontier(undefined)).toBe(50n);
  });
});

describe('when everything is covered', () => {
  test('the frontier is the greatest next offset, which need not be the last', () => {
    const file = source();
    file.onPush(0, 5n, 100n);
    file.onPush(0, 6n, 7n);
    file.onReport(0, { read: 2, lastOffset: 6n, openLow: undefined });
    expect(file.frontier(undefined)).toBe(100n);
    expect(file.position).toBe(100n);
  });

  test('it is never below the restored one', () => {
    const file = source(50n);
    file.onPush(0, 5n, 6n);
    file.onReport(0, { read: 1, lastOffset: 5n, openLow: undefined });
    expect(file.frontier(undefined)).toBe(50n);
  });

  test('it can be the greatest u64', () => {
    const file = source();
    file.onPush(0, U64_MAX - 1n, U64_MAX);
    file.onReport(0, { read: 1, lastOffset: U64_MAX - 1n, openLow: undefined });
    expect(file.frontier(undefined)).toBe(U64_MAX);
  });
});

test('an event below the restored frontier that no checkpoint covers holds the frontier there', () => {
  // The state of its stream was lost, and is being rebuilt from an earlier offset.
  const file = source(50n);
  file.onPush(0, 5n, 6n);
  file.onReport(0, { read: 1, lastOffset: 5n, openLow: 5n });
  expect(file.frontier(undefined)).toBe(5n);
});

test('offsets may be numbers and bigints by turns', () => {
  const file = source();
  file.onPush(0, 5, 6);
  file.onPush(0, 7n, 8n);
  expect(file.frontier(undefined)).toBe(5n);
  file.onReport(0, { read: 2, lastOffset: 7n, openLow: undefined });
  file.onPush(0, 9, 2 ** 40);
  expect(file.frontier(undefined)).toBe(9n);
  file.onReport(0, { read: 3, lastOffset: 9n, openLow: undefined });
  expect(file.frontier(undefined)).toBe(2n ** 40n);
});

test('the frontiers of all sources take the least low of each among the frames that wait', () => {
  const sources = ['a', 'b', 'c'].map(
    (name, index) => new SourceProgress(index, name, index === 2 ? 3n : undefined),
  );
  for (const progress of sources.slice(0, 2)) {
    progress.onPush(0, 10n, 20n);
    progress.onReport(0, { read: 1, lastOffset: 10n, openLow: undefined });
  }
  const pending = [
    { source: 1, offset: 9n },
    { source: 1, offset: 4n },
    { source: 1, offset: 6n },
  ];
  expect([...computeFrontiers(sources, pending)]).toEqual([
    ['a', 20n],
    ['b', 4n],
    ['c', 3n],
  ]);
});
