/** The in-memory store keeps the contract of stores, and serves an engine. */
import { describe, expect, test } from 'vitest';
import { MemoryPlace, MemoryStore, suite } from '../../src/testing/index.ts';
import { failureCode, openEngine } from '../engine/support/engine.ts';

describe('a store in memory', () => {
  suite({
    test,
    factory: {
      secondOpener: 'fences',
      perStream: 3,
      create: () => new MemoryPlace(3),
      connect: (place) => new MemoryStore(place),
      // What has no process has nothing to lose with one: a crash leaves what an opening without a close finds.
      crash: () => {},
    },
  });
});

describe('a store in memory that keeps one checkpoint of a stream', () => {
  suite({
    test,
    factory: {
      secondOpener: 'fences',
      create: () => new MemoryPlace(1),
      connect: (place) => new MemoryStore(place),
    },
  });
});

test('an engine goes on from what an earlier one left in a place', async () => {
  const place = new MemoryPlace();
  const first = await openEngine({ store: new MemoryStore(place) });
  await first.push(
    Array.from({ length: 9 }, (_, n) => ({ stream: 's', payload: '1', source: 'src', offset: n })),
  );
  await first.close();
  expect(place.checkpoints.latest('s')?.eventCount).toBe(9n);
  const second = await openEngine({ store: new MemoryStore(place) });
  expect(second.position('src')).toBe(9n);
  expect(second.receipt).toMatchObject({ generation: 2n, streams: [{ stream: 's', generation: 1n }] });
});

test('a store in memory is opened once', async () => {
  const store = new MemoryStore();
  await store.open();
  expect(await failureCode(store.open())).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
  expect(() => new MemoryPlace(0)).toThrow('maxPerStream');
});

test('a store in memory refuses a batch with a damaged frame as a whole', async () => {
  const place = new MemoryPlace();
  const store = new MemoryStore(place);
  const { generation } = await store.open();
  const bytes = new Uint8Array(100);
  const batch = {
    frames: [{ stream: 's', sequence: 1n, bytes }],
    frontiers: new Map([['src', 1n]]),
    generation,
  };
  expect(await failureCode(store.commit(batch))).toBe('ERR_TIDEMARK_DAMAGED_FRAME');
  expect(place.frontiers).toEqual(new Map());
});

test('an engine that another one has fenced off fails, and says so', async () => {
  const place = new MemoryPlace();
  const first = await openEngine({ store: new MemoryStore(place) });
  await openEngine({ store: new MemoryStore(place) });
  expect(await failureCode(first.push({ stream: 's', payload: '1' }, { until: 'durable' }))).toBe(
    'ERR_TIDEMARK_FENCED',
  );
});
