import { describe, expect, test } from 'vitest';
import type { JobSource } from '../../src/cli/job.ts';
import { BATCH_EVENTS, Pump, type PumpPlan } from '../../src/cli/pump.ts';
import type { Event } from '../../src/engine/event.ts';

function eventAt(offset: number): Event {
  return { stream: `s${offset % 3}`, payload: 'x', source: 'numbers', offset };
}

function sourceOf(read: JobSource['read']): JobSource {
  return { name: 'numbers', read };
}

/** Yields the offsets from `from` below `end`, one by one or in arrays. */
function counting(end: number, arraySize?: number): JobSource {
  return sourceOf(async function* (from) {
    for (let offset = Number(from ?? 0n); offset < end; offset += arraySize ?? 1) {
      if (arraySize === undefined) yield eventAt(offset);
      else
        yield Array.from({ length: Math.min(arraySize, end - offset) }, (_, index) =>
          eventAt(offset + index),
        );
    }
  });
}

function start(
  plan: Partial<PumpPlan> & Pick<PumpPlan, 'source'>,
  onPush?: (events: Event[]) => Promise<void>,
) {
  const batches: Event[][] = [];
  const crashes: number[] = [];
  const pump: Pump = new Pump(
    {
      from: undefined,
      limit: undefined,
      crashAfter: undefined,
      reached: undefined,
      signal: new AbortController().signal,
      ...plan,
    },
    {
      push: async (events) => {
        await onPush?.(events);
        batches.push(events);
      },
      crash: () => crashes.push(pump.pushed),
    },
  );
  return { pump, batches, crashes, offsets: () => batches.flat().map(({ offset }) => offset) };
}

function range(from: number, end: number): number[] {
  return Array.from({ length: end - from }, (_, index) => from + index);
}

describe('batches', () => {
  test.each([
    ['one by one', undefined],
    ['in small arrays', 7],
    ['in one large array', 100_000],
  ])('events that come %s are pushed in order in full batches', async (_name, arraySize) => {
    const { pump, batches, offsets } = start({ source: counting(2_000, arraySize) });
    await pump.run();
    expect(offsets()).toEqual(range(0, 2_000));
    expect(Math.max(...batches.map(({ length }) => length))).toBe(BATCH_EVENTS);
    expect(batches.length).toBe(Math.ceil(2_000 / BATCH_EVENTS));
    expect(pump.pushed).toBe(2_000);
    expect(pump.next).toBe(2_000n);
  });

  test('a slow source does not hold back what it gave', async () => {
    const pushed = Promise.withResolvers<void>();
    const source = sourceOf(async function* () {
      yield eventAt(0);
      yield eventAt(1);
      await pushed.promise;
      yield eventAt(2);
    });
    const { pump, batches } = start({ source }, async () => pushed.resolve());
    await pump.run();
    expect(batches.map((batch) => batch.map(({ offset }) => offset))).toEqual([[0, 1], [2]]);
  });

  test('an event with an offset and no source gets the name of the source', async () => {
    const source = sourceOf(async function* () {
      yield { stream: 'a', payload: 'x', offset: 5, nextOffset: 9 };
      yield { stream: 'a', payload: 'x' };
    });
    const { pump, batches } = start({ source });
    await pump.run();
    expect(batches.flat().map((event) => event.source)).toEqual(['numbers', undefined]);
  });

  test('reading goes on where an event says', async () => {
    const source = sourceOf(async function* () {
      yield { stream: 'a', payload: 'x', offset: 5, nextOffset: 9 };
    });
    const { pump } = start({ source });
    await pump.run();
    expect(pump.next).toBe(9);
  });
});

describe('the end of a run', () => {
  test.each([undefined, 7, 1_000])(
    'a limit counts from the start of the source (arrays of %s)',
    async (arraySize) => {
      const first = start({ source: counting(2_000, arraySize), limit: 600 });
      await first.pump.run();
      expect(first.offsets()).toEqual(range(0, 600));
      const second = start({ source: counting(2_000, arraySize), from: 250n, limit: 600 });
      await second.pump.run();
      expect(second.offsets()).toEqual(range(250, 600));
    },
  );

  test('a source that is read beyond the limit is not opened', async () => {
    const source = sourceOf(() => {
      throw new Error('opened');
    });
    const { pump } = start({ source, from: 600n, limit: 600 });
    await pump.run();
    expect(pump.pushed).toBe(0);
  });

  test('events without an offset count from the start of the run', async () => {
    const source = sourceOf(async function* () {
      for (;;) yield { stream: 'a', payload: 'x' };
    });
    const { pump } = start({ source, limit: 1_000 });
    await pump.run();
    expect(pump.pushed).toBe(1_000);
  });

  test('the crash comes once exactly so many events are accepted', async () => {
    const { pump, crashes } = start({ source: counting(5_000, 100), from: 40n, crashAfter: 1_234 });
    await pump.run();
    expect(crashes).toEqual([1_234]);
    expect(pump.pushed).toBe(1_234);
  });

  test('a stop in the middle of a wait pushes what was read and lets the source go', async () => {
    const stop = new AbortController();
    const source = sourceOf(async function* () {
      yield [eventAt(0), eventAt(1)];
      setImmediate(() => stop.abort());
      await new Promise<never>(() => {});
    });
    const { pump, offsets } = start({ source, signal: stop.signal });
    await pump.run();
    expect(offsets()).toEqual([0, 1]);
  });

  test('a stop while a source never pauses ends it too', async () => {
    const stop = new AbortController();
    let isReturned = false;
    const source = sourceOf(async function* () {
      try {
        for (let offset = 0; ; offset += 1) {
          if (offset === 10_000) stop.abort();
          yield eventAt(offset);
        }
      } finally {
        isReturned = true;
      }
    });
    const { pump } = start({ source, signal: stop.signal });
    await pump.run();
    expect(pump.pushed).toBeGreaterThanOrEqual(9_999);
    expect(pump.pushed).toBeLessThanOrEqual(10_001);
    await expect.poll(() => isReturned).toBe(true);
  });

  test.each([
    ['later', () => Promise.reject(new Error('it does not let go'))],
    [
      'at once',
      () => {
        throw new Error('it does not let go');
      },
    ],
  ])('a source that fails %s when it is let go has given its events all the same', async (_name, end) => {
    const source = sourceOf(() => {
      const events = counting(10).read(0n, new AbortController().signal)[Symbol.asyncIterator]();
      return { [Symbol.asyncIterator]: () => ({ next: () => events.next(), return: end }) };
    });
    const { pump, offsets } = start({ source, limit: 5 });
    await pump.run();
    expect(offsets()).toEqual(range(0, 5));
  });
});

describe('what was reached before', () => {
  test.each([
    [undefined, 0],
    [100n, 0],
    [150n, 50],
    [1_700n, 1_600],
    [9_999n, 1_900],
  ])('of the events from 100 below 2000, those below %s are replayed', async (reached, replayed) => {
    const { pump } = start({ source: counting(2_000), from: 100n, reached });
    await pump.run();
    expect(pump.replayed).toBe(replayed);
  });
});

describe('failures', () => {
  test('of the source reach the caller after what was read is pushed', async () => {
    const source = sourceOf(async function* () {
      yield eventAt(0);
      throw new Error('connection lost');
    });
    const { pump, offsets } = start({ source });
    await expect(pump.run()).rejects.toThrow('connection lost');
    expect(offsets()).toEqual([0]);
  });

  test('of a push reach the caller and let the source go', async () => {
    let isReturned = false;
    const source = sourceOf(async function* () {
      try {
        for (let offset = 0; ; offset += 1) yield eventAt(offset);
      } finally {
        isReturned = true;
      }
    });
    const { pump } = start({ source }, () => Promise.reject(new Error('engine failed')));
    await expect(pump.run()).rejects.toThrow('engine failed');
    await expect.poll(() => isReturned).toBe(true);
  });

  test.each([
    ['nothing to iterate over', () => undefined, 'must return an AsyncIterable'],
    [
      'no events',
      async function* () {
        yield 5;
      },
      'yielded number, not an event',
    ],
  ])('a source that gives %s is refused', async (_name, read, message) => {
    const source = sourceOf(read as unknown as JobSource['read']);
    await expect(start({ source }).pump.run()).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_TIDEMARK_INVALID_JOB',
        message: expect.stringContaining(message),
      }),
    );
  });
});
