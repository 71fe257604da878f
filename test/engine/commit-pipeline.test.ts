/** Group commit: one at a time, what waits goes together, with the frontiers that hold once it is durable. */
import { describe, expect, test, vi } from 'vitest';
import { CommitBench as Bench, LATER_MS, memory, useFakeTimers } from '../support/commit-bench.ts';

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  for (let i = 0; i < 10; i++) await Promise.resolve();
  return settled;
}

useFakeTimers();

describe('a commit', () => {
  test('has the frames with their bytes where they lie, the generation and the frontiers', () => {
    const bench = new Bench();
    const frame = bench.add(0, 5n, 32);
    bench.reached = 6n;
    bench.pipeline.kick();
    const { batch } = bench.last();
    expect(batch.generation).toBe(9n);
    expect(batch.frontiers).toEqual(new Map([['file', 6n]]));
    expect(batch.frames).toMatchObject([{ stream: 's0', sequence: frame.sequence }]);
    const { bytes } = batch.frames[0] as { bytes: Uint8Array };
    expect([bytes.buffer, bytes.byteOffset, bytes.length]).toEqual([memory.buffer, frame.address, 32]);
  });

  test('does not begin when nothing waits', () => {
    const bench = new Bench();
    bench.pipeline.kick();
    expect(bench.commits).toEqual([]);
  });

  test('is alone: what comes meanwhile waits and goes together, each stream with its newest', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    for (const stream of [1, 0, 2, 1, 1]) {
      bench.add(stream);
      bench.pipeline.kick();
    }
    expect(bench.commits).toHaveLength(1);
    await bench.last().settle();
    expect(bench.commits).toHaveLength(2);
    expect([bench.names(0), bench.names(1)]).toEqual([['s0'], ['s1', 's0', 's2']]);
    await bench.last().settle();
    expect(bench.durable).toEqual([
      [['s0'], 1],
      [['s1', 's0', 's2'], 4],
    ]);
    expect(bench.commits).toHaveLength(2);
    expect(bench.pipeline.commits).toBe(2);
  });

  test('is bounded, and the next one follows at once', async () => {
    const bench = new Bench();
    for (let stream = 0; stream < 3_000; stream++) bench.add(stream);
    bench.pipeline.kick();
    while (bench.durable.length < bench.commits.length) await bench.last().settle();
    const sizes = bench.commits.map(({ batch }) => batch.frames.length);
    expect(sizes.length).toBeGreaterThan(1);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(3_000);
    expect(bench.durable.map(([, through]) => through)).toEqual(
      sizes.map((_, at) => sizes.slice(0, at + 1).reduce((sum, size) => sum + size, 0)),
    );
  });

  test('takes more after one that took long', async () => {
    const bench = new Bench();
    for (let i = 0; i < 2_000; i++) bench.add(i);
    bench.pipeline.kick();
    expect(bench.last().batch.frames).toHaveLength(256);
    bench.nowMs += 20;
    await bench.last().settle();
    expect(bench.last().batch.frames).toHaveLength(1_024);
    bench.nowMs += 1;
    await bench.last().settle();
    expect(bench.last().batch.frames).toHaveLength(256);
  });

  test('settles its frames before anyone is told', async () => {
    const bench = new Bench();
    const frame = bench.add(0);
    bench.pipeline.kick();
    expect(frame.state).toBe('writing');
    await bench.last().settle();
    expect(frame.state).toBe('durable');
    expect(bench.central.hasUnsettled(0)).toBe(false);
  });
});

describe('while nobody waits, a commit', () => {
  /** One commit has begun and ended at 100 ms. */
  async function afterOne(): Promise<Bench> {
    const bench = new Bench();
    bench.isAwaited = false;
    bench.nowMs = 100;
    bench.add(0);
    bench.pipeline.kick();
    await bench.last().settle();
    expect(bench.commits).toHaveLength(1);
    return bench;
  }

  test('begins at once after a pause', async () => {
    const bench = await afterOne();
    bench.nowMs = 110;
    bench.add(1);
    bench.pipeline.kick();
    expect(bench.commits).toHaveLength(2);
  });

  test('is put off until 10 ms after the one before, and takes what has come', async () => {
    const bench = await afterOne();
    bench.nowMs = 101;
    bench.add(1);
    bench.pipeline.kick();
    bench.nowMs = 102;
    bench.add(2);
    bench.pipeline.kick();
    vi.advanceTimersByTime(8);
    expect(bench.commits).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(bench.names(1)).toEqual(['s1', 's2']);
  });

  test('is not put off once somebody waits', async () => {
    const bench = await afterOne();
    bench.add(1);
    bench.pipeline.kick();
    expect(bench.commits).toHaveLength(1);
    bench.isAwaited = true;
    bench.pipeline.kick();
    expect(bench.names(1)).toEqual(['s1']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is not put off by somebody who waits for frontiers', async () => {
    const bench = await afterOne();
    bench.reached = 5n;
    bench.add(1);
    bench.pipeline.kick();
    const done = bench.pipeline.commitFrontiers();
    expect(bench.names(1)).toEqual(['s1']);
    await bench.last().settle();
    expect(await isSettled(done)).toBe(true);
  });

  test.each([
    ['256 frames', 256, 16],
    ['a MiB', 2, 2 ** 19],
  ])('is not put off when %s wait', async (_, frames, bytes) => {
    const bench = await afterOne();
    for (let stream = 1; stream <= frames; stream++) {
      expect(bench.commits).toHaveLength(1);
      bench.add(stream, undefined, bytes);
      bench.pipeline.kick();
    }
    expect(bench.names(1)).toHaveLength(frames);
  });

  test('that is put off does not begin after the end', async () => {
    const bench = await afterOne();
    bench.add(1);
    bench.pipeline.kick();
    bench.pipeline.stop();
    vi.advanceTimersByTime(LATER_MS);
    expect(bench.commits).toHaveLength(1);
  });
});

describe('the frontiers of a commit', () => {
  test('are held by the frames that wait, not by those that it makes durable', async () => {
    const bench = new Bench();
    bench.reached = 100n;
    bench.add(0, 5n);
    bench.pipeline.kick();
    bench.add(0, 9n);
    expect(bench.last().batch.frontiers.get('file')).toBe(100n);
    await bench.last().settle();
    expect(bench.last().batch.frontiers.get('file')).toBe(100n);
  });

  test('are held by what a bounded batch leaves behind', () => {
    const bench = new Bench();
    bench.reached = 100n;
    for (let stream = 0; stream < 3_000; stream++) bench.add(stream, stream === 2_999 ? 42n : 50n);
    bench.pipeline.kick();
    expect(bench.last().batch.frontiers.get('file')).toBe(42n);
  });

  test('are those of when it began: what rises meanwhile goes with the next', async () => {
    const bench = new Bench();
    bench.uncovered = 5n;
    bench.add(0);
    bench.pipeline.kick();
    bench.uncovered = 8n;
    await bench.last().settle();
    expect(bench.frontiers).toEqual([['file', 5n]]);
    expect(bench.pipeline.committed).toEqual(new Map([['file', 5n]]));
  });

  test('are told when they are durable, and only when they changed', async () => {
    const bench = new Bench(new Map([['file', 5n]]));
    bench.reached = 5n;
    bench.add(0);
    bench.pipeline.kick();
    await bench.last().settle();
    expect(bench.frontiers).toEqual([]);
    bench.reached = 7n;
    bench.add(0);
    bench.pipeline.kick();
    expect(bench.frontiers).toEqual([]);
    await bench.last().settle();
    expect(bench.frontiers).toEqual([['file', 7n]]);
  });
});

describe('commitFrontiers', () => {
  test('resolves at once when nothing is new', async () => {
    const bench = new Bench(new Map([['file', 5n]]));
    bench.reached = 5n;
    await bench.pipeline.commitFrontiers();
    expect(bench.commits).toEqual([]);
  });

  test('begins a commit, and resolves when it is durable', async () => {
    const bench = new Bench();
    bench.reached = 5n;
    const done = bench.pipeline.commitFrontiers();
    expect(bench.last().batch).toMatchObject({ frames: [], frontiers: new Map([['file', 5n]]) });
    expect(await isSettled(done)).toBe(false);
    await bench.last().settle();
    expect(await isSettled(done)).toBe(true);
  });

  test('takes frames along that wait', () => {
    const bench = new Bench();
    bench.reached = 5n;
    bench.add(0);
    void bench.pipeline.commitFrontiers();
    expect(bench.names(0)).toEqual(['s0']);
  });

  test('waits for the commit behind the one under way, which began before', async () => {
    const bench = new Bench();
    bench.uncovered = 5n;
    bench.add(0);
    bench.pipeline.kick();
    bench.uncovered = 8n;
    const done = [bench.pipeline.commitFrontiers(), bench.pipeline.commitFrontiers()];
    await bench.commits[0]?.settle();
    expect(await isSettled(Promise.all(done))).toBe(false);
    expect(bench.commits).toHaveLength(2);
    expect(bench.last().batch.frontiers.get('file')).toBe(8n);
    await bench.last().settle();
    expect(await isSettled(Promise.all(done))).toBe(true);
    expect(bench.commits).toHaveLength(2);
  });

  test('resolves when the pipeline is stopped, before or meanwhile', async () => {
    const bench = new Bench();
    bench.reached = 5n;
    const done = bench.pipeline.commitFrontiers();
    bench.pipeline.stop();
    expect(await isSettled(done)).toBe(true);
    expect(await isSettled(bench.pipeline.commitFrontiers())).toBe(true);
    expect(bench.commits).toHaveLength(1);
  });
});

describe('a commit that fails', () => {
  test('is reported once, and its frames are not taken for durable', async () => {
    const bench = new Bench();
    const frame = bench.add(0);
    bench.pipeline.kick();
    const error = new Error('disk');
    await bench.last().fail(error);
    expect(bench.errors).toEqual([error]);
    expect([frame.state, bench.durable, bench.frontiers]).toEqual(['writing', [], []]);
    expect(bench.pipeline.commits).toBe(0);
  });

  test('is reported when the store throws at once', async () => {
    const error = new Error('at once');
    const bench = new Bench(new Map(), {
      commit: () => {
        throw error;
      },
    });
    bench.add(0);
    bench.pipeline.kick();
    expect(await isSettled(Promise.resolve())).toBe(true);
    expect(bench.errors).toEqual([error]);
  });

  test('is nobody else to handle once the pipeline is stopped', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    bench.pipeline.stop();
    await bench.last().fail(new Error('closed under it'));
    expect(bench.errors).toEqual([]);
  });
});

test('after a stop nobody is told of a commit under way, and none follows it', async () => {
  const bench = new Bench();
  bench.add(0);
  bench.pipeline.kick();
  bench.add(1);
  bench.pipeline.stop();
  await bench.last().settle();
  expect([bench.durable, bench.frontiers, bench.pipeline.commits]).toEqual([[], [], 0]);
  bench.pipeline.kick();
  expect(bench.commits).toHaveLength(1);
});

describe('a stream that is forgotten', () => {
  test('waits until the commit under way has settled, and what comes of its name until it is forgotten', async () => {
    const bench = new Bench();
    bench.add(0);
    bench.pipeline.kick();
    bench.forget(0);
    bench.add(0);
    bench.pipeline.kick();
    expect([bench.commits.length, bench.forgets.length]).toEqual([1, 0]);
    await bench.last().settle();
    expect(bench.forgets.map(({ name }) => name)).toEqual(['s0']);
    bench.add(1);
    bench.pipeline.kick();
    expect([bench.commits.length, bench.forgotten]).toEqual([1, []]);
    await bench.forgets[0]?.settle();
    expect(bench.forgotten).toEqual([['s0']]);
    expect([bench.names(0), bench.names(1)]).toEqual([['s0'], ['s0', 's1']]);
  });

  test('is forgotten at once, however late the next commit would be', async () => {
    const bench = new Bench();
    bench.isAwaited = false;
    bench.add(0);
    bench.pipeline.kick();
    await bench.last().settle();
    bench.forget(1);
    bench.pipeline.kick();
    expect(bench.forgets).toHaveLength(1);
  });

  test('holds back the frontiers of a commit that comes before it is forgotten, not of one behind', async () => {
    const bench = new Bench();
    bench.reached = 100n;
    bench.forget(0);
    bench.pipeline.kick();
    // While one is forgotten a frame comes, and then another stream is over: it is not its turn.
    bench.add(1, 50n);
    bench.add(2, 7n);
    bench.forget(2, 9n);
    bench.add(2, 60n);
    await bench.forgets[0]?.settle();
    expect(bench.names(0)).toEqual(['s1']);
    expect(bench.last().batch.frontiers.get('file')).toBe(7n);
    await bench.last().settle();
    expect(bench.forgets.map(({ name }) => name)).toEqual(['s0', 's2']);
    await bench.forgets[1]?.settle();
    expect(bench.names(1)).toEqual(['s2']);
    expect(bench.last().batch.frontiers.get('file')).toBe(100n);
  });

  test('leaves its frontiers behind without another frame', async () => {
    const bench = new Bench(new Map([['file', 3n]]));
    bench.reached = 8n;
    bench.forget(0, 3n);
    bench.pipeline.kick();
    await bench.forgets[0]?.settle();
    const done = bench.pipeline.commitFrontiers();
    expect(bench.last().batch.frontiers.get('file')).toBe(8n);
    await bench.last().settle();
    expect(await isSettled(done)).toBe(true);
  });

  test('takes turns with commits, however many of both come', async () => {
    const bench = new Bench();
    const turns: string[] = [];
    bench.forget(0);
    bench.pipeline.kick();
    for (let turn = 1; turn <= 6; turn++) {
      const before = bench.commits.length;
      bench.add(turn);
      for (let n = 0; n < 20; n++) bench.forget(100 * turn + n);
      await Promise.all([...bench.commits, ...bench.forgets].map((held) => held.settle()));
      turns.push(bench.commits.length > before ? 'commit' : 'forget');
    }
    expect(turns).toEqual(['commit', 'forget', 'commit', 'forget', 'commit', 'forget']);
  });

  test('is one of so many at a time', async () => {
    const bench = new Bench();
    for (let stream = 0; stream < 100; stream++) bench.forget(stream);
    bench.pipeline.kick();
    expect(bench.forgets).toHaveLength(64);
    await Promise.all(bench.forgets.map((held) => held.settle()));
    expect(bench.forgets).toHaveLength(100);
  });

  test('is forgotten together with others, each name once', async () => {
    const bench = new Bench();
    for (const stream of [0, 1, 0]) bench.forget(stream);
    bench.pipeline.kick();
    expect(bench.forgets.map(({ name }) => name)).toEqual(['s0', 's1']);
    await bench.forgets[0]?.settle();
    expect(bench.forgotten).toEqual([]);
    await bench.forgets[1]?.settle();
    expect(bench.forgotten).toEqual([['s0', 's1', 's0']]);
    expect(bench.commits).toEqual([]);
  });

  test('does not keep somebody who waits for frontiers waiting for ever', async () => {
    const bench = new Bench();
    bench.forget(0);
    bench.pipeline.kick();
    bench.reached = 5n;
    const done = bench.pipeline.commitFrontiers();
    expect(bench.commits).toEqual([]);
    await bench.forgets[0]?.settle();
    await bench.last().settle();
    expect(await isSettled(done)).toBe(true);
  });

  test.each([
    ['rejects', () => Promise.reject(new Error('no'))],
    [
      'throws at once',
      () => {
        throw new Error('no');
      },
    ],
  ])('is an error once when the store %s, and not taken for forgotten', async (_what, forget) => {
    const bench = new Bench(new Map(), { forget });
    bench.forget(0, 5n);
    bench.pipeline.kick();
    expect(await isSettled(Promise.resolve())).toBe(true);
    expect([bench.errors, bench.forgotten]).toEqual([[new Error('no')], []]);
    expect([...bench.central.waitingLows()]).toEqual([{ source: 0, offset: 5n }]);
  });

  test('is not forgotten once the pipeline is stopped, and one under way still settles', async () => {
    const bench = new Bench();
    bench.forget(0);
    bench.pipeline.kick();
    bench.forget(1);
    bench.pipeline.stop();
    await bench.forgets[0]?.settle();
    bench.pipeline.kick();
    expect([bench.forgotten, bench.forgets.length]).toEqual([[['s0']], 1]);
  });
});
