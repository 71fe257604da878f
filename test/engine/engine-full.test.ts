/** A store that is full: commits are refused, who waits is told after a while, and the engine goes on when there is room. */
import { describe, expect, test } from 'vitest';
import { type CheckpointEngine, type Event, TidemarkError } from '../../src/index.ts';
import {
  expectStates,
  failure,
  failureCode,
  listen,
  newDirectory,
  OPERATORS,
  openEngine,
} from './support/engine.ts';
import { LatchedStore } from './support/latched-store.ts';
import { Model } from './support/model.ts';

const FULL = new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'there is no room', { retryable: true });
/** Time is not measured here: who waits is rejected soon, or never. */
const SOON_MS = 20;

function at(stream: string, offset: number): Event {
  return { stream, payload: `${offset % 50}`, source: 'src', offset };
}

function modelOf(events: readonly Event[]): Model {
  const model = new Model();
  for (const event of events) model.apply(event);
  return model;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Again and again, as a caller would: a store is full until what it refused has gone through. */
async function untilRoom(call: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await call();
      return;
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL', retryable: true });
    }
  }
}

describe('a commit that is refused for want of room', () => {
  test('is tried again until it goes through, and who waits need not know', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    const heard = listen(engine, 'pressure', 'durable', 'frontier');
    store.isHolding = true;
    await engine.push(at('a', 0));
    const waiting = [engine.push(at('b', 1), { until: 'durable' }), engine.checkpoint()];
    for (let tries = 0; tries < 3; tries++) (await store.held()).fail(FULL);
    const again = await store.held();
    expect(heard).toEqual([{ name: 'pressure', shard: undefined, what: 'store' }]);
    expect(engine.metrics()).toMatchObject({
      store: { commits: 0, refusals: 3 },
      checkpoints: { durable: 0 },
    });
    store.isHolding = false;
    again.settle();
    await Promise.all(waiting);
    expect(heard.filter(({ name }) => name === 'frontier').at(-1)).toMatchObject({ offset: 2n });
    await expectStates(engine, modelOf([at('a', 0), at('b', 1)]));
    await engine.close();
    const reopened = await openEngine({ store: new LatchedStore(store.shelf) });
    expect(reopened.position('src')).toBe(2n);
    await expectStates(reopened, modelOf([at('a', 0), at('b', 1)]));
  });

  test('rejects who has waited for long, with what the store said, and the engine goes on', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store, storeFullTimeoutMs: SOON_MS });
    const errors: Error[] = [];
    engine.on('error', (error) => errors.push(error));
    store.refusal = FULL;
    const pushed = engine.push([at('a', 0), at('b', 1)], { until: 'durable' });
    const expected = { code: 'ERR_TIDEMARK_STORE_FULL', retryable: true, cause: FULL };
    expect(await failure(pushed)).toMatchObject({ ...expected, accepted: 2 });
    const late = await Promise.all([failure(engine.checkpoint()), failure(engine.checkpoint('a'))]);
    for (const error of late) expect(error).toMatchObject(expected);
    await engine.push(at('a', 2));
    expect(engine.tryPush(at('b', 3))).toBe(true);
    store.refusal = undefined;
    await untilRoom(() => engine.checkpoint());
    await engine.push(at('a', 4), { until: 'durable' });
    expect(errors).toEqual([]);
    await engine.close();
    const reopened = await openEngine({ store: new LatchedStore(store.shelf) });
    expect(reopened.position('src')).toBe(5n);
    await expectStates(reopened, modelOf([at('a', 0), at('b', 1), at('a', 2), at('b', 3), at('a', 4)]));
  });

  test('for good fails the engine', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    const never = new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'it can never fit');
    store.refusal = never;
    expect(await failure(engine.push(at('a', 0), { until: 'durable' }))).toMatchObject({
      code: 'ERR_TIDEMARK_STORE_FULL',
      cause: never,
    });
    expect(await failureCode(engine.push(at('a', 1)))).toBe('ERR_TIDEMARK_STORE_FULL');
  });
});

describe('memory that is full of what the store refuses', () => {
  const SLOT_BYTES = 40_000;
  const NAMES = Array.from({ length: 12 }, (_, n) => `${SLOT_BYTES}-${n}`);
  const [KEPT, ...OVER] = NAMES as [string, ...string[]];

  /** Nothing but the first event is durable, and the shard is in a checkpoint for which there is no room. */
  async function stuck(store: LatchedStore): Promise<{ engine: CheckpointEngine; accepted: number }> {
    const engine = await openEngine({
      store,
      operators: OPERATORS.sized,
      shards: 1,
      checkpoint: { everyEvents: 1 },
      memory: { bytes: 2 ** 20, ringBytes: 2 ** 12 },
      storeFullTimeoutMs: SOON_MS,
    });
    await engine.push({ stream: KEPT, payload: '0', source: 'src', offset: 0 }, { until: 'durable' });
    store.refusal = FULL;
    store.canForget = true;
    store.isHoldingForgets = true;
    for (let accepted = 1; ; accepted++) {
      const stream = NAMES[accepted % NAMES.length] as string;
      const push = engine.push({ stream, payload: '1', source: 'src', offset: accepted });
      const error = await push.then(
        () => undefined,
        (cause: unknown) => cause,
      );
      if (error === undefined) continue;
      expect(error).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL', accepted: 0 });
      return { engine, accepted };
    }
  }

  /** As a caller does who is not told in time: it is forgotten all the same. */
  function forget(engine: CheckpointEngine, stream: string): void {
    engine.forget(stream).catch((error) => expect(error).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL' }));
  }

  test('does not keep its shard from reading that streams are to be forgotten', async () => {
    const store = new LatchedStore();
    const { engine, accepted } = await stuck(store);
    for (const stream of OVER) forget(engine, stream);
    // The shard has read so far, though the store has taken nothing since.
    const held = [await store.heldForget()];
    while (held.length < store.forgets) held.push(await store.heldForget());
    const crashed = store.shelf.copy();
    // Pushed again under a name that is being forgotten: an event of a new stream.
    const again = OVER[0] as string;
    store.refusal = undefined;
    store.isHoldingForgets = false;
    await untilRoom(() => engine.push({ stream: again, payload: '2', source: 'src', offset: accepted }));
    for (const { settle } of held) settle();
    await untilRoom(() => engine.checkpoint());
    expect([...store.shelf.streams.keys()].sort()).toEqual([KEPT, again].sort());
    expect((await engine.latest(again))?.eventCount).toBe(1n);
    expect((await engine.latest(KEPT))?.eventCount).toBe(BigInt(Math.ceil(accepted / NAMES.length)));
    expect(engine.position('src')).toBe(BigInt(accepted + 1));
    await engine.close();
    expect(store.shelf.frontiers.get('src')).toBe(BigInt(accepted + 1));
    // What was given up for its memory was not skipped: a crash at the time has all of it read again.
    const reopened = await openEngine({ store: new LatchedStore(crashed), operators: OPERATORS.sized });
    expect(reopened.position('src')).toBe(1n);
    expect([...reopened.streams()]).toEqual([KEPT]);
  });

  test('has what waits go through once there is room by other means', async () => {
    const store = new LatchedStore();
    const { engine, accepted } = await stuck(store);
    store.refusal = undefined;
    await untilRoom(() => engine.checkpoint());
    expect(store.shelf.frontiers.get('src')).toBe(BigInt(accepted));
    expect(store.shelf.streams.size).toBe(NAMES.length);
  });
});

describe('closing while the store is full', () => {
  test('names what is not durable, releases everything, and what was durable is there', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store, storeFullTimeoutMs: SOON_MS });
    await engine.push([at('a', 0), at('b', 1)]);
    await engine.checkpoint();
    store.refusal = FULL;
    await engine.push(at('b', 2));
    const error = await failure(engine.close());
    expect(error).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL' });
    expect(error.message).toMatch(/not durable, of 'b': .*there is no room/);
    expect(store.isClosed).toBe(true);
    expect(await failureCode(engine.push(at('a', 3)))).toBe('ERR_TIDEMARK_STORE_FULL');
    const reopened = await openEngine({ store: new LatchedStore(store.shelf) });
    expect(reopened.position('src')).toBe(2n);
    await expectStates(reopened, modelOf([at('a', 0), at('b', 1)]));
  });

  test('succeeds if room comes in time', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    store.refusal = FULL;
    await engine.push(at('a', 0));
    const closed = engine.close();
    while (engine.metrics().store.refusals === 0) await nextTurn();
    store.refusal = undefined;
    await closed;
    expect([...store.shelf.streams.keys()]).toEqual(['a']);
  });
});

describe('a stream that is forgotten while the store is full', () => {
  test('makes room, and what waits for it is durable then', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    await engine.push(at('over', 0));
    await engine.checkpoint();
    store.refusal = FULL;
    store.canForget = true;
    const pushed = engine.push(at('a', 1), { until: 'durable' });
    while (engine.metrics().store.refusals === 0) await nextTurn();
    const { forget } = store;
    store.forget = (stream) => {
      store.refusal = undefined;
      return forget.call(store, stream);
    };
    await engine.forget('over');
    await pushed;
    expect([...store.shelf.streams.keys()]).toEqual(['a']);
  });

  test('and is refused, too, is forgotten later, though nobody waits for it any more', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store, storeFullTimeoutMs: SOON_MS });
    await engine.push([at('over', 0), at('a', 1)]);
    await engine.checkpoint();
    store.refusal = FULL;
    expect(await failureCode(engine.forget('over'))).toBe('ERR_TIDEMARK_STORE_FULL');
    expect(await engine.latest('over')).toBeUndefined();
    await engine.push(at('over', 2));
    store.refusal = undefined;
    await untilRoom(() => engine.checkpoint());
    await expectStates(engine, modelOf([at('a', 1), at('over', 2)]));
    await engine.close();
    const reopened = await openEngine({ store: new LatchedStore(store.shelf) });
    expect(reopened.position('src')).toBe(3n);
    await expectStates(reopened, modelOf([at('a', 1), at('over', 2)]));
  });
});

const SLOT_BYTES = 40_000;

function slot(n: number): string {
  return `${SLOT_BYTES}-${n}`;
}

/** Every event fills the slot of its stream with the last digit of its offset. */
function filled(stream: string, offset: number): Event {
  return { stream, payload: `${offset % 10}`, source: 'src', offset };
}

/** The newest checkpoint of each stream is of the event at the offset, which was its `count`th. */
async function expectFilled(
  engine: CheckpointEngine,
  offsets: ReadonlyMap<string, { readonly offset: number; readonly count: number }>,
): Promise<void> {
  expect([...engine.streams()].sort()).toEqual([...offsets.keys()].sort());
  for (const [stream, { offset, count }] of offsets) {
    const state = await engine.latest(stream);
    expect(state?.eventCount).toBe(BigInt(count));
    expect(state?.sourceOffsets.get('src')).toBe(BigInt(offset + 1));
    const bytes = state?.operatorStates.get('sized');
    expect(bytes?.length).toBe(SLOT_BYTES);
    expect(bytes?.every((byte) => byte === `${offset % 10}`.charCodeAt(0))).toBe(true);
  }
}

test('pushes to a shard that has no memory for what the store refuses are rejected in order, and can go on', async () => {
  const store = new LatchedStore();
  const engine = await openEngine({
    store,
    operators: OPERATORS.sized,
    shards: 1,
    checkpoint: { everyEvents: 1 },
    // Room for the images of all streams, not for a checkpoint of each.
    memory: { bytes: 2 ** 20, ringBytes: 2 ** 12 },
    storeFullTimeoutMs: SOON_MS,
  });
  store.refusal = FULL;
  const STREAMS = 16;
  const events = Array.from({ length: 200 }, (_, n) => filled(slot(n % STREAMS), n));
  const outcomes = await Promise.all(
    events.map((event) =>
      engine.push(event).then(
        () => undefined,
        (error: TidemarkError) => error,
      ),
    ),
  );
  const accepted = outcomes.findIndex((outcome) => outcome !== undefined);
  expect(accepted).toBeGreaterThan(STREAMS);
  for (const error of outcomes.slice(accepted))
    expect(error).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL', cause: FULL, accepted: 0 });
  expect(await failureCode(engine.checkpoint())).toBe('ERR_TIDEMARK_STORE_FULL');
  expect(engine.position('src')).toBe(BigInt(accepted));
  store.refusal = undefined;
  for (const event of events.slice(accepted)) await untilRoom(() => engine.push(event));
  await untilRoom(() => engine.checkpoint());
  const last = new Map(
    Array.from({ length: STREAMS }, (_, n) => {
      const count = Math.ceil((events.length - n) / STREAMS);
      return [slot(n), { offset: n + (count - 1) * STREAMS, count }];
    }),
  );
  expect(engine.position('src')).toBe(BigInt(events.length));
  await expectFilled(engine, last);
});

describe('a directory that is full', () => {
  const OPTIONS = {
    operators: OPERATORS.sized,
    shards: 1,
    checkpoint: { everyEvents: 1 },
    retain: { diskBytes: 2 ** 20 },
    memory: { bytes: 2 ** 24, ringBytes: 2 ** 12 },
    storeFullTimeoutMs: 100,
  } as const;

  /** Pushes to one stream after the other until one is not durable; how many are. */
  async function fill(engine: CheckpointEngine): Promise<number> {
    for (let n = 0; n < 100; n++) {
      try {
        await engine.push(filled(slot(n), n), { until: 'durable' });
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL', retryable: true, accepted: 1 });
        return n;
      }
    }
    throw new Error('it was expected to be full');
  }

  /** Whoever waits for it may be rejected; it is forgotten all the same. */
  async function untilForgotten(engine: CheckpointEngine, stream: string): Promise<void> {
    expect(await engine.forget(stream).catch((error: TidemarkError) => error.code)).toBeOneOf([
      undefined,
      'ERR_TIDEMARK_STORE_FULL',
    ]);
  }

  function upTo(streams: number): Map<string, { offset: number; count: number }> {
    return new Map(Array.from({ length: streams }, (_, n) => [slot(n), { offset: n, count: 1 }]));
  }

  test('takes what it refused once streams are forgotten, and all of it is there on reopening', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ ...OPTIONS, directory });
    const durable = await fill(engine);
    expect(durable).toBeGreaterThan(5);
    // Accepted, not durable, and replaced by a newer one while it waits.
    await engine.push(filled(slot(durable), durable + 1));
    await engine.push(filled(slot(0), durable + 2));
    const over = [1, 2, 3].map(slot);
    for (const stream of over) await untilForgotten(engine, stream);
    await untilRoom(() => engine.checkpoint());
    const expected = upTo(durable);
    for (const stream of over) expected.delete(stream);
    expected.set(slot(durable), { offset: durable + 1, count: 2 });
    expected.set(slot(0), { offset: durable + 2, count: 2 });
    await expectFilled(engine, expected);
    await engine.close();
    const reopened = await openEngine({ ...OPTIONS, directory });
    expect(reopened.position('src')).toBe(BigInt(durable + 3));
    expect(reopened.receipt.lost).toEqual([]);
    await expectFilled(reopened, expected);
    await reopened.close();
  });

  test('has what was durable on reopening when it is closed, and with more room goes on from there', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ ...OPTIONS, directory });
    const durable = await fill(engine);
    const error = await failure(engine.close());
    expect(error.code).toBe('ERR_TIDEMARK_STORE_FULL');
    expect(error.message).toContain(`'${slot(durable)}'`);
    const roomy = await openEngine({ ...OPTIONS, directory, retain: { diskBytes: 2 ** 24 } });
    expect(roomy.position('src')).toBe(BigInt(durable));
    await expectFilled(roomy, upTo(durable));
    await roomy.push(filled(slot(durable), durable), { until: 'durable' });
    await expectFilled(roomy, upTo(durable + 1));
    await roomy.close();
  });
});
