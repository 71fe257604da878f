/** A store of the user's own, which takes its time and may fail. */
import { describe, expect, test } from 'vitest';
import { type Event, type RestorableCheckpoint, TidemarkError, viewFrame } from '../../src/index.ts';
import {
  expectStates,
  failure,
  failureCode,
  listen,
  OPERATORS,
  openEngine,
  openFailure,
} from './support/engine.ts';
import { type HeldCommit, LatchedStore, Shelf } from './support/latched-store.ts';
import { Model } from './support/model.ts';

function at(stream: string, offset: number): Event {
  return { stream, payload: `${offset % 50}`, source: 'src', offset };
}

function modelOf(events: readonly Event[]): Model {
  const model = new Model();
  for (const event of events) model.apply(event);
  return model;
}

/** The bytes are a whole frame still, the very ones that they were when the commit began. */
function expectValid({ batch, copies }: HeldCommit): void {
  for (const [n, { stream, sequence, bytes }] of batch.frames.entries()) {
    expect(viewFrame(new Uint8Array(bytes))).toMatchObject({ streamId: stream, sequence });
    expect(Buffer.compare(bytes, copies[n]!)).toBe(0);
  }
}

describe('a commit', () => {
  test('brings frames, frontiers and the generation, and what it settles is durable', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    const heard = listen(engine, 'durable', 'frontier');
    store.isHolding = true;
    await engine.push([at('a', 0), at('b', 1), at('a', 2)]);
    const checkpoint = engine.checkpoint();
    const held = await store.held();
    expect(heard).toEqual([]);
    expect(held.batch.generation).toBe(1n);
    expect(held.batch.frontiers).toEqual(new Map([['src', 3n]]));
    expect(held.batch.frames.map(({ stream, sequence }) => [stream, sequence]).sort()).toEqual([
      ['a', 2n],
      ['b', 1n],
    ]);
    held.settle();
    await checkpoint;
    expect(heard.map(({ name }) => name)).toEqual(['durable', 'durable', 'frontier']);
  });

  test('may read its frames until it settles, however much else needs their memory', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({
      store,
      operators: OPERATORS.sized,
      shards: 1,
      checkpoint: { everyEvents: 1 },
      memory: { bytes: 2 ** 20, ringBytes: 2 ** 12 },
    });
    store.isHolding = true;
    const heard = listen(engine, 'pressure');
    const stream = '65536-a';
    await engine.push({ stream, payload: 'x' });
    const held = await store.held();
    // Far more checkpoints than there is room for: each replaces the one before, only the one held must stay.
    for (let n = 0; n < 200; n++) await engine.push({ stream, payload: `${n}` });
    const checkpoint = engine.checkpoint();
    expectValid(held);
    held.settle();
    const next = await store.held();
    expectValid(next);
    store.isHolding = false;
    next.settle();
    await checkpoint;
    expect(heard.some(({ what }) => what === 'memory')).toBe(true);
    expect((await engine.latest(stream))?.eventCount).toBe(201n);
    expect(engine.metrics().checkpoints).toMatchObject({ stored: 201 });
  });

  test('that is slow lets others wait and takes the newest of each stream together next', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store, checkpoint: { everyEvents: 1 } });
    store.isHolding = true;
    await engine.push(at('a', 0));
    const first = await store.held();
    const events = Array.from({ length: 300 }, (_, n) => at(`s${n % 10}`, n + 1));
    for (const event of events) await engine.push(event);
    const checkpoint = engine.checkpoint();
    while (engine.metrics().checkpoints.stored < 301) await new Promise((resolve) => setImmediate(resolve));
    first.settle();
    const second = await store.held();
    expect(second.batch.frames.length).toBe(10);
    expect(second.batch.frontiers).toEqual(new Map([['src', 301n]]));
    expectValid(second);
    second.settle();
    await checkpoint;
    expect(store.commits).toBe(2);
    await expectStates(engine, modelOf([at('a', 0), ...events]));
  });

  test('carries a frontier no further than what it makes durable', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    store.isHolding = true;
    await engine.push([at('a', 0), at('b', 1)]);
    const ofB = engine.checkpoint('b');
    const first = await store.held();
    expect(first.batch.frontiers).toEqual(new Map([['src', 0n]]));
    const all = engine.checkpoint();
    first.settle();
    const second = await store.held();
    expect(second.batch.frontiers).toEqual(new Map([['src', 2n]]));
    second.settle();
    await Promise.all([ofB, all]);
  });

  test('that fails, fails the engine with what it said as cause', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    const errors: Error[] = [];
    engine.on('error', (error) => errors.push(error));
    await engine.push(at('a', 0), { until: 'durable' });
    store.isHolding = true;
    const pending = [engine.push(at('a', 1), { until: 'durable' }), engine.checkpoint()];
    const refusal = new Error('the cloud is gone');
    (await store.held()).fail(refusal);
    for (const promise of pending)
      expect(await failure(promise)).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FAILED', cause: refusal });
    expect(errors).toMatchObject([{ code: 'ERR_TIDEMARK_STORE_FAILED', cause: refusal }]);
    expect(await failureCode(engine.close())).toBe('ERR_TIDEMARK_STORE_FAILED');
    expect(store.isClosed).toBe(true);
    const again = await openEngine({ store: new LatchedStore(store.shelf) });
    await expectStates(again, modelOf([at('a', 0)]));
    expect(again.position('src')).toBe(1n);
  });

  test('that fails with an error of ours keeps its code', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    store.isHolding = true;
    const push = engine.push(at('a', 0), { until: 'durable' });
    (await store.held()).fail(new TidemarkError('ERR_TIDEMARK_FENCED', 'a later generation has opened'));
    expect(await failure(push)).toMatchObject({ code: 'ERR_TIDEMARK_FENCED', accepted: 1 });
  });

  test.each([
    [
      'throws at once',
      () => {
        throw new Error('not even a promise');
      },
      'not even a promise',
    ],
    ['rejects with a text', () => Promise.reject('no room' as unknown as Error), 'no room'],
  ])('that %s fails the engine too', async (_what, commit, message) => {
    const store = new LatchedStore();
    store.commit = commit;
    const engine = await openEngine({ store });
    expect(await failure(engine.push(at('a', 0), { until: 'durable' }))).toMatchObject({
      code: 'ERR_TIDEMARK_STORE_FAILED',
      message: expect.stringContaining(message),
    });
  });

  test('that returns no promise counts as done', async () => {
    const store = new LatchedStore();
    store.commit = () => undefined as unknown as Promise<void>;
    const engine = await openEngine({ store });
    await engine.push(at('a', 0), { until: 'durable' });
    await engine.checkpoint();
  });
});

describe('what a store holds', () => {
  test('is restored by the next engine, with positions and a greater generation', async () => {
    const shelf = new Shelf();
    const events = Array.from({ length: 200 }, (_, n) => at(`s${n % 7}`, n));
    const first = await openEngine({ store: new LatchedStore(shelf) });
    await first.push(events.slice(0, 150));
    await first.close();
    const second = await openEngine({ store: new LatchedStore(shelf), shards: 3 });
    expect(second.receipt.generation).toBe(2n);
    expect(second.receipt.streams.map(({ sequence, generation }) => [sequence > 0n, generation])).toEqual(
      Array.from({ length: 7 }, () => [true, 1n]),
    );
    const position = second.position('src') ?? 0n;
    expect(position).toBe(150n);
    await second.push(events.slice(Number(position)));
    await second.checkpoint();
    await expectStates(second, modelOf(events));
  });

  test('is read for a stream whose checkpoints have all left memory', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({
      store,
      operators: OPERATORS.sized,
      shards: 1,
      memory: { bytes: 2 ** 20, ringBytes: 2 ** 12 },
    });
    let reads = 0;
    const { read } = store;
    store.read = (stream, sequence) => {
      reads++;
      return read.call(store, stream, sequence);
    };
    const streams = Array.from({ length: 8 }, (_, n) => `60000-${n}`);
    for (const stream of streams) {
      await engine.push({ stream, payload: stream.at(-1)! }, { until: 'durable' });
    }
    for (const stream of streams) {
      const bytes = (await engine.latest(stream))?.operatorStates.get('sized');
      expect(bytes?.every((byte) => byte === stream.charCodeAt(stream.length - 1))).toBe(true);
    }
    expect(reads).toBeGreaterThan(0);
  });
});

describe('a store that cannot be opened', () => {
  test('makes open reject with its error as cause, and is closed', async () => {
    const store = new LatchedStore();
    const refusal = new Error('no such bucket');
    store.open = () => Promise.reject(refusal);
    expect(await openFailure({ store })).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FAILED', cause: refusal });
    expect(store.isClosed).toBe(true);
  });

  test('because a checkpoint of it cannot be copied, likewise', async () => {
    const shelf = new Shelf();
    const first = await openEngine({ store: new LatchedStore(shelf) });
    await first.push([at('a', 0), at('b', 0)]);
    await first.close();
    const store = new LatchedStore(shelf);
    const { open } = store;
    store.open = async () => ({
      ...(await open.call(store)),
      checkpoints: ['a', 'b'].map((stream) => ({
        stream,
        sequence: 1n,
        generation: 1n,
        byteLength: 100,
        fellBack: 0,
        copyTo: () => Promise.reject(new Error('lost on the way')),
      })),
    });
    const error = await openFailure({ store });
    expect(error).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FAILED', cause: { message: 'lost on the way' } });
    expect(store.isClosed).toBe(true);
  });

  test.each(['lists', 'copies'])(
    'because it never %s its checkpoints, when its time is over',
    async (what) => {
      const store = new LatchedStore();
      const { open } = store;
      const never = new Promise<never>(() => undefined);
      async function* checkpoints(): AsyncGenerator<RestorableCheckpoint> {
        if (what === 'lists') await never;
        yield {
          stream: 'a',
          sequence: 1n,
          generation: 1n,
          byteLength: 100,
          fellBack: 0,
          copyTo: () => never,
        };
      }
      store.open = async () => ({ ...(await open.call(store)), checkpoints: checkpoints() });
      expect(await openFailure({ store, storeTimeoutMs: 50 })).toMatchObject({
        code: 'ERR_TIDEMARK_STORE_FAILED',
        message: expect.stringContaining('raise storeTimeoutMs'),
      });
      expect(store.isClosed).toBe(true);
    },
  );

  test('because what it copies is no frame, is told as damage', async () => {
    const shelf = new Shelf();
    const first = await openEngine({ store: new LatchedStore(shelf) });
    await first.push(at('a', 0));
    await first.close();
    shelf.streams.get('a')!.at(-1)!.bytes[20]! ^= 1;
    expect(await failureCode(openEngine({ store: new LatchedStore(shelf) }))).toBe(
      'ERR_TIDEMARK_DAMAGED_FRAME',
    );
  });
});

test('a store whose close fails makes close reject, once everything else is released', async () => {
  const store = new LatchedStore();
  const engine = await openEngine({ store });
  await engine.push(at('a', 0));
  store.close = () => Promise.reject(new Error('still busy'));
  expect(await failure(engine.close())).toMatchObject({
    code: 'ERR_TIDEMARK_STORE_FAILED',
    cause: { message: 'still busy' },
  });
  expect([...store.shelf.streams.keys()]).toEqual(['a']);
});
