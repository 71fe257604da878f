/** Rings that are full: who waits, in which order, and that nothing is lost or let past meanwhile. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { EngineOptions, Event } from '../../src/index.ts';
import {
  expectStates,
  failure,
  failureCode,
  listen,
  newDirectory,
  OPERATORS,
  openEngine,
  thrownCode,
} from './support/engine.ts';
import { Gate } from './support/gate.ts';
import { LatchedStore } from './support/latched-store.ts';
import { Model } from './support/model.ts';

const TINY = {
  operators: OPERATORS.gated,
  shards: 1,
  memory: { bytes: 2 ** 24, ringBytes: 2 ** 12 },
} as const;

function modelOf(events: readonly Event[]): Model {
  const model = new Model();
  for (const event of events) model.apply(event);
  return model;
}

/** An engine whose only shard stands at the gate, with its ring filled by `filling`. */
async function stalled(options: Partial<EngineOptions> = {}) {
  const gate = Gate.make();
  const engine = await openEngine({ ...TINY, ...options });
  onTestFinished(() => gate.open());
  const heard = listen(engine, 'pressure');
  const events: Event[] = [{ stream: 'a', payload: 'wait' }];
  await engine.push(events[0]!);
  await gate.reached();
  const filler = { stream: 'a', payload: 'filling' };
  while (engine.tryPush(filler)) events.push(filler);
  return { engine, gate, events, heard };
}

describe('a full ring', () => {
  test('refuses tryPush, lets push wait, says so, and loses and reorders nothing', async () => {
    const { engine, gate, events, heard } = await stalled();
    const settled: number[] = [];
    const waiting: Event[] = Array.from({ length: 300 }, (_, n) => ({
      stream: `s${n % 4}`,
      payload: `${n}`,
    }));
    const pushes = waiting.map((event, n) =>
      engine.push(n % 2 === 0 ? event : [event]).then(() => settled.push(n)),
    );
    const whole = engine.push(waiting);
    expect(engine.tryPush({ stream: 'b', payload: 'x' })).toBe(false);
    expect(engine.metrics().events.accepted).toBe(events.length);
    gate.open();
    await whole;
    await Promise.all(pushes);
    expect(settled).toEqual(waiting.map((_event, n) => n));
    expect(engine.tryPush({ stream: 'b', payload: 'x' })).toBe(true);
    await engine.checkpoint();
    await expectStates(engine, modelOf([...events, ...waiting, ...waiting, { stream: 'b', payload: 'x' }]));
    expect(heard[0]).toEqual({ name: 'pressure', shard: 0, what: 'ring' });
  });

  test('keeps a later tryPush from passing pushes that wait for another shard', async () => {
    const { engine, gate } = await stalled({ shards: 2 });
    const waiting = engine.push({ stream: 'a', payload: 'x' });
    const others = ['b', 'c', 'd', 'e', 'f', 'g', 'h'];
    for (const stream of others) expect(engine.tryPush({ stream, payload: 'x' })).toBe(false);
    gate.open();
    await waiting;
    await engine.checkpoint();
    expect([...engine.streams()]).toEqual(['a']);
  });

  test('is drained by a close, with everything that waits', async () => {
    const directory = await newDirectory();
    const { engine, gate, events } = await stalled({ directory });
    const waiting: Event[] = Array.from({ length: 500 }, (_, n) => ({
      stream: `s${n % 4}`,
      payload: `${n}`,
    }));
    const pushes = waiting.map((event) => engine.push(event));
    const durable = engine.push(waiting, { until: 'durable' });
    const closed = engine.close();
    gate.open();
    await Promise.all([...pushes, durable, closed]);
    Gate.make();
    await expectStates(
      await openEngine({ ...TINY, directory }),
      modelOf([...events, ...waiting, ...waiting]),
    );
  });
});

describe('a push that waits', () => {
  test('counts as pushed when later ones are checked: offsets behind it do not go back', async () => {
    const { engine, gate } = await stalled();
    const at = (offset: number): Event => ({ stream: 'a', payload: 'x', source: 's', offset });
    const waiting = engine.push([at(10), at(11)]);
    expect(await failureCode(engine.push(at(10)))).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
    expect(await failureCode(engine.push([at(11), at(5)]))).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
    const next = engine.push(at(12));
    gate.open();
    await Promise.all([waiting, next]);
    expect(engine.position('s')).toBe(13n);
  });

  test('counts as pushed when later ones are checked: its stream brings sequences from then on', async () => {
    const { engine, gate } = await stalled();
    const waiting = engine.push({ stream: 'new', payload: 'x', sequence: 1 });
    expect(await failureCode(engine.push({ stream: 'new', payload: 'x' }))).toBe(
      'ERR_TIDEMARK_INVALID_ARGUMENT',
    );
    expect(thrownCode(() => engine.tryPush({ stream: 'new', payload: 'x' }))).toBe(
      'ERR_TIDEMARK_INVALID_ARGUMENT',
    );
    gate.open();
    await waiting;
  });

  test('counts as pushed for the limits of streams and sources', async () => {
    const { engine, gate } = await stalled({ maxStreams: 3, maxSources: 1 });
    const waiting = engine.push(
      ['b', 'c'].map((stream) => ({ stream, payload: 'x', source: 's', offset: 0 })),
    );
    expect((await failure(engine.push({ stream: 'd', payload: 'x' }))).message).toContain('maxStreams');
    expect(
      (await failure(engine.push({ stream: 'c', payload: 'x', source: 't', offset: 0 }))).message,
    ).toContain('maxSources');
    gate.open();
    await waiting;
    await engine.checkpoint();
    expect([...engine.streams()].sort()).toEqual(['a', 'b', 'c']);
  });

  test('counts as pushed for a checkpoint of its stream that is asked for behind it', async () => {
    const { engine, gate } = await stalled();
    const waiting = ['new', 'newer'].map((stream) => engine.push({ stream, payload: 'x' }));
    const checkpoint = engine.checkpoint('newer');
    expect([...engine.streams()]).toEqual(['a', 'new', 'newer']);
    gate.open();
    await Promise.all(waiting);
    await checkpoint;
    expect((await engine.latest('newer'))?.eventCount).toBe(1n);
  });
});

test('one event object and one buffer serve any number of pushes that nobody awaits', async () => {
  const engine = await openEngine({ memory: { bytes: 2 ** 24, ringBytes: 2 ** 12 } });
  const bytes = Buffer.alloc(4);
  const event = { stream: 's', payload: bytes, sequence: 0, source: 'file', offset: 0 };
  const events: Event[] = [];
  const pushes: Promise<void>[] = [];
  for (let n = 0; n < 3_000; n++) {
    bytes.write(`${1_000 + n}`);
    Object.assign(event, { stream: `s${n % 3}`, sequence: n, offset: n });
    events.push({ ...event, payload: bytes.toString() });
    pushes.push(engine.push(event));
  }
  await Promise.all(pushes);
  await engine.checkpoint();
  expect(engine.metrics().events).toMatchObject({ applied: 3_000, dropped: 0 });
  await expectStates(engine, modelOf(events));
});

test('a checkpoint of everything holds what waits when it is asked for', async () => {
  const { engine, gate, events } = await stalled();
  const waiting: Event[] = Array.from({ length: 300 }, (_, n) => ({ stream: `s${n % 4}`, payload: `${n}` }));
  const pushed = engine.push(waiting);
  const checkpoint = engine.checkpoint();
  gate.open();
  await checkpoint;
  await expectStates(engine, modelOf([...events, ...waiting]));
  await pushed;
});

test('a checkpoint that waits for room while the store fails is rejected as everything else is', async () => {
  const store = new LatchedStore();
  store.commit = () => {
    throw new Error('no room on the shelf');
  };
  const { engine, gate } = await stalled({ store, checkpoint: { everyEvents: 1 } });
  const pending: Promise<unknown>[] = [engine.push({ stream: 'a', payload: 'x' }, { until: 'durable' })];
  for (let n = 0; n < 10; n++) pending.push(engine.checkpoint(), engine.checkpoint('a'));
  gate.open();
  for (const each of pending) expect(await failureCode(each)).toBe('ERR_TIDEMARK_STORE_FAILED');
});

describe('an event that tryPush did not take', () => {
  test('leaves no trace of its stream or source', async () => {
    const { engine, gate, events } = await stalled();
    expect(engine.tryPush({ stream: 'new', payload: 'x', sequence: 1, source: 's', offset: 9 })).toBe(false);
    expect([...engine.streams()]).toEqual(['a']);
    expect(await failureCode(engine.checkpoint('new'))).toBe('ERR_TIDEMARK_NOT_FOUND');
    expect(engine.position('s')).toBeUndefined();
    gate.open();
    await engine.push({ stream: 'new', payload: 'y', source: 's', offset: 3 });
    await engine.checkpoint();
    await expectStates(engine, modelOf([...events, { stream: 'new', payload: 'y', source: 's', offset: 3 }]));
  });

  test('does not count for the limits of streams and sources', async () => {
    const { engine, gate } = await stalled({ maxStreams: 2, maxSources: 1 });
    for (let n = 0; n < 100; n++)
      expect(engine.tryPush({ stream: `new ${n}`, payload: 'x', source: `of ${n}`, offset: n })).toBe(false);
    expect(engine.metrics().streams).toBe(1);
    gate.open();
    await engine.push({ stream: 'b', payload: 'x', source: 's', offset: 3 });
    await engine.checkpoint();
    expect([...engine.streams()]).toEqual(['a', 'b']);
  });

  test('leaves no trace either when the ring had room for a part of what it needs', async () => {
    const { engine, gate } = await stalled();
    // Whatever room is left: payloads of all lengths, each to a stream of its own.
    const refused: string[] = [];
    for (let length = 1_900; length >= 0; length -= 8) {
      const stream = `n${length}`;
      if (!engine.tryPush({ stream, payload: 'x'.repeat(length) })) refused.push(stream);
    }
    const streams = new Set(engine.streams());
    for (const stream of refused) {
      expect(streams.has(stream)).toBe(false);
      expect(await failureCode(engine.checkpoint(stream))).toBe('ERR_TIDEMARK_NOT_FOUND');
    }
    gate.open();
    await engine.checkpoint();
    for (const stream of refused) await engine.push({ stream, payload: 'now' });
    await engine.checkpoint();
    expect((await engine.latest(refused[0]!))?.eventCount).toBe(1n);
  });
});

test('a batch with one bad event is refused whole', async () => {
  const engine = await openEngine();
  const good: Event = { stream: 'a', payload: 'x', source: 's', offset: 5 };
  const bad: readonly object[] = [
    { ...good, offset: 4 },
    { ...good, offset: -1 },
    { ...good, offset: 1.5 },
    { ...good, offset: 2n ** 64n },
    { ...good, offset: undefined },
    { ...good, nextOffset: 5 },
    { ...good, source: undefined },
    { ...good, sequence: 1 },
    { ...good, sequence: Number.MAX_SAFE_INTEGER + 1 },
    { ...good, watermarkNs: -1n },
    { ...good, payload: undefined },
    { ...good, payload: 7 },
    { ...good, payload: '\ud800' },
    { ...good, stream: '\udc00' },
    { ...good, stream: undefined },
    { ...good, stream: 'x'.repeat(100_000) },
  ];
  for (const event of bad) {
    expect(await failureCode(engine.push([good, good, event as Event]))).toBe(
      'ERR_TIDEMARK_INVALID_ARGUMENT',
    );
  }
  expect(await failureCode(engine.push([good, undefined as unknown as Event]))).toBe(
    'ERR_TIDEMARK_INVALID_ARGUMENT',
  );
  expect(await failureCode(engine.push(null as unknown as Event))).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
  expect(engine.metrics().events.accepted).toBe(0);
  expect(engine.position('s')).toBeUndefined();
  await engine.push(good);
});

test('a slow operator behind a tiny ring gets everything in order, while the event loop goes on', async () => {
  const engine = await openEngine({
    ...TINY,
    operators: OPERATORS.slow,
    shards: 2,
    checkpoint: { everyEvents: 10 },
  });
  const heard = listen(engine, 'pressure');
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  const events: Event[] = Array.from({ length: 5_000 }, (_, n) => ({
    stream: `s${n % 9}`,
    payload: `${n % 100}`,
  }));
  await Promise.all(events.map((event) => engine.push(event)));
  await engine.checkpoint();
  isOver = true;
  await expectStates(engine, modelOf(events));
  expect(turns).toBeGreaterThan(50);
  expect(new Set(heard.map(({ shard, what }) => `${what} of ${shard}`))).toContain('ring of 0');
});

test('a million awaited pushes leave the event loop its turns', async () => {
  const engine = await openEngine({ operators: OPERATORS.counted, memory: { bytes: 2 ** 26 } });
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  for (let n = 0; n < 1_000_000; n++) await engine.push({ stream: `s${n & 15}`, payload: 'x' });
  isOver = true;
  await engine.checkpoint();
  expect(turns).toBeGreaterThan(200);
  expect((await engine.latest('s0'))?.eventCount).toBe(62_500n);
}, 60_000);
