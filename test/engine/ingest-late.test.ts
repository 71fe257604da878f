/** Pushes that wait for a shard which itself waits for memory, until they have waited for too long. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Event } from '../../src/engine/event.ts';
import type { SourceProgress } from '../../src/engine/frontiers.ts';
import { shardOf } from '../../src/engine/router.ts';
import { TidemarkError } from '../../src/error.ts';
import { IngestBench, type ReadRecord } from '../support/ingest-bench.ts';

const NAMES = Array.from({ length: 20 }, (_, n) => `stream ${n}`);
/** Streams of the first shard of two, and one of the second. */
const [A, A2] = NAMES.filter((name) => shardOf(name, 2) === 0) as [string, string];
const [B] = NAMES.filter((name) => shardOf(name, 2) === 1) as [string];
const reason = (): TidemarkError => new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'full');

function at(stream: string, offset: number): Event {
  return { stream, payload: `${offset}`, source: 'file', offset };
}

function payloads(records: readonly ReadRecord[]): string[] {
  return records.flatMap((record) => (record.kind === 'event' ? [record.payload] : []));
}

/** An ingest whose first shard has a full ring and has asked for memory. */
function blocked(): IngestBench {
  const bench = new IngestBench();
  while (bench.ingest.tryAccept({ stream: A, payload: 'fill' }, false));
  bench.askForMemory(0);
  return bench;
}

function file(bench: IngestBench): SourceProgress {
  return bench.router.source('file') as SourceProgress;
}

/** What came of each: how many of its events were accepted, or that all of them were. */
function outcomes(promises: readonly Promise<void>[]): Promise<unknown[]> {
  return Promise.all(
    promises.map((promise) =>
      promise.then(
        () => 'accepted',
        (error: TidemarkError) => error.accepted,
      ),
    ),
  );
}

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

test('the first is rejected and all behind it, as if they had never been pushed', async () => {
  const bench = blocked();
  const pushes = [bench.push([at(B, 4), at(A2, 5)])];
  vi.advanceTimersByTime(100);
  pushes.push(bench.push([at(B, 6)]), bench.push([at(B, 7), at(A2, 7)]));
  bench.ingest.failLate(reason, -1);
  expect(bench.ingest.isWaiting).toBe(true);
  bench.ingest.failLate(reason, 0);
  expect(await outcomes(pushes)).toEqual([1, 0, 0]);
  expect(bench.ingest.isWaiting).toBe(false);
  expect(bench.router.stream(A2)?.hasEvents).toBe(false);
  expect(bench.router.stream(B)?.hasEvents).toBe(true);
  // The rejected event of offset 5 can be pushed again.
  expect(file(bench).lastOffset).toBe(4);
  bench.read(0);
  const again = bench.push([at(A2, 5), at(B, 6)]);
  const [first, second] = bench.drain();
  await again;
  expect([payloads(first ?? []), payloads(second ?? [])]).toEqual([['5'], ['4', '6']]);
});

test('the frontier and the position of their source stay at the first until one is accepted again', async () => {
  const bench = blocked();
  const push = bench.push([at(B, 5), at(A, 5), at(A, 6)]);
  bench.read(1);
  file(bench).onReport(1, { read: 1, lastOffset: 5n, openLow: undefined });
  bench.ingest.failLate(reason, 0);
  expect(await outcomes([push])).toEqual([1]);
  expect([file(bench).frontier(undefined), file(bench).position]).toEqual([5n, 5n]);
  bench.read(0);
  await bench.push([at(A, 5), at(A, 6)]);
  file(bench).onReport(0, { read: 2, lastOffset: 6n, openLow: undefined });
  expect([file(bench).frontier(undefined), file(bench).position]).toEqual([7n, 7n]);
});

test('of a source that had no event they leave none', async () => {
  const bench = blocked();
  const push = bench.push([at(A, 5)]);
  expect(file(bench).firstOffset).toBe(5);
  bench.ingest.failLate(reason, 0);
  expect(await outcomes([push])).toEqual([0]);
  expect([file(bench).firstOffset, file(bench).lastOffset]).toEqual([undefined, undefined]);
});

test('sources that only they have named make room for others, and their numbers are given again', async () => {
  const bench = blocked();
  // Not even the definitions of their names fit.
  const [x, y, z] = ['x', 'y', 'z'].map((name) => name.padEnd(400, '.')) as [string, string, string];
  const named = (name: string, offset: number): Event => ({ ...at(A, offset), source: name });
  const { sourceCount } = bench.router;
  const rejected = [bench.push([named(x, 5), named(y, 5)]), bench.push([named(z, 1)])];
  expect(bench.router.sourceCount).toBe(sourceCount + 3);
  bench.ingest.failLate(reason, 0);
  expect(await outcomes(rejected)).toEqual([0, 0]);
  expect(bench.router.sourceCount).toBe(sourceCount);
  const accepted = bench.push([named(z, 3), named(x, 4)]);
  expect(bench.router.source(z)?.firstOffset).toBe(3);
  const [records] = bench.drain();
  await accepted;
  expect(records?.slice(-4)).toMatchObject([
    { kind: 'source', index: sourceCount, name: z },
    { kind: 'event', source: z, offset: 3n },
    { kind: 'source', index: sourceCount + 1, name: x },
    { kind: 'event', source: x, offset: 4n },
  ]);
});

test('a source that a store had stays, and so does one that a shard has heard of', async () => {
  const bench = blocked();
  bench.router.addSource('restored', 7n);
  const waiting = bench.push([
    { ...at(B, 5), source: 'heard' },
    { ...at(A, 6), source: 'heard' },
    { ...at(A, 8), source: 'restored' },
  ]);
  bench.ingest.failLate(reason, 0);
  expect(await outcomes([waiting])).toEqual([1]);
  expect(bench.router.source('restored')).toBeDefined();
  expect(bench.router.source('heard')?.position).toBe(6n);
});

test('of streams that had no event they leave none, but of those that a request still names', async () => {
  const bench = blocked();
  const { streamCount } = bench.router;
  // Not even the definitions of their names fit.
  const names = NAMES.map((name) => name.padEnd(400, '.')).filter((name) => shardOf(name, 2) === 0);
  const [over, named, ...others] = names as [string, string, ...string[]];
  const pushes = [bench.push(names.map((name, n) => at(name, n)))];
  const forgotten = bench.forget(bench.router.stream(over)!);
  vi.advanceTimersByTime(100);
  const checkpointed = bench.requestCheckpoint(bench.router.stream(named)!, new Map());
  bench.ingest.failLate(reason, 0);
  expect(bench.router.streamCount).toBe(streamCount + 1);
  expect(bench.router.stream(named)).toBeDefined();
  // Whoever comes next has numbers of their own.
  for (const name of others) pushes.push(bench.push([at(name, 0)]));
  const [records] = bench.drain();
  await Promise.all([forgotten, checkpointed]);
  expect(await outcomes(pushes)).toEqual([0, ...others.map(() => 'accepted')]);
  const defined = records?.flatMap((record) => (record.kind === 'stream' ? [record.index] : []));
  expect(new Set(defined).size).toBe(defined?.length);
});

test('a shard that is only slow rejects nobody', async () => {
  const bench = new IngestBench();
  while (bench.ingest.tryAccept({ stream: A, payload: 'fill' }, false));
  const push = bench.push([at(A, 5)]);
  bench.ingest.failLate(reason, 1_000);
  bench.drain();
  expect(await outcomes([push])).toEqual(['accepted']);
});

test('a request to forget a stream stays, also of one whose events are all withdrawn', async () => {
  const bench = blocked();
  // Not even the definition of its name fits.
  const long = NAMES.map((name) => name.padEnd(400, '.')).find((name) => shardOf(name, 2) === 0)!;
  const push = bench.push([at(long, 5)]);
  expect(bench.router.stream(long)?.isDefined).toBe(false);
  const forgotten = bench.forget(bench.router.stream(long)!);
  bench.ingest.failLate(reason, 0);
  expect(await outcomes([push])).toEqual([0]);
  const [records] = bench.drain();
  await forgotten;
  expect(records?.slice(-2)).toMatchObject([
    { kind: 'stream', name: long },
    { kind: 'forget', stream: long },
  ]);
});

test('a restored stream has had events, whatever is withdrawn', async () => {
  const bench = blocked();
  const restored = bench.router.addStream(A2);
  restored.isRestored = true;
  restored.hasEvents = true;
  const push = bench.push([{ ...at(A2, 5), sequence: 1 }]);
  expect(restored.bringsSequences).toBe(true);
  bench.ingest.failLate(reason, 0);
  expect(await outcomes([push])).toEqual([0]);
  expect([restored.hasEvents, restored.bringsSequences]).toEqual([true, undefined]);
});

test('other requests stay unless they have waited as long', async () => {
  const bench = blocked();
  const push = bench.push([at(A, 5)]);
  const stream = bench.router.stream(A)!;
  const late = bench.requestCheckpoint(stream, new Map());
  vi.advanceTimersByTime(100);
  const behind = bench.requestCheckpoint(stream, new Map());
  bench.ingest.failLate(reason, 99);
  await expect(late).rejects.toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL' });
  expect(await outcomes([push])).toEqual([0]);
  const [records] = bench.drain();
  await behind;
  expect(records?.filter(({ kind }) => kind === 'checkpoint')).toHaveLength(1);
});

test('who comes later waits anew, also behind a request to forget that finds no room', async () => {
  const bench = blocked();
  const long = NAMES.map((name) => name.padEnd(400, '.')).find((name) => shardOf(name, 2) === 0)!;
  const pushes = [bench.push([at(long, 5)])];
  const forgotten = bench.forget(bench.router.stream(long)!);
  bench.ingest.failLate(reason, 0);
  vi.advanceTimersByTime(100);
  pushes.push(bench.push([at(B, 5)]));
  vi.advanceTimersByTime(100);
  pushes.push(bench.push([at(B, 6)]));
  bench.ingest.failLate(reason, 99);
  expect(bench.ingest.isWaiting).toBe(true);
  bench.ingest.failLate(reason, 100);
  expect(await outcomes(pushes)).toEqual([0, 0, 0]);
  pushes.push(bench.push([at(B, 5)]));
  bench.ingest.failLate(reason, 199);
  bench.drain();
  await forgotten;
  expect(await outcomes(pushes)).toEqual([0, 0, 0, 'accepted']);
});
