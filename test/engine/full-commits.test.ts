/** Commits that a full store refuses: what is tried next, when, and what stays as if nothing had been tried. */
import { describe, expect, test, vi } from 'vitest';
import { TidemarkError } from '../../src/error.ts';
import { CommitBench as Bench, useFakeTimers } from '../support/commit-bench.ts';

useFakeTimers();

const FULL = new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'no room', { retryable: true });
/** The first pause, and more than the longest. */
const PAUSE_MS = 10;
const LONGEST_MS = 1_000;

/** Has the store refuse every commit that is larger than `room`, until one is not; the sizes that were tried. */
async function refuseAbove(bench: Bench, room: number): Promise<number[]> {
  const tried: number[] = [];
  for (;;) {
    const before = bench.commits.length;
    const { batch, fail, settle } = bench.last();
    const bytes = batch.frames.reduce((sum, frame) => sum + frame.bytes.length, 0);
    tried.push(bytes);
    if (bytes <= room) {
      await settle();
      return tried;
    }
    await fail(FULL);
    // A pause, or the end.
    if (bench.commits.length === before) return tried;
  }
}

describe('a commit that is refused for want of room', () => {
  test('is no failure, makes nothing durable, and is tried again after a pause', async () => {
    const bench = new Bench();
    bench.reached = 100n;
    const frame = bench.add(0, 5n);
    bench.pipeline.kick();
    await refuseAbove(bench, 0);
    expect(frame.state).toBe('waiting');
    expect([bench.errors, bench.durable, bench.frontiers]).toEqual([[], [], []]);
    expect(bench.refusals.every((error) => error === FULL)).toBe(true);
    expect(bench.central.hasUnsettled(0)).toBe(true);
    const { length } = bench.commits;
    bench.pipeline.kick();
    expect(bench.commits).toHaveLength(length);
    vi.advanceTimersByTime(PAUSE_MS);
    expect(bench.commits).toHaveLength(length + 1);
    await bench.last().settle();
    expect(bench.durable).toEqual([[['s0'], 1]]);
    expect(bench.frontiers).toEqual([['file', 100n]]);
    expect(bench.relieved).toBe(1);
  });

  test('goes on with what is newest by then', async () => {
    const bench = new Bench();
    bench.add(0, 5n);
    bench.pipeline.kick();
    const newer = bench.add(0, 9n);
    await refuseAbove(bench, 0);
    vi.advanceTimersByTime(PAUSE_MS);
    expect(bench.last().batch.frames).toMatchObject([{ sequence: newer.sequence }]);
    await bench.last().settle();
    expect(bench.central.isIdle).toBe(true);
  });

  test.each([
    ['a second', 30_000, [10, 20, 40, 80, 160, 320, 640, LONGEST_MS, LONGEST_MS]],
    ['a quarter of what somebody waits', 200, [10, 20, 40, 50, 50]],
  ])('waits longer each time, up to %s', async (_what, timeoutMs, expected) => {
    const bench = new Bench(new Map(), {}, timeoutMs);
    bench.add(0);
    bench.pipeline.kick();
    await refuseAbove(bench, 0);
    const pauses: number[] = [];
    for (let round = 0; round < expected.length; round++) {
      const { length } = bench.commits;
      let ms = 0;
      for (; bench.commits.length === length; ms += 10) vi.advanceTimersByTime(10);
      pauses.push(ms);
      await bench.last().fail(FULL);
    }
    expect(pauses).toEqual(expected);
  });

  test('is not followed by others at once that are as large, and by smaller ones once', async () => {
    const bench = new Bench();
    bench.add(0, undefined, 64);
    bench.pipeline.kick();
    await refuseAbove(bench, 0);
    const { length } = bench.commits;
    const sizes = [64, 100, 48, 48, 63, 40];
    for (const [at, bytes] of sizes.entries()) {
      bench.add(at + 1, undefined, bytes);
      bench.pipeline.kick();
      if (bench.commits.length > length) await refuseAbove(bench, 0);
    }
    const tried = bench.commits
      .slice(length)
      .map(({ batch }) => batch.frames.map(({ bytes }) => bytes.length));
    expect(tried).toEqual([[48], [40]]);
  });

  test('carries the frontiers of what it leaves behind', async () => {
    const bench = new Bench();
    bench.reached = 100n;
    bench.add(0, 7n, 64);
    bench.add(1, 5n, 16);
    bench.pipeline.kick();
    expect(bench.last().batch.frontiers.get('file')).toBe(100n);
    await refuseAbove(bench, 16);
    expect(bench.frontiers).toEqual([['file', 7n]]);
    expect(bench.durable).toEqual([[['s1'], 0]]);
  });

  test('of a huge frame lets small ones through, at once and later', async () => {
    const bench = new Bench();
    bench.add(0, undefined, 4_096);
    for (let stream = 1; stream <= 20; stream++) bench.add(stream, undefined, 64);
    bench.pipeline.kick();
    while (bench.durable.flatMap(([streams]) => streams).length < 20) await refuseAbove(bench, 2_000);
    expect(bench.commits.length).toBeLessThan(20);
    await refuseAbove(bench, 2_000);
    const { length } = bench.commits;
    // No pause for one that is smaller than what found no room: there may be some.
    bench.add(21);
    bench.pipeline.kick();
    expect(bench.names(length)).toEqual(['s21']);
    await bench.last().settle();
    expect(bench.relieved).toBe(0);
    // Only the huge one is left, and it is tried once more.
    expect(bench.names(length + 1)).toEqual(['s0']);
  });

  test('is halved down to the smallest frame, few times however many wait', async () => {
    const bench = new Bench();
    for (let stream = 0; stream < 1_000; stream++) bench.add(stream, undefined, 100 + stream);
    bench.pipeline.kick();
    const tried = await refuseAbove(bench, 0);
    expect(tried.at(-1)).toBe(100);
    expect(tried.length).toBeLessThan(16);
    for (const [at, bytes] of tried.slice(1).entries())
      expect(bytes).toBeLessThanOrEqual(tried[at] as number);
  });

  test('takes more and more once there is room, until nothing waits that was refused', async () => {
    const bench = new Bench();
    for (let stream = 0; stream < 200; stream++) bench.add(stream, undefined, 100);
    bench.pipeline.kick();
    await refuseAbove(bench, 0);
    vi.advanceTimersByTime(PAUSE_MS);
    const sizes: number[] = [];
    while (bench.central.hasUnsettled(0)) {
      sizes.push(bench.last().batch.frames.length);
      await bench.last().settle();
    }
    expect(sizes.length).toBeLessThan(12);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(200);
    expect(bench.durable.at(-1)?.[1]).toBe(200);
    expect(bench.relieved).toBe(1);
  });

  test('is followed at once by more that was refused, though nobody waits', async () => {
    const bench = new Bench();
    bench.isAwaited = false;
    for (const stream of [0, 1]) bench.add(stream, undefined, 100);
    bench.pipeline.kick();
    await refuseAbove(bench, 100);
    // The second was refused again, alone this time.
    expect([bench.names(1), bench.names(2)]).toEqual([['s0'], ['s1']]);
  });

  test('for good is an error like any other', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    const never = new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'it can never fit');
    await bench.last().fail(never);
    expect([bench.errors, bench.refusals]).toEqual([[never], []]);
  });

  test('after the end is nobody to try again', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    bench.pipeline.stop();
    await bench.last().fail(FULL);
    vi.advanceTimersByTime(LONGEST_MS);
    expect([bench.commits.length, bench.refusals]).toEqual([1, []]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is not tried again when the pause is cut short by the end', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    await refuseAbove(bench, 0);
    const { length } = bench.commits;
    bench.pipeline.stop();
    vi.advanceTimersByTime(LONGEST_MS);
    expect(bench.commits).toHaveLength(length);
  });
});

describe('who waits for frontiers that are refused', () => {
  test('waits until one commit goes through', async () => {
    const bench = new Bench();
    bench.reached = 5n;
    const done = bench.pipeline.commitFrontiers();
    await bench.last().fail(FULL);
    expect(bench.commits).toHaveLength(1);
    vi.advanceTimersByTime(PAUSE_MS);
    await bench.last().settle();
    await done;
    expect([bench.frontiers, bench.relieved]).toEqual([[['file', 5n]], 1]);
  });

  test('and comes in a pause does not end it', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    await refuseAbove(bench, 0);
    const { length } = bench.commits;
    bench.reached = 5n;
    const done = bench.pipeline.commitFrontiers();
    expect(bench.commits).toHaveLength(length);
    vi.advanceTimersByTime(PAUSE_MS);
    await bench.last().settle();
    await done;
  });

  test('is rejected after having waited for long, and others are not', async () => {
    const bench = new Bench();
    bench.reached = 5n;
    const early = bench.pipeline.commitFrontiers();
    bench.nowMs = 10;
    const late = bench.pipeline.commitFrontiers();
    await bench.last().fail(FULL);
    bench.pipeline.failLate(() => FULL, 9);
    await expect(early).rejects.toBe(FULL);
    vi.advanceTimersByTime(PAUSE_MS);
    await bench.last().settle();
    await late;
  });
});

describe('a stream that is forgotten while the store is full', () => {
  test('is so without a pause, and what was refused is tried again at once', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    await refuseAbove(bench, 0);
    const { length } = bench.commits;
    bench.forget(1);
    bench.pipeline.kick();
    expect(bench.forgets.map(({ name }) => name)).toEqual(['s1']);
    expect(bench.commits).toHaveLength(length);
    await bench.forgets[0]?.settle();
    expect(bench.names(length)).toEqual(['s0']);
    await bench.last().settle();
    expect(bench.relieved).toBe(1);
  });

  test('and was so when the commit was refused does not wait for the pause to end', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    // The last commit before the pause.
    await bench.last().fail(FULL);
    bench.forget(1);
    await bench.last().fail(FULL);
    expect(bench.forgets.map(({ name }) => name)).toEqual(['s1']);
  });

  test('ends the refusals if only it was refused', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    await refuseAbove(bench, 0);
    const { length } = bench.commits;
    bench.forget(0);
    bench.pipeline.kick();
    await bench.forgets[0]?.settle();
    expect([bench.forgotten, bench.relieved]).toEqual([[['s0']], 1]);
    expect(bench.commits).toHaveLength(length);
  });

  test('and is refused that is forgotten later, and those that were not refused are forgotten', async () => {
    const bench = new Bench();
    bench.forget(0);
    bench.forget(1);
    bench.pipeline.kick();
    await bench.forgets[0]?.fail(FULL);
    bench.add(2);
    bench.pipeline.kick();
    // The other one is under way: nothing may begin.
    expect([bench.forgets.length, bench.commits.length, bench.refusals]).toEqual([2, 0, []]);
    await bench.forgets[1]?.settle();
    expect([bench.forgotten, bench.refusals, bench.errors]).toEqual([[['s1']], [FULL], []]);
    bench.pipeline.kick();
    expect([bench.forgets.length, bench.commits.length]).toEqual([2, 0]);
    vi.advanceTimersByTime(PAUSE_MS);
    expect(bench.forgets.map(({ name }) => name)).toEqual(['s0', 's1', 's0']);
    await bench.forgets[2]?.settle();
    expect(bench.forgotten).toEqual([['s1'], ['s0']]);
    expect(bench.names(0)).toEqual(['s2']);
  });
});
