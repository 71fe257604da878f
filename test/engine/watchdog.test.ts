import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ShardHandle } from '../../src/engine/shard-handle.ts';
import { Watchdog } from '../../src/engine/watchdog.ts';
import { WORD } from '../../src/memory/layout.ts';

const TIMEOUT_MS = 1_000;

class FakeShard {
  readonly isReady = true;
  readonly values = new Map<number, number>();
  readonly words = { get: (word: number) => this.values.get(word) ?? 0 };

  set(word: number, value: number): void {
    this.values.set(word, value);
  }
}

let stuck: unknown[] = [];

function watch(...shards: FakeShard[]): Watchdog {
  return new Watchdog(shards as unknown as ShardHandle[], {
    timeoutMs: TIMEOUT_MS,
    now: () => Date.now(),
    onStuck: (shard) => stuck.push(shard),
  });
}

beforeEach(() => {
  stuck = [];
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

test('a shard that stands still for the time of an operator is noticed, another is not', () => {
  const still = new FakeShard();
  const busy = new FakeShard();
  const watchdog = watch(still, busy);
  for (let beat = 1; beat <= 5; beat++) {
    expect(stuck).toEqual([]);
    busy.set(WORD.heartbeat, beat);
    vi.advanceTimersByTime(TIMEOUT_MS / 4);
  }
  expect(stuck).toEqual([still]);
  watchdog.stop();
});

test('a shard that goes from event to event within one turn does not stand still', () => {
  const shard = new FakeShard();
  watch(shard);
  for (let position = 1; position <= 20; position++) {
    shard.set(WORD.currentEvent, position * 64);
    vi.advanceTimersByTime(TIMEOUT_MS / 2);
  }
  expect(stuck).toEqual([]);
});

test('a shard that sleeps does not stand still, and its time begins when it wakes', () => {
  const shard = new FakeShard();
  watch(shard);
  shard.set(WORD.sleeping, 1);
  vi.advanceTimersByTime(10 * TIMEOUT_MS);
  expect(stuck).toEqual([]);
  shard.set(WORD.sleeping, 0);
  vi.advanceTimersByTime(TIMEOUT_MS * 0.9);
  expect(stuck).toEqual([]);
  vi.advanceTimersByTime(TIMEOUT_MS);
  expect(stuck.length).toBeGreaterThan(0);
});

test('a watchdog that was stopped looks no more', () => {
  const watchdog = watch(new FakeShard());
  watchdog.stop();
  vi.advanceTimersByTime(10 * TIMEOUT_MS);
  expect(stuck).toEqual([]);
});
