/** A caller may use its array, its events and their bytes again as soon as a push has returned, also when it waits. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/engine/event.ts';
import { IngestBench, type ReadRecord } from '../support/ingest-bench.ts';
import { seeded } from '../support/random.ts';

type Changing = { -readonly [Field in keyof Event]: Event[Field] };

function events(records: readonly ReadRecord[]): ReadRecord[] {
  return records.filter(({ kind }) => kind === 'event');
}

/** Of one shard whose ring is full. */
function full(): IngestBench {
  const bench = new IngestBench(1);
  while (bench.ingest.tryAccept({ stream: 'filling', payload: 'x'.repeat(100) }, false));
  return bench;
}

describe('of a push that waits', () => {
  test('every field of an event may be changed', async () => {
    const bench = full();
    const event: Changing = {
      stream: 'first',
      payload: 'one',
      sequence: 1,
      watermarkNs: 2,
      source: 'file',
      offset: 3,
      nextOffset: 5,
    };
    const push = bench.push([event]);
    Object.assign(event, {
      stream: 'second',
      payload: 'two',
      sequence: 10,
      watermarkNs: 20,
      source: 'other',
      offset: 30,
      nextOffset: 50,
    });
    const read = events(bench.drain()[0] ?? []);
    await push;
    expect(read.at(-1)).toMatchObject({
      stream: 'first',
      payload: 'one',
      sequence: 1n,
      watermarkNs: 2n,
      source: 'file',
      offset: 3n,
      nextOffset: 5n,
    });
    expect(bench.router.source('other')).toBeUndefined();
    expect(bench.router.source('file')?.frontier(undefined)).toBe(3n);
  });

  test.each([
    ['a Uint8Array', (bytes: Uint8Array) => bytes],
    ['a Buffer', (bytes: Uint8Array) => Buffer.from(bytes.buffer)],
    ['the middle of a buffer', (bytes: Uint8Array) => bytes.subarray(8, -8)],
  ])('the bytes may be changed of %s', async (_, viewOf) => {
    const bench = full();
    const bytes = new Uint8Array(1_250);
    const payload = viewOf(bytes);
    const pushes = [1, 2, 3].map((value) => {
      bytes.fill(value);
      return bench.push([{ stream: 's', payload }]);
    });
    bytes.fill(9);
    const read = events(bench.drain()[0] ?? []).slice(-3);
    await Promise.all(pushes);
    expect(read.map((record) => 'payload' in record && record.payload)).toEqual(
      [1, 2, 3].map((value) => String.fromCharCode(value).repeat(payload.length)),
    );
  });

  test('an event may be an object whose fields are accessors of its class', async () => {
    class Record {
      at = 7;
      get stream(): string {
        return `stream of ${this.at}`;
      }
      get payload(): string {
        return `payload of ${this.at}`;
      }
    }
    const bench = full();
    const record = new Record();
    const push = bench.push([record]);
    record.at = 8;
    const read = events(bench.drain()[0] ?? []);
    await push;
    expect(read.at(-1)).toMatchObject({ stream: 'stream of 7', payload: 'payload of 7' });
  });

  test('what is left of an array may be changed, and the array with it', async () => {
    const bench = new IngestBench(1);
    const batch: Changing[] = Array.from({ length: 300 }, (_, offset) => ({
      stream: 's',
      payload: `${offset}`,
      source: 'file',
      offset,
    }));
    const push = bench.push(batch);
    expect(bench.ingest.accepted).toBeLessThan(300);
    for (const event of batch) Object.assign(event, { payload: 'changed', stream: 't', offset: 0 });
    batch.length = 0;
    const read = events(bench.drain()[0] ?? []);
    await push;
    expect(read).toMatchObject(
      Array.from({ length: 300 }, (_, offset) => ({
        stream: 's',
        payload: `${offset}`,
        offset: BigInt(offset),
      })),
    );
  });

  test(
    'one event and one buffer may serve all pushes, whichever of them wait',
    seeded((random) => {
      const bench = new IngestBench(2, 2 ** 12);
      const buffer = new Uint8Array(1_000);
      const event: Changing = { stream: '', payload: '' };
      const expected = new Map<string, unknown[]>();
      const read: ReadRecord[] = [];
      for (let offset = 0; offset < 500; offset++) {
        event.stream = `s${random.below(5)}`;
        const value = 1 + random.below(127);
        buffer.fill(value);
        event.payload = buffer.subarray(0, random.below(1_000));
        event.source = 'file';
        event.offset = offset;
        const text = String.fromCharCode(value).repeat(event.payload.length);
        expected.set(event.stream, [...(expected.get(event.stream) ?? []), [text, BigInt(offset)]]);
        void bench.push([event]);
        if (random.chance(0.2)) read.push(...bench.read(random.below(2)));
        if (random.chance(0.2)) bench.ingest.resume();
      }
      for (const records of bench.drain()) read.push(...records);
      const got = new Map<string, unknown[]>();
      for (const record of read) {
        if (record.kind !== 'event') continue;
        got.set(record.stream, [...(got.get(record.stream) ?? []), [record.payload, record.offset]]);
      }
      expect(got).toEqual(expected);
    }),
  );
});

test('what need not wait is not copied', async () => {
  const bench = new IngestBench(1);
  let looks = 0;
  const event = {
    stream: 's',
    get payload(): string {
      looks++;
      return 'x';
    },
  };
  bench.ingest.tryAccept({ stream: 's', payload: '' }, false);
  bench.ingest.tryAccept(event, false);
  const once = looks;
  await bench.push([event]);
  expect(looks).toBe(2 * once);
});
