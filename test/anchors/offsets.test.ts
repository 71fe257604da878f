/**
 * Bugs that other systems had with offsets: what a restart skipped, or read twice. Each test has the name of one and
 * shows from outside, through the engine alone, that it is not one here.
 */
import { expect, test } from 'vitest';
import { type CheckpointStore, type Event, TidemarkError } from '../../src/index.ts';
import { newDirectory, OPERATORS, openEngine } from '../engine/support/engine.ts';
import { Gate } from '../engine/support/gate.ts';
import { LatchedStore, Shelf } from '../engine/support/latched-store.ts';
import { at, expectExactAfterReplay } from './support/events.ts';
import { liveAndDie } from './support/lives.ts';

test('an out-of-order completion pins the frontier', async () => {
  const gate = Gate.make();
  const shelf = new Shelf();
  const engine = await openEngine({ store: new LatchedStore(shelf), operators: OPERATORS.gated });
  // Not all of the others are on the shard that stands at the gate.
  const others = ['b', 'c', 'd', 'e', 'f', 'g'];
  const events = [at('a', 0, 'wait'), ...others.map((stream, n) => at(stream, n + 1))];
  await engine.push(events);
  await gate.reached();
  await Promise.race(others.map((stream) => engine.checkpoint(stream)));
  const crashed = shelf.copy();
  gate.open();
  expect(crashed.streams.size).toBeGreaterThan(0);
  const next = await openEngine({ store: new LatchedStore(crashed), operators: OPERATORS.gated });
  expect(next.position('src')).toBe(0n);
  await expectExactAfterReplay(next, events);
  expect(next.metrics().events.dropped).toBeGreaterThan(0);
});

test('a failed state write commits no offset', async () => {
  const shelf = new Shelf();
  const store = new LatchedStore(shelf);
  const { commit } = store;
  // Like a store that answers for one large object only: the state of 'a' fails, that of 'b' is written.
  store.commit = (batch: Parameters<CheckpointStore['commit']>[0]) =>
    batch.frames.some(({ stream }) => stream === 'a')
      ? Promise.reject(new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'too much', { retryable: true }))
      : commit.call(store, batch);
  const engine = await openEngine({ store });
  const events = [at('a', 0, 'x'.repeat(5_000)), at('b', 1), at('b', 2)];
  await engine.push(events);
  const all = engine.checkpoint();
  await engine.checkpoint('b');
  const crashed = shelf.copy();
  expect([...crashed.streams.keys()]).toEqual(['b']);
  const next = await openEngine({ store: new LatchedStore(crashed) });
  expect(next.position('src')).toBe(0n);
  await expectExactAfterReplay(next, events);
  store.commit = commit;
  await all;
  expect(shelf.frontiers).toEqual(new Map([['src', 3n]]));
});

test('all partitions of a batch are committed', async () => {
  const directory = await newDirectory();
  const partitions = Array.from({ length: 12 }, (_, n) => `topic-${n}`);
  const batch = [0, 1, 2].flatMap((round) =>
    partitions.map((source, n): Event => ({ ...at(`s${n % 5}`, 10 * n + round), source })),
  );
  await liveAndDie(directory, [{ push: batch }, { checkpoint: null }]);
  const next = await openEngine({ directory });
  expect(partitions.map((source) => next.position(source))).toEqual(
    partitions.map((_, n) => BigInt(10 * n + 3)),
  );
});

test('next-offset is not the offset', async () => {
  const lines = ['one', 'two words', 'ü—🌊', '', 'the last but one', 'the last'];
  const file = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  /** The lines from a byte offset on, each with the byte offsets of its beginning and its end. */
  function read(from: bigint | undefined): Event[] {
    const events: Event[] = [];
    for (let offset = Number(from ?? 0n); offset < file.length; ) {
      const nextOffset = file.indexOf('\n', offset) + 1;
      const payload = file.subarray(offset, nextOffset - 1).toString();
      events.push({ stream: 'lines', payload, source: 'file', offset, nextOffset });
      offset = nextOffset;
    }
    return events;
  }
  const directory = await newDirectory();
  await liveAndDie(directory, [{ push: read(undefined).slice(0, 3) }, { checkpoint: null }]);
  const next = await openEngine({ directory });
  const left = read(next.position('file'));
  expect(left.map(({ payload }) => payload)).toEqual(lines.slice(3));
  await expectExactAfterReplay(next, read(undefined));
  expect(next.metrics().events).toEqual({ accepted: 3, applied: 3, dropped: 0, skipped: 0 });
});

test('a crash before the first checkpoint skips nothing', async () => {
  const directory = await newDirectory();
  const events = [at('a', 100), at('a', 101), at('b', 102)];
  await liveAndDie(directory, [{ push: events }]);
  const second = await openEngine({ directory });
  expect(second.receipt).toMatchObject({ streams: [], lost: [], positions: new Map() });
  expect(second.position('src')).toBeUndefined();
  await second.close();
  // Nor does one before the first checkpoint of a stream, behind which another one has its own.
  await liveAndDie(directory, [{ push: events }, { checkpoint: 'b' }]);
  const third = await openEngine({ directory });
  expect(third.receipt.streams.map(({ stream }) => stream)).toEqual(['b']);
  expect(third.position('src')).toBe(100n);
  await expectExactAfterReplay(third, events);
});

test('a source that is not ready when recovery starts keeps its place', async () => {
  const shelf = new Shelf();
  const late = [0, 1, 2, 3].map((offset): Event => ({ ...at('a', offset), source: 'late' }));
  const ready = [0, 1, 2, 3].map((offset): Event => ({ ...at('b', offset), source: 'ready' }));
  const first = await openEngine({ store: new LatchedStore(shelf) });
  await first.push([...late.slice(0, 2), ...ready.slice(0, 2)]);
  await first.close();
  // Two lives in which nothing can be read of it, while another source goes on and commits.
  for (const event of ready.slice(2)) {
    const engine = await openEngine({ store: new LatchedStore(shelf) });
    expect(engine.position('late')).toBe(2n);
    await engine.push(event, { until: 'durable' });
    await engine.checkpoint();
    expect(engine.position('late')).toBe(2n);
    await engine.close();
  }
  const last = await openEngine({ store: new LatchedStore(shelf) });
  expect([last.position('late'), last.position('ready')]).toEqual([2n, 4n]);
  await expectExactAfterReplay(last, [...late, ...ready]);
  expect(last.metrics().events).toEqual({ accepted: 2, applied: 2, dropped: 0, skipped: 0 });
});
