/** Who waits for what to become durable: points in streams, and places in the commit queue. */
import { describe, expect, test } from 'vitest';
import { Durability } from '../../src/engine/durability.ts';
import { RoutedStream } from '../../src/engine/router.ts';
import { seeded } from '../support/random.ts';

/** Notes the outcome of promises by name, in the order in which they settle. */
class Outcomes {
  readonly settled: string[] = [];

  watch(name: string, promise: Promise<void>): void {
    promise.then(
      () => this.settled.push(name),
      (error: unknown) => this.settled.push(`${name}: ${(error as Error).message}`),
    );
  }

  async now(): Promise<string[]> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.settled.splice(0);
  }
}

function stream(name = 's'): RoutedStream {
  return new RoutedStream(name, 0, 0);
}

describe('a point in a stream', () => {
  test('that is settled already is not waited for', async () => {
    const durability = new Durability();
    const s = stream();
    await durability.untilSettled(s, 0);
    durability.settle(s, 5);
    await durability.untilSettled(s, 5);
    expect(s.waiters).toBeUndefined();
  });

  test('is waited for until as many events are settled', async () => {
    const durability = new Durability();
    const outcomes = new Outcomes();
    const s = stream();
    for (const pushed of [3, 1, 2, 3]) outcomes.watch(`${pushed}`, durability.untilSettled(s, pushed));
    durability.settle(s, 2);
    expect((await outcomes.now()).toSorted()).toEqual(['1', '2']);
    durability.settle(s, 9);
    expect(await outcomes.now()).toEqual(['3', '3']);
    expect(s.waiters).toBeUndefined();
  });

  test('is waited for no more once the stream is forgotten, by those to come either', async () => {
    const durability = new Durability();
    const outcomes = new Outcomes();
    const s = stream();
    outcomes.watch('before', durability.untilSettled(s, 3));
    durability.settleAll(s);
    outcomes.watch('behind', durability.untilSettled(s, 9));
    expect(await outcomes.now()).toEqual(['before', 'behind']);
    expect(durability.isAwaited).toBe(false);
  });

  test('never moves back, whatever comes late', async () => {
    const durability = new Durability();
    const s = stream();
    durability.settle(s, 5);
    durability.settle(s, 3);
    expect(s.settled).toBe(5);
    await durability.untilSettled(s, 5);
  });

  test('is its stream alone', async () => {
    const durability = new Durability();
    const outcomes = new Outcomes();
    const [a, b] = [stream('a'), stream('b')];
    outcomes.watch('b', durability.untilSettled(b, 1));
    durability.settle(a, 1);
    expect(await outcomes.now()).toEqual([]);
  });
});

describe('a place in the commit queue', () => {
  test('is waited for until it is reached, and not if it is', async () => {
    const durability = new Durability();
    const outcomes = new Outcomes();
    await durability.untilThrough(0);
    for (const through of [4, 2, 7]) outcomes.watch(`${through}`, durability.untilThrough(through));
    durability.settleThrough(4);
    expect((await outcomes.now()).toSorted()).toEqual(['2', '4']);
    durability.settleThrough(3);
    await durability.untilThrough(4);
    durability.settleThrough(7);
    expect(await outcomes.now()).toEqual(['7']);
  });
});

describe('when nothing will become durable any more', () => {
  test('every waiter is rejected with an error of its own, and once', async () => {
    const durability = new Durability();
    const outcomes = new Outcomes();
    const [a, b] = [stream('a'), stream('b')];
    let made = 0;
    outcomes.watch('a', durability.untilSettled(a, 1));
    outcomes.watch('a again', durability.untilSettled(a, 2));
    outcomes.watch('b', durability.untilSettled(b, 1));
    outcomes.watch('all', durability.untilThrough(1));
    durability.failAll(() => new Error(`error ${++made}`));
    expect(await outcomes.now()).toEqual(['a: error 1', 'a again: error 2', 'b: error 3', 'all: error 4']);
    durability.failAll(() => new Error('again'));
    durability.settle(a, 9);
    durability.settleThrough(9);
    expect(await outcomes.now()).toEqual([]);
  });

  test('who is settled already is not rejected', async () => {
    const durability = new Durability();
    const outcomes = new Outcomes();
    const s = stream();
    outcomes.watch('first', durability.untilSettled(s, 1));
    outcomes.watch('second', durability.untilSettled(s, 2));
    durability.settle(s, 1);
    durability.failAll(() => new Error('failed'));
    expect(await outcomes.now()).toEqual(['first', 'second: failed']);
  });
});

test('who has waited for long is rejected alone, and the others are not', async () => {
  let nowMs = 0;
  const durability = new Durability({ now: () => nowMs, wallMs: () => 0 });
  const outcomes = new Outcomes();
  const s = stream();
  outcomes.watch('old', durability.untilSettled(s, 2));
  outcomes.watch('old place', durability.untilThrough(2));
  nowMs = 5;
  outcomes.watch('young', durability.untilSettled(s, 1));
  outcomes.watch('young place', durability.untilThrough(1));
  durability.failLate(() => new Error('late'), -1);
  expect(await outcomes.now()).toEqual([]);
  durability.failLate(() => new Error('late'), 4);
  expect(await outcomes.now()).toEqual(['old: late', 'old place: late']);
  expect(durability.isAwaited).toBe(true);
  durability.settle(s, 2);
  durability.settleThrough(2);
  expect(await outcomes.now()).toEqual(['young', 'young place']);
  durability.failLate(() => new Error('late'), 9);
  expect([durability.isAwaited, s.waiters]).toEqual([false, undefined]);
});

test(
  'random waits and settlements: each waiter settles exactly when its point is reached',
  seeded(async (random) => {
    const durability = new Durability();
    const streams = Array.from({ length: 4 }, (_, i) => stream(`${i}`));
    const open = new Set<{ readonly name: string; readonly isReached: () => boolean }>();
    let through = 0;
    for (let step = 0; step < 400; step++) {
      const s = random.pick(streams);
      if (random.chance(0.6)) {
        const at = random.below(60);
        const waiter = { name: `${s.name} ${at}`, isReached: () => s.settled >= at };
        open.add(waiter);
        void durability.untilSettled(s, at).then(() => open.delete(waiter));
      } else if (random.chance(0.5)) {
        durability.settle(s, random.below(60));
      } else {
        const at = random.below(60);
        const waiter = { name: `through ${at}`, isReached: () => through >= at };
        open.add(waiter);
        void durability.untilThrough(at).then(() => open.delete(waiter));
        const settled = random.below(30);
        through = Math.max(through, settled);
        durability.settleThrough(settled);
      }
      await Promise.resolve();
      await Promise.resolve();
      expect([...open].filter((waiter) => waiter.isReached()).map(({ name }) => name)).toEqual([]);
    }
    const left = open.size;
    for (const s of streams) durability.settle(s, 60);
    durability.settleThrough(60);
    await new Promise((resolve) => setImmediate(resolve));
    expect(left).toBeGreaterThan(0);
    expect(open.size).toBe(0);
  }),
);
