/** Which checkpoints are in memory, which wait, and which leave. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { IndexedStream, StoredFrame } from '../../src/store/stored-frame.ts';
import { CentralBench } from '../support/central-model.ts';

const ALL = { frames: 1_000, bytes: 1e9 };

function bench(options: Partial<ConstructorParameters<typeof CentralBench>[0]> = {}): CentralBench {
  return new CentralBench({ shards: 1, perStream: 2, isDurable: true, streams: 4, ...options });
}

describe('random adds, commits, refusals, evictions and streams that are forgotten', () => {
  const low = fc.record({ source: fc.nat(2), offset: fc.bigInt(0n, 9n) });
  const lows = fc.uniqueArray(low, { selector: ({ source }) => source, maxLength: 3 });
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        stream: fc.nat(4),
        bytes: fc.integer({ min: 1, max: 50 }),
        lows,
      }),
    },
    { weight: 2, arbitrary: fc.record({ forgotten: fc.nat(4), lows }) },
    { weight: 2, arbitrary: fc.record({ givenUp: fc.nat(4) }) },
    { weight: 2, arbitrary: fc.record({ most: fc.integer({ min: 1, max: 3 }) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        frames: fc.integer({ min: 1, max: 4 }),
        limit: fc.integer({ min: 1, max: 120 }),
      }),
    },
    { weight: 3, arbitrary: fc.constant('settle' as const) },
    { weight: 3, arbitrary: fc.constant('refuse' as const) },
    { weight: 2, arbitrary: fc.record({ shard: fc.nat(1), wanted: fc.integer({ min: 0, max: 120 }) }) },
  );
  const options = fc.record({ perStream: fc.integer({ min: 1, max: 4 }), isDurable: fc.boolean() });

  test('release every frame exactly once or keep it, and hold every invariant after every step', () => {
    fc.assert(
      fc.property(
        options,
        fc.nat(3),
        fc.array(step, { maxLength: 120, size: 'max' }),
        (drawn, restored, steps) => {
          const central = bench({ ...drawn, shards: 2, streams: 5 });
          if (drawn.isDurable) for (let stream = 0; stream < restored; stream++) central.restore(stream, 10);
          let writing: StoredFrame[] | undefined;
          let forgetting: IndexedStream[] | undefined;
          for (const next of steps) {
            if (next === 'settle') {
              if (writing !== undefined) central.settle(writing);
              if (forgetting !== undefined) central.settleForgotten(forgetting);
              writing = undefined;
              forgetting = undefined;
            } else if (next === 'refuse') {
              if (writing !== undefined) central.putBack(writing);
              if (forgetting !== undefined) central.store.putBackForgotten(forgetting);
              writing = undefined;
              forgetting = undefined;
            } else if ('forgotten' in next) {
              central.forget(next.forgotten, next.lows);
            } else if ('givenUp' in next) {
              if (drawn.isDurable) central.giveUp(next.givenUp);
            } else if ('most' in next) {
              if (writing === undefined) forgetting ??= central.store.takeForgotten(next.most);
            } else if ('stream' in next) {
              central.add(next.stream, next.bytes, next.lows);
            } else if ('frames' in next) {
              // One commit at a time, and none while streams are being forgotten.
              if (forgetting === undefined)
                writing ??= central.take({ frames: next.frames, bytes: next.limit }).frames;
            } else {
              central.evict(next.shard, next.wanted);
            }
            central.check();
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('what is refused', () => {
  const SMALL = { frames: 1_000, bytes: 10 };

  test('waits again in its place: nothing behind it counts as passed', () => {
    const central = bench();
    central.add(0, 20, [{ source: 0, offset: 3n }]);
    const refused = central.take(ALL);
    central.add(1, 5, [{ source: 0, offset: 4n }]);
    central.putBack(refused.frames);
    central.check();
    const small = central.take(SMALL);
    expect(small.frames.map(({ bytes }) => bytes)).toEqual([5]);
    expect(small.through).toBe(0);
    central.settle(small.frames);
    central.check();
    expect(central.take(ALL)).toMatchObject({ frames: refused.frames, through: 2 });
  });

  test('goes back between what waited before and behind it', () => {
    const central = bench();
    for (const [stream, bytes] of [30, 5, 30, 6].entries()) central.add(stream, bytes);
    central.putBack(central.take(ALL).frames);
    central.putBack(central.take({ frames: 1, bytes: 5 }).frames);
    central.check();
    expect(central.take(ALL).frames.map(({ bytes }) => bytes)).toEqual([30, 5, 30, 6]);
  });

  test('is replaced by a newer one, which covers what it was first to cover, and may leave', () => {
    const central = bench();
    const old = central.add(0, 20, [{ source: 0, offset: 3n }]);
    const { frames } = central.take(ALL);
    central.add(0, 21, [{ source: 0, offset: 8n }]);
    central.putBack(frames);
    central.check();
    expect([...central.store.waitingLows()]).toEqual([{ source: 0, offset: 3n }]);
    expect(central.evict(0, 1)).toBe(20);
    expect(central.released).toEqual([old]);
  });

  test('leaves if its stream is forgotten meanwhile, and holds frontiers back until that is durable', () => {
    const central = bench();
    const old = central.add(0, 20, [{ source: 0, offset: 3n }]);
    const { frames } = central.take(ALL);
    const stream = central.forget(0, [{ source: 0, offset: 8n }]);
    central.putBack(frames);
    central.check();
    expect(central.released).toEqual([old]);
    expect([...central.store.waitingLows()]).toEqual([{ source: 0, offset: 3n }]);
    expect(central.store.settledThrough).toBe(0);
    expect(central.store.takeForgotten(9)).toEqual([stream]);
    central.store.putBackForgotten([stream]);
    expect(central.store.takeForgotten(9)).toEqual([stream]);
    central.settleForgotten([stream]);
    central.check();
    expect([...central.store.waitingLows()]).toEqual([]);
  });
});

describe('retention', () => {
  test('drops the oldest first, once they may leave', () => {
    const central = bench();
    const [a, b, c] = [central.add(0, 1), central.add(0, 1), central.add(0, 1)];
    expect(central.released).toEqual([a]);
    central.settle(central.take(ALL).frames);
    expect(central.streams[0]?.frames).toEqual([b, c]);
  });

  test('never releases a frame that is being written', () => {
    const central = bench({ perStream: 1 });
    const [written] = [central.add(0, 1)];
    const batch = central.take(ALL).frames;
    for (let i = 0; i < 5; i++) central.add(0, 1);
    expect(central.released).not.toContain(written);
    expect(central.evict(0, 1e9)).toBe(0);
    central.settle(batch);
    expect(central.released).toContain(written);
    central.check();
  });

  test('keeps to its stream', () => {
    const central = bench({ perStream: 1 });
    central.add(0, 1);
    central.add(1, 1);
    expect(central.released).toEqual([]);
  });
});

describe('a newer frame of a stream that waits', () => {
  test('takes the place of the older one in the queue', () => {
    const central = bench();
    central.add(0, 1);
    const other = central.add(1, 1);
    const newer = central.add(0, 1);
    expect(central.store.takeBatch(ALL).frames).toEqual([newer, other]);
  });

  test('takes over what the older one was first to cover', () => {
    const central = bench();
    central.add(0, 1, [
      { source: 0, offset: 5n },
      { source: 1, offset: 6n },
    ]);
    central.add(0, 1, [
      { source: 1, offset: 9n },
      { source: 2, offset: 8n },
    ]);
    expect([...central.store.waitingLows()]).toEqual([
      { source: 0, offset: 5n },
      { source: 1, offset: 6n },
      { source: 2, offset: 8n },
    ]);
  });

  test('does not take over the lows of a frame that is being written', () => {
    const central = bench();
    central.add(0, 1, [{ source: 0, offset: 5n }]);
    central.take(ALL);
    central.add(0, 1, [{ source: 0, offset: 9n }]);
    expect([...central.store.waitingLows()]).toEqual([{ source: 0, offset: 9n }]);
  });

  test('waits anew when the older one is being written', () => {
    const central = bench();
    central.add(0, 1);
    const other = central.add(1, 1);
    central.take({ frames: 1, bytes: 1e9 });
    const newer = central.add(0, 1);
    expect(central.take(ALL).frames).toEqual([other, newer]);
  });
});

describe('a batch', () => {
  test('has at most so many frames and bytes, but at least one frame', () => {
    const central = bench();
    for (let stream = 0; stream < 4; stream++) central.add(stream, 100);
    expect(central.take({ frames: 10, bytes: 250 }).frames).toHaveLength(2);
    expect(central.take({ frames: 10, bytes: 1 }).frames).toHaveLength(1);
    expect(central.take({ frames: 0, bytes: 1e9 }).frames).toHaveLength(1);
    expect(central.take(ALL).frames).toHaveLength(0);
  });

  test('says through which place of the queue nothing waits any more', () => {
    const central = bench();
    for (let stream = 0; stream < 4; stream++) central.add(stream, 1);
    expect(central.take({ frames: 3, bytes: 1e9 }).through).toBe(3);
    // Its place is the one at which the stream began to wait.
    central.add(3, 1);
    central.add(0, 1);
    expect(central.store.enqueued).toBe(5);
    expect(central.take({ frames: 1, bytes: 1e9 }).through).toBe(4);
    expect(central.take(ALL).through).toBe(5);
    expect(central.take(ALL)).toEqual({ frames: [], through: 5 });
  });

  test('marks its frames as being written, and makes them durable once settled', () => {
    const central = bench();
    const frame = central.add(0, 1);
    const { frames } = central.take(ALL);
    expect([frame.state, frame.stream.writing]).toEqual(['writing', frame]);
    central.settle(frames);
    expect([frame.state, frame.stream.writing]).toEqual(['durable', undefined]);
  });
});

describe('eviction', () => {
  test('takes what may leave the longest first, of the shard that asks, until enough is freed', () => {
    const central = bench({ shards: 2 });
    const frames = [0, 1, 2, 3].map((stream) => central.add(stream, 10));
    central.settle(central.take({ frames: 3, bytes: 1e9 }).frames);
    expect(central.evict(0, 11)).toBe(20);
    expect(central.released).toEqual([frames[0], frames[2]]);
    expect(central.evict(1, 1)).toBe(10);
    expect(central.evict(1, 1)).toBe(0);
    expect(central.evict(0, 0)).toBe(0);
  });

  test('may take the last frame of a stream once it is durable, and the stream goes on', () => {
    const central = bench();
    central.add(0, 10);
    central.settle(central.take(ALL).frames);
    expect(central.evict(0, 1)).toBe(10);
    expect(central.streams[0]?.newest).toBeUndefined();
    const next = central.add(0, 10);
    expect(central.streams[0]?.newest).toBe(next);
    central.check();
  });

  test('takes frames that were restored', () => {
    const central = bench();
    const frame = central.restore(0, 10);
    expect(frame.state).toBe('durable');
    expect(central.evict(0, 1)).toBe(10);
    expect(central.released).toEqual([frame]);
  });
});

describe('a forgotten stream', () => {
  const LOW = [{ source: 0, offset: 5n }];

  test('gives up its frames at once, but for the one that is being written', () => {
    const central = bench({ perStream: 3 });
    const durable = central.add(0, 1);
    central.settle(central.take(ALL).frames);
    const written = central.add(0, 1);
    const batch = central.take(ALL).frames;
    const waiting = central.add(0, 1);
    central.forget(0);
    expect(central.released).toEqual([waiting, durable]);
    central.settle(batch);
    expect(central.released).toEqual([waiting, durable, written]);
    expect(central.store.hasUnsettled(0)).toBe(false);
    central.check();
  });

  test('holds back frontiers with what its frames did not cover, and with what they had not made durable', () => {
    const central = bench();
    central.add(0, 1, LOW);
    const stream = central.forget(0, [{ source: 1, offset: 9n }]);
    const lows = [...LOW, { source: 1, offset: 9n }];
    expect([...central.store.waitingLows()]).toEqual(lows);
    expect(central.take(ALL).frames).toEqual([]);
    expect([...central.store.waitingLows()]).toEqual(lows);
    expect(central.store.takeForgotten(1)).toEqual([stream]);
    expect([...central.store.waitingLows()]).toEqual(lows);
    central.settleForgotten([stream]);
    expect([...central.store.waitingLows()]).toEqual([]);
  });

  test('lets no frame pass that came after it: it may be of a new stream of the name', () => {
    const central = bench();
    const before = central.add(1, 1);
    const stream = central.forget(0);
    const after = central.add(0, 1);
    expect(central.take(ALL)).toEqual({ frames: [before], through: 1 });
    expect(central.store.isForgottenNext).toBe(true);
    central.settle([before]);
    central.settleForgotten(central.store.takeForgotten(9));
    expect(central.take(ALL)).toEqual({ frames: [after], through: 3 });
    expect(after.stream).not.toBe(stream);
  });
});

describe('a stream that is given up', () => {
  const LOW = [{ source: 0, offset: 5n }];

  test('gives its memory back at once, and whatever its shard still publishes of it', () => {
    const central = bench();
    const waiting = central.add(0, 1, LOW);
    central.putBack(central.take(ALL).frames);
    central.giveUp(0);
    const late = central.add(0, 1, [{ source: 0, offset: 9n }]);
    expect(central.released).toEqual([waiting, late]);
    expect([central.store.frameCount, central.store.frameBytes]).toEqual([0, 0]);
    expect(central.store.hasUnsettled(0)).toBe(false);
    expect(central.store.refusedStreams).toBe(0);
  });

  test('holds back frontiers, and its place in the queue, until the durable store has forgotten it', () => {
    const central = bench();
    central.add(0, 1, LOW);
    const stream = central.giveUp(0);
    const other = central.add(1, 1, [{ source: 0, offset: 7n }]);
    central.check();
    // It is passed over: the shard may need the room that others make.
    const batch = central.take(ALL);
    expect(batch).toEqual({ frames: [other], through: 0 });
    central.settle(batch.frames);
    expect(central.store.isIdle).toBe(true);
    expect([...central.store.waitingLows()]).toEqual(LOW);
    central.forget(0, [{ source: 1, offset: 3n }]);
    expect(central.take(ALL)).toEqual({ frames: [], through: 0 });
    expect(central.store.takeForgotten(9)).toEqual([stream]);
    expect([...central.store.waitingLows()]).toEqual([...LOW, { source: 1, offset: 3n }]);
    central.settleForgotten([stream]);
    central.check();
    expect([...central.store.waitingLows()]).toEqual([]);
    expect(central.store.settledThrough).toBe(central.store.enqueued);
  });

  test('keeps the frame that is being written until that has ended, whichever way', () => {
    for (const end of ['settle', 'putBack'] as const) {
      const central = bench();
      const written = central.add(0, 1, LOW);
      const { frames } = central.take(ALL);
      const stream = central.giveUp(0);
      expect(central.released).toEqual([]);
      central[end](frames);
      central.check();
      expect(central.released).toEqual(end === 'settle' ? [] : [written]);
      expect([...central.store.waitingLows()]).toEqual(end === 'settle' ? [] : LOW);
      central.forget(0);
      expect(central.released).toEqual([written]);
      expect(central.store.takeForgotten(9)).toEqual([stream]);
    }
  });
});

describe('memory only', () => {
  test('gives up all frames of a forgotten stream, and nothing waits', () => {
    const central = bench({ isDurable: false, perStream: 3 });
    const frames = [central.add(0, 10), central.add(0, 10)];
    central.forget(0, [{ source: 0, offset: 1n }]);
    expect(central.released).toEqual(frames);
    expect([central.store.isIdle, central.store.hasForgotten]).toEqual([true, false]);
    expect([...central.store.waitingLows()]).toEqual([]);
    central.check();
  });

  test('keeps the newest frame of every stream, whatever is asked for', () => {
    const central = bench({ isDurable: false, perStream: 3 });
    const old = [central.add(0, 10), central.add(0, 10)];
    const newest = central.add(0, 10);
    expect(central.evict(0, 1e9)).toBe(20);
    expect(central.released).toEqual(old);
    expect(central.evict(0, 1)).toBe(0);
    expect(central.streams[0]?.frames).toEqual([newest]);
    expect(newest.state).toBe('stored');
  });

  test('never waits, has nothing to commit and nothing unsettled', () => {
    const central = bench({ isDurable: false });
    central.add(0, 10, [{ source: 0, offset: 1n }]);
    expect(central.store.isIdle).toBe(true);
    expect(central.store.hasUnsettled(0)).toBe(false);
    expect(central.store.takeBatch(ALL)).toEqual({ frames: [], through: 0 });
    expect([...central.store.waitingLows()]).toEqual([]);
  });
});
