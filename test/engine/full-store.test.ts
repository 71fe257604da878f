/** A store without room: nothing is lost, what fits goes through, and the pipeline goes on once there is room. */
import { describe, expect, test, vi } from 'vitest';
import { TidemarkError } from '../../src/error.ts';
import { CommitBench as Bench, FULL_TIMEOUT_MS, useFakeTimers } from '../support/commit-bench.ts';

const full = (retryable = true): TidemarkError =>
  new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'no room', { retryable });

useFakeTimers();

/** Lets `ms` go by, for the pipeline's clock and its timers. */
async function pass(bench: Bench, ms: number): Promise<void> {
  bench.nowMs += ms;
  await vi.advanceTimersByTimeAsync(ms);
}

/** Ends every commit that comes: with room for frames of up to `roomBytes` together, until none is left. */
async function serve(bench: Bench, roomBytes: number): Promise<void> {
  for (let served = 0; served < bench.commits.length; ) {
    served = bench.commits.length;
    const { batch } = bench.last();
    const bytes = batch.frames.reduce((sum, frame) => sum + frame.bytes.length, 0);
    if (bytes <= roomBytes) await bench.last().settle();
    else await bench.last().fail(full());
  }
}

describe('a batch that the store refuses', () => {
  test('is tried again in halves, the smallest first, and the frontiers come with the last part', async () => {
    const bench = new Bench();
    bench.reached = 9n;
    for (const [stream, bytes] of [900, 100, 400, 200].entries()) bench.add(stream, BigInt(stream), bytes);
    bench.pipeline.kick();
    await serve(bench, 1_000);
    // All; the smaller half; the other half; then its smaller one, and the last.
    expect(bench.commits.map((_, at) => bench.names(at).join())).toEqual([
      's0,s1,s2,s3',
      's1,s3',
      's2,s0',
      's2',
      's0',
    ]);
    expect(bench.durable).toEqual([
      [['s1', 's3'], 0],
      [['s2'], 0],
      [['s0'], 4],
    ]);
    expect(bench.commits.map(({ batch }) => batch.frontiers.get('file'))).toEqual([
      9n,
      undefined,
      9n,
      undefined,
      9n,
    ]);
    expect(bench.frontiers).toEqual([['file', 9n]]);
    expect([bench.errors, bench.pipeline.commits, bench.pipeline.refused]).toEqual([[], 3, 2]);
  });

  test('waits between attempts, longer and longer, up to a second', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 7; attempt++) {
      await bench.last().fail(full());
      expect(bench.commits).toHaveLength(attempt);
      // Neither a kick nor what else waits hurries it.
      bench.add(attempt);
      bench.pipeline.kick();
      const from = bench.nowMs;
      while (bench.commits.length === attempt) await pass(bench, 25);
      pauses.push(bench.nowMs - from);
      expect(bench.names(attempt)).toEqual(['s0']);
    }
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1_000, 1_000]);
    await bench.last().settle();
    // What came meanwhile goes out at once.
    expect(bench.names(8)).toEqual(['s1', 's2', 's3', 's4', 's5', 's6', 's7']);
    await bench.last().settle();
    expect([bench.fullTold, bench.refusals, bench.errors]).toEqual([1, [], []]);
  });

  test('stays ahead of a newer frame of its stream, and of every frontier', async () => {
    const bench = new Bench();
    const old = bench.add(0, 3n);
    bench.reached = 4n;
    bench.pipeline.kick();
    await bench.last().fail(full());
    const newer = bench.add(0, 4n);
    bench.reached = 5n;
    expect([old.state, newer.state]).toEqual(['writing', 'waiting']);
    expect(bench.pipeline.committed.get('file')).toBeUndefined();
    await pass(bench, 50);
    expect(bench.last().batch.frontiers).toEqual(new Map([['file', 4n]]));
    await bench.last().settle();
    expect([old.state, newer.state]).toEqual(['durable', 'writing']);
    await bench.last().settle();
    expect(bench.pipeline.committed).toEqual(new Map([['file', 5n]]));
  });

  test('goes on as soon as a stream is forgotten, without what was left of that stream', async () => {
    const bench = new Bench();
    const gone = bench.add(0);
    bench.add(1);
    bench.pipeline.kick();
    await bench.last().fail(full());
    await bench.last().fail(full());
    expect(bench.commits).toHaveLength(2);
    bench.forget(0);
    bench.pipeline.kick();
    expect(bench.forgets.map(({ name }) => name)).toEqual(['s0']);
    // Not beside it: the forgetting might take what it brings.
    expect(bench.commits).toHaveLength(2);
    await bench.forgets[0]?.settle();
    expect(bench.names(2)).toEqual(['s1']);
    await bench.last().settle();
    expect(bench.durable).toEqual([[['s1'], 2]]);
    expect(gone.stream.frames).toEqual([]);
    expect(bench.central.hasUnsettled(0)).toBe(false);
  });

  test('ends the engine when it can never fit', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    const error = full(false);
    await bench.last().fail(error);
    expect([bench.errors, bench.refusals]).toEqual([[error], []]);
  });

  test('is given up when the pipeline stops', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    await bench.last().fail(full());
    bench.pipeline.stop();
    await pass(bench, 10_000);
    expect(bench.commits).toHaveLength(1);
  });
});

describe('who waits', () => {
  test('is told when the store has been full for long, and again after as long', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    bench.reached = 3n;
    const waits = bench.pipeline.commitFrontiers();
    const rejected = expect(waits).rejects.toMatchObject({
      code: 'ERR_TIDEMARK_STORE_FULL',
      retryable: true,
    });
    const cause = full();
    let at = 0;
    while (bench.nowMs < 2.5 * FULL_TIMEOUT_MS) {
      if (bench.commits.length > at) {
        at = bench.commits.length;
        await bench.last().fail(cause);
      }
      await pass(bench, 50);
    }
    await rejected;
    expect(bench.refusals.map((error) => [error.code, error.retryable, error.cause])).toEqual([
      ['ERR_TIDEMARK_STORE_FULL', true, cause],
      ['ERR_TIDEMARK_STORE_FULL', true, cause],
    ]);
    expect([bench.fullTold, bench.errors]).toEqual([1, []]);
    // Room comes: all is as it was.
    await pass(bench, 1_000);
    await bench.last().settle();
    bench.add(1);
    bench.pipeline.kick();
    expect(bench.last().batch.frontiers).toEqual(new Map([['file', 3n]]));
    await bench.last().fail(full());
    expect([bench.fullTold, bench.refusals.length]).toEqual([2, 2]);
  });
});
