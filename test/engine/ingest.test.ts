/** From push calls to records in rings: their order, their limits, and what happens when there is no room. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/engine/event.ts';
import type { Marks } from '../../src/engine/queued-push.ts';
import { shardOf } from '../../src/engine/router.ts';
import { IngestBench, type ReadRecord } from '../support/ingest-bench.ts';
import { type Random, seeded } from '../support/random.ts';

/** Streams by the shard that owns them, of two. */
const [ON_0, ON_1] = [0, 1].map((shard) =>
  Array.from({ length: 40 }, (_, i) => `stream ${i}`).filter((name) => shardOf(name, 2) === shard),
) as [string[], string[]];
const [A, B] = [ON_0[0] as string, ON_1[0] as string];

function event(stream: string, payload: string | Uint8Array, more: Partial<Event> = {}): Event {
  return { stream, payload, ...more };
}

function payloads(records: readonly ReadRecord[]): string[] {
  return records.flatMap((record) => (record.kind === 'event' ? [record.payload] : []));
}

/** Fills the ring of the shard of `stream`; the events that it took. */
function fill(bench: IngestBench, stream: string): string[] {
  const taken: string[] = [];
  while (bench.ingest.tryAccept(event(stream, `fill ${taken.length}`), false))
    taken.push(`fill ${taken.length}`);
  return taken;
}

/** Which of `promises` are settled, without waiting for them. */
async function settled(promises: readonly Promise<unknown>[]): Promise<boolean[]> {
  const states = promises.map(() => false);
  for (const [at, promise] of promises.entries()) {
    promise.then(
      () => (states[at] = true),
      () => (states[at] = true),
    );
  }
  await new Promise((resolve) => setImmediate(resolve));
  return states;
}

describe('a record', () => {
  test('says what the event says, and defaults where it says nothing', () => {
    const bench = new IngestBench();
    bench.ingest.tryAccept(
      event(A, 'x', {
        sequence: 2n ** 60n,
        watermarkNs: 7,
        source: 'file',
        offset: 2 ** 40,
        nextOffset: 2n ** 41n,
      }),
      true,
    );
    bench.ingest.tryAccept(event(A, ''), false);
    expect(bench.read(0).filter(({ kind }) => kind === 'event')).toEqual([
      {
        kind: 'event',
        stream: A,
        payload: 'x',
        sequence: 2n ** 60n,
        watermarkNs: 7n,
        source: 'file',
        offset: 2n ** 40n,
        nextOffset: 2n ** 41n,
        isDurable: true,
      },
      {
        kind: 'event',
        stream: A,
        payload: '',
        sequence: undefined,
        watermarkNs: 0n,
        source: undefined,
        offset: undefined,
        nextOffset: undefined,
        isDurable: false,
      },
    ]);
  });

  test('has u64 values bit by bit, from numbers and from bigints', () => {
    const bench = new IngestBench();
    const values = [0, 1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, 2n ** 63n, 2n ** 64n - 1n];
    for (const value of values) {
      bench.ingest.tryAccept(event(A, '', { sequence: value, watermarkNs: value }), false);
    }
    const read = bench.read(0).flatMap((record) => (record.kind === 'event' ? [record] : []));
    expect(read.map(({ sequence, watermarkNs }) => [sequence, watermarkNs])).toEqual(
      values.map((value) => [BigInt(value), BigInt(value)]),
    );
  });

  test('has the offset plus 1 as its next offset by default', () => {
    const bench = new IngestBench();
    for (const offset of [5, Number.MAX_SAFE_INTEGER, 2n ** 64n - 2n]) {
      bench.ingest.tryAccept(event(A, '', { source: 'file', offset }), false);
    }
    const next = bench.read(0).flatMap((record) => (record.kind === 'event' ? [record.nextOffset] : []));
    expect(next).toEqual([6n, 2n ** 53n, 2n ** 64n - 1n]);
  });

  test('holds the payload byte by byte, of text and of any view', () => {
    const bench = new IngestBench();
    const texts = ['', 'a', 'äöü', '\u{1f600}', '\ufeffbom', 'x'.repeat(999)];
    for (const text of texts) {
      bench.ingest.tryAccept(event(A, text), false);
      // A view in the middle of a larger buffer.
      const bytes = Buffer.concat([Buffer.from('before'), Buffer.from(text), Buffer.from('behind')]);
      bench.ingest.tryAccept(event(A, bytes.subarray(6, bytes.length - 6)), false);
    }
    expect(payloads(bench.read(0))).toEqual(texts.flatMap((text) => [text, text]));
  });
});

describe('a definition', () => {
  test('is written once for each shard, before the first event that needs it', () => {
    const bench = new IngestBench();
    for (const stream of [A, B, A, B])
      bench.ingest.tryAccept(event(stream, '', { source: 'file', offset: 0 }), false);
    for (const shard of [0, 1]) {
      const name = [A, B][shard];
      expect(
        bench.read(shard).map((record) => [record.kind, 'name' in record ? record.name : record.stream]),
      ).toEqual([
        ['stream', name],
        ['source', 'file'],
        ['event', name],
        ['event', name],
      ]);
    }
  });

  test('is not written for a stream that a shard restored', () => {
    const bench = new IngestBench();
    bench.router.addStream(A).isDefined = true;
    bench.ingest.tryAccept(event(A, ''), false);
    expect(() => bench.read(0)).toThrow('number 0 was never defined');
  });

  test('counts streams by shard and sources over all', () => {
    const bench = new IngestBench();
    for (const stream of [ON_0[0], ON_1[0], ON_0[1], ON_1[1]] as string[]) {
      bench.ingest.tryAccept(event(stream, '', { source: `of ${stream}`, offset: 0 }), false);
    }
    const indices = [0, 1].map((shard) =>
      bench.read(shard).flatMap((record) => ('index' in record ? [[record.kind, record.index]] : [])),
    );
    expect(indices).toEqual([
      [
        ['stream', 0],
        ['source', 0],
        ['stream', 1],
        ['source', 2],
      ],
      [
        ['stream', 0],
        ['source', 1],
        ['stream', 1],
        ['source', 3],
      ],
    ]);
  });

  test('is written once also when the ring is full right behind it', async () => {
    const bench = new IngestBench(1);
    // Room for the definition of a stream, not for an event of this size.
    bench.ingest.tryAccept(event('first', 'x'.repeat(1_900)), false);
    expect(bench.ingest.tryAccept(event('second', 'x'.repeat(1_980)), false)).toBe(true);
    const push = bench.push([event('third', 'x'.repeat(100))]);
    const before = bench.read(0);
    // What is written is seen: room that nobody knows of would never be free again.
    expect(before.at(-1)).toMatchObject({ kind: 'stream', name: 'third' });
    bench.ingest.resume();
    await push;
    const defined = [...before, ...bench.read(0)].filter(({ kind }) => kind === 'stream');
    expect(defined.map((record) => 'name' in record && record.name)).toEqual(['first', 'second', 'third']);
  });
});

describe('a full ring', () => {
  test('refuses what does not wait, names the shard, and has all of it published', () => {
    const bench = new IngestBench();
    const taken = fill(bench, A);
    expect(taken.length).toBeGreaterThan(20);
    expect(bench.full).toEqual([0]);
    expect(payloads(bench.read(0))).toEqual(taken);
    expect(bench.ingest.tryAccept(event(A, 'again'), false)).toBe(true);
    expect(bench.ingest.accepted).toBe(taken.length + 1);
  });

  test('holds back every later push, also those for shards that have room', async () => {
    const bench = new IngestBench();
    const taken = fill(bench, A);
    const pushes = [bench.push([event(A, '1')]), bench.push([event(B, '2')]), bench.push([event(A, '3')])];
    expect(bench.ingest.tryAccept(event(B, 'passing'), false)).toBe(false);
    expect(await settled(pushes)).toEqual([false, false, false]);
    expect(bench.read(1)).toEqual([]);
    expect(payloads(bench.read(0))).toEqual(taken);
    bench.ingest.resume();
    expect(await settled(pushes)).toEqual([true, true, true]);
    expect([payloads(bench.read(0)), payloads(bench.read(1))]).toEqual([['1', '3'], ['2']]);
  });

  test('lets an array in piece by piece', async () => {
    const bench = new IngestBench(1);
    const events = Array.from({ length: 300 }, (_, i) => event('s', `${i}`));
    const push = bench.push(events);
    expect(bench.ingest.accepted).toBeGreaterThan(0);
    expect(bench.ingest.accepted).toBeLessThan(300);
    expect(await settled([push])).toEqual([false]);
    expect(bench.drain().map(payloads)).toEqual([events.map(({ payload }) => payload)]);
    await push;
  });

  test(
    'keeps the order of calls within every shard, over random pushes that nobody awaits',
    seeded(async (random) => {
      const bench = new IngestBench(2, 2 ** 12);
      const expected: [string[], string[]] = [[], []];
      const order: number[] = [];
      const resolved: number[] = [];
      const read: [string[], string[]] = [[], []];
      for (let call = 0; call < 400; call++) {
        const events = drawEvents(random, call);
        for (const { stream, payload } of events)
          expected[shardOf(stream, 2) as 0 | 1].push(payload as string);
        order.push(call);
        void bench.push(events).then(() => resolved.push(call));
        const shard = random.below(2) as 0 | 1;
        if (random.chance(0.3)) read[shard].push(...payloads(bench.read(shard)));
        if (random.chance(0.3)) bench.ingest.resume();
        if (random.chance(0.1)) bench.nextTurn();
      }
      const rest = bench.drain();
      for (const shard of [0, 1] as const) read[shard].push(...payloads(rest[shard] as ReadRecord[]));
      expect(read).toEqual(expected);
      // The last ones may have been beyond the measure of their turn.
      bench.nextTurn();
      await new Promise((resolve) => setImmediate(resolve));
      expect(resolved).toEqual(order);
    }),
  );
});

function drawEvents(random: Random, call: number): Event[] {
  return Array.from({ length: random.below(6) }, (_, at) =>
    event(
      random.pick(random.chance(0.5) ? ON_0 : ON_1),
      `${call}.${at}${'x'.repeat(random.magnitude(1_500))}`,
    ),
  );
}

describe('a push that waits', () => {
  test('learns on failure how many of its events were accepted, and so does every push behind it', async () => {
    const bench = new IngestBench(1);
    const taken = fill(bench, 's').length;
    bench.read(0);
    const pushes = [300, 2, 0].map((count) =>
      bench.push(Array.from({ length: count }, (_, i) => event('s', `${i}`))),
    );
    const accepted = bench.ingest.accepted - taken;
    expect(accepted).toBeGreaterThan(0);
    bench.ingest.failAll();
    const errors = await Promise.all(pushes.map((push) => push.catch((error: unknown) => error)));
    expect(errors.map((error) => (error as { accepted: number }).accepted)).toEqual([accepted, 0, 0]);
    bench.read(0);
    bench.ingest.resume();
    // What was refused does not come back.
    expect(bench.read(0)).toEqual([]);
    expect(bench.ingest.isWaiting).toBe(false);
  });

  test('holds the frontier of its source, though another stream of the same record is covered', async () => {
    const bench = new IngestBench();
    fill(bench, B);
    const record = { source: 'file', offset: 5, nextOffset: 9 };
    const push = bench.push([
      event(A, 'first', record),
      event(B, 'second', record),
      event(A, 'third', { source: 'file', offset: 9 }),
    ]);
    const file = bench.router.source('file');
    expect(payloads(bench.read(0))).toEqual(['first']);
    file?.onReport(0, { read: 1, lastOffset: 5n, openLow: undefined });
    // A frontier of 9 would have the second event skipped after a crash.
    expect(file?.frontier(undefined)).toBe(5n);
    bench.read(1);
    bench.ingest.resume();
    await push;
    file?.onReport(1, { read: 1, lastOffset: 5n, openLow: undefined });
    expect(file?.frontier(undefined)).toBe(9n);
    file?.onReport(0, { read: 2, lastOffset: 9n, openLow: undefined });
    expect(file?.frontier(undefined)).toBe(10n);
  });

  test('holds frontiers behind other pushes, too, and none once all is accepted', async () => {
    const bench = new IngestBench();
    fill(bench, B);
    const pushes = [1, 2, 3].map((offset) =>
      bench.push([event(offset === 1 ? B : A, '', { source: 'file', offset })]),
    );
    const file = bench.router.source('file');
    expect(file?.frontier(undefined)).toBe(1n);
    bench.drain();
    await Promise.all(pushes);
    file?.onReport(0, { read: 2, lastOffset: 3n, openLow: undefined });
    file?.onReport(1, { read: 1, lastOffset: 1n, openLow: undefined });
    expect(file?.frontier(undefined)).toBe(4n);
  });
});

describe('one turn of the event loop', () => {
  test('answers a push of 512 events in the next one, though it is accepted at once', async () => {
    const bench = new IngestBench(1, 2 ** 20);
    const answered: string[] = [];
    const push = (name: string, count: number): void => {
      const events = Array.from({ length: count }, (_, i) => event('s', `${i}`));
      void bench.push(events).then(() => answered.push(name));
    };
    const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    push('first', 511);
    await settle();
    expect([answered, bench.deferred.length]).toEqual([['first'], 0]);
    push('second', 1);
    push('third', 1_000);
    push('fourth', 0);
    await settle();
    expect([bench.ingest.accepted, bench.ingest.isWaiting]).toEqual([1_512, false]);
    expect([answered, bench.deferred.length]).toEqual([['first'], 1]);
    bench.nextTurn();
    await settle();
    expect(answered).toEqual(['first', 'second', 'third', 'fourth']);
    expect(bench.ingest.isTurnOver).toBe(false);
  });

  test('has pushes answered that were accepted, also when nothing is accepted any more', async () => {
    const bench = new IngestBench(1, 2 ** 20);
    const push = bench.push(Array.from({ length: 600 }, (_, i) => event('s', `${i}`)));
    bench.ingest.failAll();
    bench.nextTurn();
    await push;
  });

  test('accepts 2,048 events of calls and 512 of what waits, and the next one goes on', async () => {
    const bench = new IngestBench(1, 2 ** 20);
    const push = bench.push(Array.from({ length: 10_000 }, (_, i) => event('s', `${i}`)));
    expect([bench.ingest.accepted, bench.ingest.isTurnOver]).toEqual([2_048, true]);
    bench.ingest.resume();
    expect(bench.ingest.accepted).toBe(2_048);
    bench.nextTurn();
    expect(bench.ingest.accepted).toBe(2_560);
    while (bench.ingest.accepted < 10_000) bench.nextTurn();
    await push;
    expect(bench.full).toEqual([]);
  });

  test('accepts a mebibyte of what waits', () => {
    const bench = new IngestBench(1, 2 ** 20);
    void bench.push(Array.from({ length: 20 }, () => event('s', new Uint8Array(100_000))));
    expect(bench.ingest.isTurnOver).toBe(false);
    let read = payloads(bench.read(0)).length;
    while (!bench.ingest.isTurnOver) {
      bench.ingest.resume();
      read += payloads(bench.read(0)).length;
    }
    expect(read).toBe(11);
  });

  test('asks for the next one once, however often it is asked to go on', () => {
    const bench = new IngestBench(1, 2 ** 20);
    void bench.push(Array.from({ length: 5_000 }, () => event('s', '')));
    for (let i = 0; i < 5; i++) bench.ingest.resume();
    void bench.push([event('s', 'behind')]);
    expect(bench.deferred).toHaveLength(1);
  });
});

describe('marks', () => {
  test('name each stream of the push and how many of its events were pushed by then', async () => {
    const bench = new IngestBench();
    bench.ingest.tryAccept(event(A, ''), false);
    const marks: Marks = new Map();
    await bench.push([event(A, ''), event(B, ''), event(A, '')], marks);
    bench.ingest.tryAccept(event(B, ''), false);
    expect([...marks].map(([stream, pushed]) => [stream.name, pushed])).toEqual([
      [A, 3],
      [B, 1],
    ]);
    const flags = bench
      .drain()
      .flatMap((records) => records.map((record) => 'isDurable' in record && record.isDurable));
    expect(flags.filter(Boolean)).toHaveLength(3);
  });

  test('are given in the turn in which they hold: until somebody waits for them, nobody is told that they hold no more', async () => {
    const bench = new IngestBench(1, 2 ** 20);
    const events = Array.from({ length: 1_000 }, () => event('s', ''));
    expect(await settled([bench.push(events, new Map()), bench.push(events)])).toEqual([true, false]);
  });

  test('of a request to checkpoint a stream count all that was pushed before, and it keeps its place', async () => {
    const bench = new IngestBench(1);
    fill(bench, 's');
    const stream = bench.router.stream('s');
    if (stream === undefined) throw new Error('the stream is known by its events');
    const before = stream.pushed;
    const marks: Marks = new Map();
    const push = bench.push([event('s', 'before')]);
    const request = bench.requestCheckpoint(stream, marks);
    const behind = bench.push([event('s', 'behind')]);
    expect(await settled([push, request, behind])).toEqual([false, false, false]);
    const read = bench.drain()[0] ?? [];
    await Promise.all([push, request, behind]);
    expect(marks.get(stream)).toBe(before + 1);
    expect(read.slice(-3)).toMatchObject([
      { payload: 'before' },
      { kind: 'checkpoint', stream: 's' },
      { payload: 'behind' },
    ]);
  });
});

test('an empty push is accepted in its turn', async () => {
  const bench = new IngestBench(1);
  await bench.push([]);
  fill(bench, 's');
  const pushes = [bench.push([event('s', 'waits')]), bench.push([])];
  expect(await settled(pushes)).toEqual([false, false]);
  bench.drain();
  await Promise.all(pushes);
});

describe('a request to forget a stream', () => {
  /** Kind, number and content, for streams of the same name that follow each other. */
  function told(records: readonly ReadRecord[]): unknown[] {
    return records.map((record) =>
      record.kind === 'stream'
        ? ['stream', record.index]
        : record.kind === 'event'
          ? record.payload
          : record.kind,
    );
  }

  test('takes its place among the events; what comes behind is of a new stream with another number', () => {
    const bench = new IngestBench(1);
    bench.ingest.tryAccept(event('s', 'old'), false);
    const old = bench.router.stream('s')!;
    void bench.forget(old);
    bench.ingest.tryAccept(event('s', 'new', { sequence: 1 }), false);
    expect(told(bench.read(0))).toEqual([['stream', 0], 'old', 'forget', ['stream', 1], 'new']);
    expect([old.pushed, bench.router.stream('s')?.pushed]).toEqual([1, 1]);
  });

  test('keeps its place when it waits: events that wait before it are of the old stream, which was new to them', async () => {
    const bench = new IngestBench(1);
    fill(bench, 'full');
    const marks: Marks = new Map();
    const pushes = [bench.push([event('s', 'old 1')], marks), bench.push([event('s', 'old 2')])];
    const old = bench.router.stream('s')!;
    pushes.push(bench.forget(old), bench.push([event('s', 'new', { sequence: 7 })]));
    const later = bench.router.stream('s')!;
    expect(later).not.toBe(old);
    expect([old.bringsSequences, later.bringsSequences]).toEqual([false, true]);
    expect(await settled(pushes)).toEqual([false, false, false, false]);
    const read = told(bench.drain()[0] as ReadRecord[]).filter((each) => !`${each}`.startsWith('fill'));
    expect(read).toEqual([
      ['stream', 0],
      ['stream', old.index],
      'old 1',
      'old 2',
      'forget',
      ['stream', later.index],
      'new',
    ]);
    expect(await settled(pushes)).toEqual([true, true, true, true]);
    expect([...marks]).toEqual([[old, 1]]);
    expect([old.pushed, later.pushed]).toEqual([2, 1]);
  });

  test('is rejected with whatever else waits when the engine fails', async () => {
    const bench = new IngestBench(1);
    fill(bench, 's');
    const stream = bench.router.stream('s')!;
    while (!bench.ingest.isWaiting) void bench.requestCheckpoint(stream, new Map()).catch(() => undefined);
    const request = bench.forget(stream);
    bench.ingest.failAll();
    await expect(request).rejects.toThrow('failed');
  });
});
