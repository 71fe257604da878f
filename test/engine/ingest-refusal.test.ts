/** What an event that `tryPush` refuses leaves behind: nothing, neither in the ring nor among the names. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/engine/event.ts';
import { shardOf } from '../../src/engine/router.ts';
import { IngestBench } from '../support/ingest-bench.ts';
import { seeded } from '../support/random.ts';

const RING_BYTES = 2 ** 12;
/** Of a payload: half the ring without the header of an event. */
const PAYLOAD_BYTES_MAX = RING_BYTES / 2 - 56;

function counts({ router }: IngestBench): [streams: number, sources: number] {
  return [router.streamCount, router.sourceCount];
}

describe('an event that finds no room', () => {
  test('leaves no name behind, however many new ones come', () => {
    const bench = new IngestBench(2, RING_BYTES);
    for (let n = 0; n < 1_000; n++)
      bench.ingest.tryAccept({ stream: `s${n % 8}`, payload: 'x', source: 'file', offset: n }, false);
    const before = counts(bench);
    for (let n = 0; n < 1_000; n++) {
      const event = { stream: `new ${n}`, payload: 'x'.repeat(100), source: `of ${n}`, offset: n };
      expect(bench.ingest.tryAccept(event, false)).toBe(false);
    }
    expect(counts(bench)).toEqual(before);
    expect(new Set(bench.full)).toEqual(new Set([0, 1]));
  });

  test('leaves no definition in the ring, whatever room is left there', () => {
    for (let room = 0; room <= 160; room += 8) {
      const bench = new IngestBench(1, RING_BYTES);
      bench.ingest.tryAccept({ stream: 's', payload: 'x'.repeat(1_900) }, false);
      bench.ingest.tryAccept({ stream: 's', payload: 'x'.repeat(PAYLOAD_BYTES_MAX - room) }, false);
      const isTaken = bench.ingest.tryAccept(
        { stream: 'new', payload: 'x'.repeat(24), source: 'file', offset: 0 },
        false,
      );
      const names = bench.read(0).flatMap((record) => ('name' in record ? [record.name] : []));
      expect(names).toEqual(isTaken ? ['s', 'new', 'file'] : ['s']);
      expect(counts(bench)).toEqual(isTaken ? [2, 1] : [1, 0]);
    }
  });

  test('that a shard knows by its stream alone does not name its source either', () => {
    const bench = new IngestBench(1, RING_BYTES);
    while (bench.ingest.tryAccept({ stream: 's', payload: 'x'.repeat(100) }, false));
    const event = { stream: 's', payload: 'x'.repeat(100), source: 'file', offset: 5 };
    expect(bench.ingest.tryAccept(event, false)).toBe(false);
    expect(bench.router.source('file')).toBeUndefined();
    bench.read(0);
    expect(bench.ingest.tryAccept(event, false)).toBe(true);
    expect(bench.read(0)).toMatchObject([
      { kind: 'source', name: 'file' },
      { kind: 'event', source: 'file', offset: 5n },
    ]);
  });

  test('may come again, and others before it: their numbers are those that the shard was told', () => {
    const bench = new IngestBench(1, RING_BYTES);
    while (bench.ingest.tryAccept({ stream: 's', payload: 'x'.repeat(100) }, false));
    const late = { stream: 'late', payload: 'x', source: 'late file', offset: 0 };
    expect(bench.ingest.tryAccept({ ...late, payload: 'x'.repeat(500) }, false)).toBe(false);
    bench.read(0);
    bench.ingest.tryAccept({ stream: 'early', payload: 'x', source: 'early file', offset: 0 }, false);
    bench.ingest.tryAccept(late, false);
    expect(bench.read(0)).toMatchObject([
      { kind: 'stream', index: 1, name: 'early' },
      { kind: 'source', index: 0, name: 'early file' },
      { kind: 'event', stream: 'early', source: 'early file' },
      { kind: 'stream', index: 2, name: 'late' },
      { kind: 'source', index: 1, name: 'late file' },
      { kind: 'event', stream: 'late', source: 'late file' },
    ]);
  });
});

test(
  'an event of the greatest size with new names gets in wherever the empty ring begins',
  seeded((random) => {
    const bench = new IngestBench(1, RING_BYTES);
    const payload = 'x'.repeat(PAYLOAD_BYTES_MAX);
    let refused = 0;
    for (let n = 0; n < 500; n++) {
      bench.ingest.tryAccept({ stream: 's', payload: 'x'.repeat(random.below(1_900)) }, false);
      bench.read(0);
      const event = { stream: `new ${n}`.padEnd(200), payload, source: `of ${n}`.padEnd(200), offset: 0 };
      for (let attempt = 0; !bench.ingest.tryAccept(event, false); attempt++) {
        expect(attempt).toBeLessThan(3);
        refused++;
        bench.read(0);
      }
      expect(bench.read(0).at(-1)).toMatchObject({ stream: event.stream, source: event.source });
    }
    // Not all at once everywhere, or the test would say nothing.
    expect(refused).toBeGreaterThan(0);
  }),
);

test(
  'random events, tried until they are taken, arrive once and in order under their names',
  seeded((random) => {
    const bench = new IngestBench(2, RING_BYTES);
    const expected: string[][] = [[], []];
    const read: string[][] = [[], []];
    const take = (shard: number): void => {
      for (const record of bench.read(shard))
        if (record.kind === 'event')
          (read[shard] as string[]).push(`${record.stream} ${record.source} ${record.offset}`);
    };
    for (let offset = 0; offset < 1_000; offset++) {
      const stream = `stream ${random.below(400)}`;
      const source = `source ${random.below(50)}`;
      const payload = 'x'.repeat(random.magnitude(PAYLOAD_BYTES_MAX));
      const event: Event = { stream, payload, source, offset };
      while (!bench.ingest.tryAccept(event, false)) take(random.below(2));
      (expected[shardOf(stream, 2)] as string[]).push(`${stream} ${source} ${offset}`);
    }
    for (const shard of [0, 1]) take(shard);
    expect(read).toEqual(expected);
  }),
);
