/** Streams that are over: what leaves with them, when, and what comes under their names. */
import { describe, expect, test } from 'vitest';
import type { CheckpointEngine, Event } from '../../src/index.ts';
import {
  expectStates,
  failure,
  failureCode,
  listen,
  newDirectory,
  OPERATORS,
  openEngine,
} from './support/engine.ts';
import { Gate } from './support/gate.ts';
import { LatchedStore } from './support/latched-store.ts';
import { Model } from './support/model.ts';

function at(stream: string, offset: number, more: Partial<Event> = {}): Event {
  return { stream, payload: `${stream} ${offset}`, source: 'src', offset, ...more };
}

function modelOf(events: readonly Event[]): Model {
  const model = new Model();
  for (const event of events) model.apply(event);
  return model;
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => void (settled = true);
  promise.then(note, note);
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

function nextFrontier(engine: CheckpointEngine): Promise<bigint> {
  return new Promise((resolve) => engine.once('frontier', ({ offset }) => resolve(offset)));
}

/** Nothing of the stream is to be seen. */
async function expectGone(engine: CheckpointEngine, stream: string): Promise<void> {
  expect([...engine.streams()]).not.toContain(stream);
  expect(await engine.latest(stream)).toBeUndefined();
  expect(await failureCode(engine.checkpoint(stream))).toBe('ERR_TIDEMARK_NOT_FOUND');
  expect(await failureCode(engine.forget(stream))).toBe('ERR_TIDEMARK_NOT_FOUND');
}

describe('a forgotten stream', () => {
  test('is gone from the engine, from the store and from what the next engine restores', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ directory });
    const kept = [at('b', 1), at('b', 3)];
    await engine.push([at('a', 0), kept[0]!, at('a', 2), kept[1]!]);
    await engine.checkpoint();
    expect(engine.metrics().streams).toBe(2);
    await engine.forget('a');
    await expectGone(engine, 'a');
    expect(engine.metrics()).toMatchObject({ streams: 1, memory: { frames: 1 } });
    await engine.close();
    const again = await openEngine({ directory });
    expect(again.receipt.streams.map(({ stream }) => stream)).toEqual(['b']);
    await expectGone(again, 'a');
    await expectStates(again, modelOf(kept));
  });

  test('is gone from a later engine, which had restored it and nothing else', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ directory });
    await engine.push(at('a', 0));
    await engine.close();
    const second = await openEngine({ directory });
    await second.forget('a');
    await expectGone(second, 'a');
    await second.close();
    const third = await openEngine({ directory });
    expect(third.receipt.streams).toEqual([]);
    expect(third.position('src')).toBe(1n);
  });

  test('is gone from an engine that keeps its checkpoints in memory only', async () => {
    const engine = await openEngine();
    await engine.push([at('a', 0), at('b', 1)]);
    await engine.checkpoint();
    await engine.push(at('a', 2));
    await engine.forget('a');
    await expectGone(engine, 'a');
    expect(engine.metrics()).toMatchObject({ streams: 1, memory: { frames: 1 } });
    await engine.push(at('a', 3));
    await engine.checkpoint('a');
    await expectStates(engine, modelOf([at('b', 1), at('a', 3)]));
  });

  test('needs no checkpoint before, not even one event read', async () => {
    const gate = Gate.make();
    const store = new LatchedStore();
    const engine = await openEngine({ store, operators: OPERATORS.gated, shards: 1 });
    void engine.push(at('a', 0, { payload: 'wait' }));
    await gate.reached();
    void engine.push(at('b', 1));
    const forgets = [engine.forget('b'), engine.forget('a')];
    gate.open();
    await Promise.all(forgets);
    expect([...store.shelf.streams.keys()]).toEqual([]);
    expect(engine.metrics().events.applied).toBe(2);
    expect(engine.metrics().memory).toMatchObject({ frames: 0, heapUsedBytes: 0 });
  });

  test.each([
    ['that never had an event', 'ERR_TIDEMARK_NOT_FOUND', async () => undefined],
    ['of a closed engine', 'ERR_TIDEMARK_CLOSED', (engine: CheckpointEngine) => engine.close()],
  ])('%s is refused', async (_what, code, prepare) => {
    const engine = await openEngine();
    await prepare(engine);
    expect(await failureCode(engine.forget('a'))).toBe(code);
  });
});

describe('a new stream of the name', () => {
  test('has what is pushed after the call, whether or not that was awaited, and nothing from before', async () => {
    const engine = await openEngine({ directory: await newDirectory(), checkpoint: { everyEvents: 3 } });
    const last: Event[] = [];
    for (let round = 0; round < 20; round++) {
      const forget = round === 0 ? undefined : engine.forget('a');
      if (round % 3 === 1) await forget;
      last.length = 0;
      for (let n = 0; n <= round; n++) last.push(at('a', 100 * round + n));
      await engine.push(last);
    }
    await engine.checkpoint();
    await expectStates(engine, modelOf(last));
  });

  test('keeps its place where pushes wait for room', async () => {
    const gate = Gate.make();
    const engine = await openEngine({
      operators: OPERATORS.gated,
      shards: 1,
      memory: { bytes: 2 ** 22, ringBytes: 2 ** 12 },
    });
    const events = (from: number): Event[] => Array.from({ length: 200 }, (_, n) => at('a', from + n));
    void engine.push(at('z', 0, { payload: 'wait' }));
    await gate.reached();
    const pushes = [engine.push(events(1))];
    const forgets = [engine.forget('a')];
    pushes.push(engine.push(events(201)));
    forgets.push(engine.forget('a'));
    pushes.push(engine.push(events(401)));
    gate.open();
    await Promise.all([...pushes, ...forgets]);
    await engine.checkpoint();
    await expectStates(engine, modelOf([at('z', 0, { payload: 'wait' }), ...events(401)]));
    expect(engine.metrics().events).toMatchObject({ applied: 601, dropped: 0 });
  });

  test('may bring sequences where the old one did not, and lower ones than it had', async () => {
    const engine = await openEngine();
    const push = (event: Partial<Event>): Promise<void> =>
      engine.push({ stream: 'a', payload: 'x', ...event });
    await push({});
    expect(await failureCode(push({ sequence: 9 }))).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
    void engine.forget('a');
    await push({ sequence: 9 });
    void engine.forget('a');
    await push({ sequence: 3 });
    await engine.checkpoint();
    expect(await engine.latest('a')).toMatchObject({ id: { sequence: 3n }, eventCount: 1n });
    expect(engine.metrics().events.dropped).toBe(0);
  });

  test('has no checkpoint before it has one of its own, whatever the store still has', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    await engine.push(at('a', 0), { until: 'durable' });
    store.isHoldingForgets = true;
    const forget = engine.forget('a');
    const held = await store.heldForget();
    await engine.push(at('a', 1));
    expect(store.shelf.streams.has('a')).toBe(true);
    expect(await engine.latest('a')).toBeUndefined();
    held.settle();
    await forget;
    await engine.checkpoint('a');
    await expectStates(engine, modelOf([at('a', 1)]));
  });
});

describe('with a commit under way that has a checkpoint of it', () => {
  test('a stream is forgotten when that has settled, and the next commit waits for it', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    store.isHolding = true;
    store.isHoldingForgets = true;
    await engine.push(at('a', 0));
    const old = engine.checkpoint('a');
    const first = await store.held();
    const forget = engine.forget('a');
    await engine.push(at('a', 1));
    const all = engine.checkpoint();
    // Stored means that the shard is through with the old stream and has a checkpoint of the new one.
    while (engine.metrics().checkpoints.stored < 2) await new Promise((resolve) => setImmediate(resolve));
    expect([store.commits, store.forgets]).toEqual([1, 0]);
    expect(engine.metrics().memory.frames).toBe(2);
    first.settle();
    const held = await store.heldForget();
    expect([...store.shelf.streams.keys()]).toEqual(['a']);
    expect(await isSettled(Promise.race([forget, all]))).toBe(false);
    expect([store.commits, engine.metrics().memory.frames]).toEqual([1, 1]);
    held.settle();
    const second = await store.held();
    store.isHolding = false;
    second.settle();
    await Promise.all([old, forget, all]);
    expect(store.shelf.streams.get('a')).toHaveLength(1);
    await expectStates(engine, modelOf([at('a', 1)]));
  });
});

describe('the frontier', () => {
  test('is held back by events of the stream until it is forgotten, and a crash before brings them back', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    await engine.push(at('a', 0), { until: 'durable' });
    store.isHoldingForgets = true;
    // While the store is busy with another stream, 'a' gets an event that no checkpoint covers, and is over.
    await engine.push(at('z', 1));
    const other = engine.forget('z');
    const first = await store.heldForget();
    await engine.push([at('a', 2), at('b', 3)]);
    const checkpoint = engine.checkpoint('b');
    while (engine.metrics().checkpoints.stored < 2) await new Promise((resolve) => setImmediate(resolve));
    const forget = engine.forget('a');
    // Its checkpoint leaves memory when the shard has given it up.
    while (engine.metrics().memory.frames > 1) await new Promise((resolve) => setImmediate(resolve));
    const heard = listen(engine, 'frontier');
    first.settle();
    await other;
    await checkpoint;
    const second = await store.heldForget();
    expect(second.stream).toBe('a');
    expect(heard.at(-1)).toMatchObject({ offset: 2n });
    const crashed = store.shelf.copy();
    const risen = nextFrontier(engine);
    second.settle();
    await forget;
    expect(await risen).toBe(4n);

    const again = await openEngine({ store: new LatchedStore(crashed) });
    expect(again.position('src')).toBe(2n);
    await expectStates(again, modelOf([at('a', 0), at('b', 3)]));
  });

  test('passes events of a stream that never had a checkpoint once it is forgotten', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    const heard = listen(engine, 'checkpoint');
    const risen = nextFrontier(engine);
    await engine.push([at('a', 0), at('a', 1)]);
    await engine.forget('a');
    expect(await risen).toBe(2n);
    expect(heard).toEqual([]);
  });
});

describe('who waits for the stream', () => {
  test('waits no longer once it is forgotten', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    store.isHolding = true;
    store.isHoldingForgets = true;
    await engine.push(at('z', 0));
    const all = engine.checkpoint();
    const first = await store.held();
    const waiting = [engine.push(at('a', 1), { until: 'durable' }), engine.checkpoint('a')];
    const forget = engine.forget('a');
    while (engine.metrics().events.applied < 2) await new Promise((resolve) => setImmediate(resolve));
    store.isHolding = false;
    first.settle();
    const held = await store.heldForget();
    expect(await isSettled(Promise.race([...waiting, forget]))).toBe(false);
    held.settle();
    await Promise.all([...waiting, forget, all]);
    expect([...store.shelf.streams.keys()]).toEqual(['z']);
  });

  test('waits no longer in memory only, either', async () => {
    const gate = Gate.make();
    const engine = await openEngine({ operators: OPERATORS.gated, shards: 1 });
    void engine.push({ stream: 'z', payload: 'wait' });
    await gate.reached();
    void engine.push(at('a', 0));
    const waiting = [engine.checkpoint('a'), engine.forget('a')];
    gate.open();
    await Promise.all(waiting);
  });

  test('for its new namesake, waits for that', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    store.isHoldingForgets = true;
    await engine.push(at('a', 0));
    const forget = engine.forget('a');
    const push = engine.push(at('a', 1), { until: 'durable' });
    const held = await store.heldForget();
    store.isHolding = true;
    held.settle();
    await forget;
    const commit = await store.held();
    expect(await isSettled(push)).toBe(false);
    store.isHolding = false;
    commit.settle();
    await push;
  });
});

describe('an engine that ends while a stream is forgotten', () => {
  test('in order, has forgotten it when it is closed', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    await engine.push([at('a', 0), at('b', 1)]);
    store.isHoldingForgets = true;
    const forget = engine.forget('a');
    const closed = engine.close();
    (await store.heldForget()).settle();
    await Promise.all([forget, closed]);
    expect([...store.shelf.streams.keys()]).toEqual(['b']);
    expect(store.shelf.frontiers).toEqual(new Map([['src', 2n]]));
  });

  test('because the store cannot, rejects with that, and the stream is still there', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    await engine.push(at('a', 0), { until: 'durable' });
    store.isHoldingForgets = true;
    const pending = [engine.forget('a'), engine.push(at('a', 1), { until: 'durable' })];
    const refusal = new Error('the cloud is gone');
    (await store.heldForget()).fail(refusal);
    for (const promise of pending)
      expect(await failure(promise)).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FAILED', cause: refusal });
    expect(await failureCode(engine.forget('a'))).toBe('ERR_TIDEMARK_STORE_FAILED');
    const again = await openEngine({ store: new LatchedStore(store.shelf) });
    await expectStates(again, modelOf([at('a', 0)]));
  });

  test('because something else fails, rejects with that, wherever the request has come to', async () => {
    const gate = Gate.make();
    const store = new LatchedStore();
    const memory = { bytes: 2 ** 22, ringBytes: 2 ** 12 };
    const engine = await openEngine({
      store,
      operators: OPERATORS.gated,
      onPoison: 'fail',
      shards: 1,
      memory,
    });
    store.isHoldingForgets = true;
    const forgets: Promise<void>[] = [];
    await engine.push(at('a', 0));
    forgets.push(engine.forget('a'));
    await store.heldForget();
    // One in the ring behind an event that breaks, and one that finds no room there.
    void engine.push(at('z', 1, { payload: 'wait and throw' }));
    await gate.reached();
    void engine.push(at('b', 2));
    forgets.push(engine.forget('b'));
    const rest = engine.push(Array.from({ length: 200 }, (_, n) => at('c', 3 + n)));
    forgets.push(engine.forget('c'));
    const codes = Promise.all([...forgets, rest].map(failureCode));
    gate.open();
    expect(new Set(await codes)).toEqual(new Set(['ERR_TIDEMARK_OPERATOR']));
  });
});

describe('an engine that forgets', () => {
  const ROUNDS = 10;
  const STREAMS = 300;

  test.each([
    ['with a directory', async () => ({ directory: await newDirectory() })],
    ['with a store of the caller', async () => ({ store: new LatchedStore() })],
    ['in memory only', async () => ({})],
  ])('%s makes room for any number of streams, and none stays in its memory', async (_where, options) => {
    const engine = await openEngine({ ...(await options()), maxStreams: STREAMS });
    const used: number[] = [];
    let offset = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const names = Array.from({ length: STREAMS }, (_, n) => `${round} ${n}`);
      for (const stream of names) await engine.push(at(stream, offset++));
      expect(await failureCode(engine.push(at('one more', offset)))).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
      if (round % 2 === 0) await engine.checkpoint();
      await Promise.all(names.map((stream) => engine.forget(stream)));
      expect([...engine.streams()]).toEqual([]);
      // The shard has taken back what it was given when it answers.
      await engine.checkpoint();
      const { heapUsedBytes, frames } = engine.metrics().memory;
      used.push(heapUsedBytes, frames);
    }
    expect(new Set(used)).toEqual(new Set([0]));
    expect(engine.metrics()).toMatchObject({ streams: 0, events: { applied: ROUNDS * STREAMS, dropped: 0 } });
  });

  test('has its limit for those that are left, from the call on', async () => {
    const engine = await openEngine({ maxStreams: 1 });
    await engine.push(at('a', 0));
    expect(await failureCode(engine.push(at('b', 1)))).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
    const forget = engine.forget('a');
    await engine.push(at('b', 1));
    await forget;
    expect([...engine.streams()]).toEqual(['b']);
  });
});
