/** An engine whose store has no room: it waits, says so, loses nothing, and goes on when there is room. */
import { describe, expect, test } from 'vitest';
import { type Event, TidemarkError } from '../../src/index.ts';
import { failure, listen, newDirectory, OPERATORS, openEngine } from './support/engine.ts';
import { LatchedStore } from './support/latched-store.ts';

const SLOT_BYTES = 60_000;
const DISK_BYTES = 2 ** 21;
const OPTIONS = {
  operators: OPERATORS.sized,
  shards: 1,
  retain: { perStream: 1, diskBytes: DISK_BYTES },
  storeFullTimeoutMs: 400,
} as const;

/** The operator fills the slot of a stream with the first byte of the last payload. */
function at(stream: number, payload: string): Event {
  return { stream: `${SLOT_BYTES}-${stream}`, payload };
}

describe('a directory that is full', () => {
  test('refuses who waits for durability, keeps what is durable, and takes more once streams are forgotten', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ ...OPTIONS, directory });
    const heard = listen(engine, 'pressure');
    const durable: number[] = [];
    let refused = -1;
    for (let stream = 0; refused < 0; stream++) {
      expect(stream * SLOT_BYTES).toBeLessThan(DISK_BYTES);
      try {
        await engine.push(at(stream, 'a'), { until: 'durable' });
        durable.push(stream);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL', retryable: true, accepted: 1 });
        refused = stream;
      }
    }
    expect(durable.length).toBeGreaterThan(5);
    expect(heard).toContainEqual({ name: 'pressure', shard: undefined, what: 'store' });
    expect(engine.metrics().store.refused).toBeGreaterThan(0);
    // Still open: events are taken, and their states are right.
    await engine.push(at(0, 'b'));
    expect((await failure(engine.checkpoint())).code).toBe('ERR_TIDEMARK_STORE_FULL');

    for (const stream of durable.slice(1, 5)) await engine.forget(`${SLOT_BYTES}-${stream}`);
    await engine.checkpoint();
    await engine.push(at(0, 'c'), { until: 'durable' });
    await engine.close();

    const again = await openEngine({ ...OPTIONS, directory });
    const left = [0, ...durable.slice(5), refused];
    expect([...again.streams()].sort()).toEqual(left.map((stream) => `${SLOT_BYTES}-${stream}`).sort());
    for (const stream of left) {
      const state = await again.latest(`${SLOT_BYTES}-${stream}`);
      const expected = Buffer.alloc(SLOT_BYTES, stream === 0 ? 'c' : 'a');
      expect(Buffer.compare(state?.operatorStates.get('sized') ?? Buffer.alloc(0), expected)).toBe(0);
      expect(state?.eventCount).toBe(stream === 0 ? 3n : 1n);
    }
  });

  test('lets closing end with what could not be saved, and what was durable is there afterwards', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ ...OPTIONS, directory });
    const streams = Array.from({ length: 40 }, (_, stream) => stream);
    await engine.push(streams.map((stream) => at(stream, 'a')));
    expect(await failure(engine.close())).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL' });
    const again = await openEngine({ ...OPTIONS, directory });
    const restored = [...again.streams()];
    expect(restored.length).toBeGreaterThan(5);
    expect(restored.length).toBeLessThan(40);
  });
});

test('a store of the user that is full is asked again, and a push that waits for memory is refused meanwhile', async () => {
  const store = new LatchedStore();
  store.isHolding = true;
  const engine = await openEngine({
    ...OPTIONS,
    retain: { perStream: 1 },
    store,
    memory: { bytes: 2 ** 23, ringBytes: 2 ** 16 },
    checkpoint: { everyEvents: 1 },
  });
  let isFull = true;
  const serving = (async () => {
    for (;;) {
      const held = await store.held();
      if (isFull) held.fail(new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'no room', { retryable: true }));
      else held.settle();
    }
  })();
  serving.catch(() => undefined);
  // More states than the memory holds: the shard waits for checkpoints to leave, and the ring fills.
  let pushed = 0;
  let refused: { code: string; accepted?: number } | undefined;
  while (refused === undefined) {
    const batch = Array.from({ length: 20 }, (_, n) => at((pushed + n) % 50, 'a'));
    try {
      await engine.push(batch);
      pushed += batch.length;
    } catch (error) {
      refused = error as { code: string; accepted?: number };
      pushed += refused.accepted ?? 0;
    }
  }
  expect(refused.code).toBe('ERR_TIDEMARK_STORE_FULL');
  isFull = false;
  await engine.push(at(0, 'z'), { until: 'durable' });
  await engine.checkpoint();
  const { events } = engine.metrics();
  expect([events.accepted, events.applied]).toEqual([pushed + 1, pushed + 1]);
  await engine.close();
});
