/** An engine without a store: what is pushed is what its checkpoints hold. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'vitest';
import { CheckpointEngine, type Event } from '../../src/index.ts';
import {
  expectStates,
  failure,
  failureCode,
  listen,
  OPERATORS,
  openEngine,
  thrownCode,
} from './support/engine.ts';
import { Model, readable } from './support/model.ts';

function modelOf(events: readonly Event[]): Model {
  const model = new Model();
  for (const event of events) model.apply(event);
  return model;
}

describe('pushing', () => {
  test('single events and arrays of them, of strings and of bytes, are applied in the order of the calls', async () => {
    const engine = await openEngine();
    const events: Event[] = [
      { stream: 'a', payload: 'one' },
      { stream: 'a', payload: Buffer.from('two') },
      { stream: 'b', payload: '' },
      { stream: 'a', payload: new Uint8Array([0, 255, 10]) },
      { stream: 'b', payload: 'drei — „äöü“ 🌊' },
    ];
    await engine.push(events[0]!);
    await engine.push(events.slice(1, 3));
    expect(engine.tryPush(events[3]!)).toBe(true);
    await engine.push([]);
    await engine.push([events[4]!]);
    await engine.checkpoint();
    await expectStates(engine, modelOf(events));
    expect(engine.metrics().events).toEqual({ accepted: 5, applied: 5, dropped: 0, skipped: 0 });
  });

  test('pushes that nobody awaits keep their order', async () => {
    const engine = await openEngine();
    const events = Array.from({ length: 20_000 }, (_, n) => ({ stream: `s${n % 7}`, payload: `${n % 90}` }));
    const pushes = events.map((event, n) => engine.push(n % 3 === 0 ? [event] : event));
    await engine.checkpoint();
    await Promise.all(pushes);
    await engine.checkpoint();
    await expectStates(engine, modelOf(events));
  });

  test('a payload may be as long as the limit that the refusal of a longer one names', async () => {
    const engine = await openEngine({
      operators: OPERATORS.counted,
      memory: { bytes: 2 ** 24, ringBytes: 4_096 },
    });
    const error = await failure(engine.push({ stream: 'a', payload: new Uint8Array(4_096) }));
    expect(error.code).toBe('ERR_TIDEMARK_PAYLOAD_TOO_LARGE');
    const limit = Number(/limit of (\d+) bytes/.exec(error.message)?.[1]);
    for (let n = 0; n < 10; n++) await engine.push({ stream: 'a', payload: new Uint8Array(limit) });
    expect(await failureCode(engine.push({ stream: 'a', payload: new Uint8Array(limit + 1) }))).toBe(
      'ERR_TIDEMARK_PAYLOAD_TOO_LARGE',
    );
    await engine.checkpoint();
    expect((await engine.latest('a'))?.eventCount).toBe(10n);
  });

  test('the caller may reuse its bytes and its array once a push is accepted', async () => {
    const engine = await openEngine();
    const payload = Buffer.from('first');
    await engine.push({ stream: 'a', payload });
    payload.fill('x');
    const batch: Event[] = [{ stream: 'a', payload: 'second' }];
    const pushed = engine.push(batch);
    batch.pop();
    await pushed;
    await engine.checkpoint();
    await expectStates(engine, modelOf(['first', 'second'].map((word) => ({ stream: 'a', payload: word }))));
  });
});

describe('sequences', () => {
  test('are counted from one in streams that bring none', async () => {
    const engine = await openEngine();
    await engine.push(['x', 'y', 'z'].map((payload) => ({ stream: 'a', payload })));
    await engine.checkpoint();
    expect(await engine.latest('a')).toMatchObject({ id: { sequence: 3n }, eventCount: 3n });
  });

  test('are kept where events bring them, zero and the greatest u64 included', async () => {
    const engine = await openEngine();
    const events = [0n, 5, 6n, 2n ** 53n, 2n ** 64n - 1n].map((sequence) => ({
      stream: 'a',
      payload: 'x',
      sequence,
    }));
    await engine.push(events);
    await engine.checkpoint();
    await expectStates(engine, modelOf(events));
    expect(await engine.latest('a')).toMatchObject({ id: { sequence: 2n ** 64n - 1n }, eventCount: 5n });
  });

  test('at or below the last one make an event a duplicate, which is dropped and counted', async () => {
    const engine = await openEngine();
    const event = (sequence: bigint): Event => ({ stream: 'a', payload: `${sequence}`, sequence });
    await engine.push([event(0n), event(0n), event(7n), event(3n), event(7n), event(8n)]);
    await engine.checkpoint();
    await expectStates(engine, modelOf([event(0n), event(7n), event(8n)]));
    expect(engine.metrics().events).toEqual({ accepted: 6, applied: 3, dropped: 3, skipped: 0 });
  });

  test('a stream brings them with all events or with none', async () => {
    const engine = await openEngine();
    await engine.push([
      { stream: 'with', payload: 'x', sequence: 1 },
      { stream: 'without', payload: 'x' },
    ]);
    expect(await failureCode(engine.push({ stream: 'with', payload: 'x' }))).toBe(
      'ERR_TIDEMARK_INVALID_ARGUMENT',
    );
    expect(await failureCode(engine.push({ stream: 'without', payload: 'x', sequence: 2 }))).toBe(
      'ERR_TIDEMARK_INVALID_ARGUMENT',
    );
    await engine.checkpoint();
    expect((await engine.latest('with'))?.eventCount).toBe(1n);
  });
});

describe('sources', () => {
  test('offsets below where a stream has read are duplicates in streams without sequences', async () => {
    const engine = await openEngine();
    const event = (offset: number, payload: string): Event => ({ stream: 'a', payload, source: 's', offset });
    await engine.push([event(0, 'x'), event(1, 'y'), event(1, 'again'), event(4, 'z')]);
    await engine.checkpoint();
    await expectStates(engine, modelOf([event(0, 'x'), event(1, 'y'), event(4, 'z')]));
    expect(engine.position('s')).toBe(5n);
    expect(engine.metrics().events.dropped).toBe(1);
  });

  test('nextOffset says where reading goes on', async () => {
    const engine = await openEngine();
    const events: Event[] = [
      { stream: 'a', payload: 'line', source: 'file', offset: 0n, nextOffset: 5n },
      { stream: 'a', payload: 'longer line', source: 'file', offset: 5n, nextOffset: 2n ** 63n },
      { stream: 'a', payload: 'last', source: 'file', offset: 2n ** 63n, nextOffset: 2n ** 64n - 1n },
    ];
    expect(engine.position('file')).toBeUndefined();
    for (const event of events) {
      await engine.push(event);
      expect(engine.position('file')).toBe(event.nextOffset);
    }
    await engine.checkpoint();
    await expectStates(engine, modelOf(events));
  });

  test('one record may go to several streams, and one stream may have several sources', async () => {
    const engine = await openEngine();
    const events = [0, 1, 2, 3].flatMap((offset): Event[] => [
      { stream: 'bag 1', payload: `${offset}`, source: 'left', offset },
      { stream: 'bag 2', payload: `${offset}`, source: 'left', offset },
      { stream: 'bag 1', payload: `${offset}`, source: 'right', offset: offset * 10 },
    ]);
    await engine.push(events);
    await engine.checkpoint();
    await expectStates(engine, modelOf(events));
    expect(await engine.latest('bag 1')).toMatchObject({
      eventCount: 8n,
      sourceOffsets: new Map([
        ['left', 4n],
        ['right', 31n],
      ]),
    });
    expect(engine.position('left')).toBe(4n);
    expect(engine.position('right')).toBe(31n);
    expect(engine.position('no such source')).toBeUndefined();
  });

  test('the watermark is the greatest that was seen', async () => {
    const engine = await openEngine();
    const marks = [5n, 2n, 2n ** 64n - 1n, 1, undefined];
    await engine.push(marks.map((watermarkNs) => ({ stream: 'a', payload: 'x', watermarkNs })));
    await engine.checkpoint();
    expect((await engine.latest('a'))?.watermarkNs).toBe(2n ** 64n - 1n);
  });
});

describe('checkpoints', () => {
  test('latest has nothing before the first, and keeps to it until the next', async () => {
    const engine = await openEngine();
    expect(await engine.latest('a')).toBeUndefined();
    await engine.push({ stream: 'a', payload: 'x' });
    expect(await engine.latest('a')).toBeUndefined();
    await engine.checkpoint();
    await engine.push({ stream: 'a', payload: 'y' });
    expect((await engine.latest('a'))?.eventCount).toBe(1n);
    await engine.checkpoint();
    expect((await engine.latest('a'))?.eventCount).toBe(2n);
  });

  test('what latest returns is a copy of the caller', async () => {
    const engine = await openEngine();
    await engine.push({ stream: 'a', payload: 'x' });
    await engine.checkpoint();
    const state = await engine.latest('a');
    const before = readable(state);
    for (const bytes of state?.operatorStates.values() ?? []) bytes.fill(0xff);
    expect(readable(await engine.latest('a'))).toEqual(before);
  });

  test('of one stream leave the others alone', async () => {
    const engine = await openEngine();
    await engine.push(['a', 'b', 'c'].map((stream) => ({ stream, payload: 'x' })));
    await engine.checkpoint('b');
    expect(await Promise.all(['a', 'b', 'c'].map((stream) => engine.latest(stream)))).toEqual([
      undefined,
      expect.objectContaining({ eventCount: 1n }),
      undefined,
    ]);
    await engine.checkpoint('b');
    expect(await failureCode(engine.checkpoint('d'))).toBe('ERR_TIDEMARK_NOT_FOUND');
    expect([...engine.streams()].sort()).toEqual(['a', 'b', 'c']);
  });

  test('are taken when they are due, and every one is an event', async () => {
    const engine = await openEngine({ checkpoint: { everyEvents: 10 } });
    const heard = listen(engine, 'checkpoint', 'durable', 'frontier');
    await engine.push(
      Array.from({ length: 35 }, (_, n) => ({ stream: 'a', payload: `${n}`, source: 's', offset: n })),
    );
    await engine.checkpoint();
    await engine.checkpoint();
    const bytes = expect.any(Number);
    expect(heard).toEqual(
      [10n, 20n, 30n, 35n].map((sequence) => ({ name: 'checkpoint', stream: 'a', sequence, bytes })),
    );
    expect(engine.metrics().checkpoints).toMatchObject({ stored: 4, durable: 0 });
  });

  test('are taken by time alone', async () => {
    const engine = await openEngine({ checkpoint: { everyMs: 5 } });
    const taken = new Promise((resolve) => engine.once('checkpoint', resolve));
    await engine.push({ stream: 'a', payload: 'x' });
    expect(await taken).toMatchObject({ stream: 'a', sequence: 1n });
  });

  test('asked for at once by many are all answered', async () => {
    const engine = await openEngine();
    await engine.push({ stream: 'a', payload: 'x' });
    await Promise.all([...Array.from({ length: 20 }, () => engine.checkpoint()), engine.checkpoint('a')]);
    expect(engine.metrics().checkpoints.stored).toBe(1);
  });

  test('cannot be awaited as durable: a push until then is refused and not accepted', async () => {
    const engine = await openEngine();
    const error = await failure(engine.push({ stream: 'a', payload: 'x' }, { until: 'durable' }));
    expect(error.code).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
    expect(error.message).toContain('memory only');
    await engine.push({ stream: 'a', payload: 'y' }, { until: 'accepted' });
    await engine.checkpoint();
    expect((await engine.latest('a'))?.eventCount).toBe(1n);
  });
});

describe('the end', () => {
  test('a pipeline ends when everything is accepted and leaves the engine open', async () => {
    const engine = await openEngine();
    const events = Array.from({ length: 5_000 }, (_, n) => ({ stream: `s${n % 3}`, payload: `${n % 50}` }));
    await pipeline(Readable.from(events), engine.writable());
    await pipeline(Readable.from(events), engine.writable());
    await engine.checkpoint();
    await expectStates(engine, modelOf([...events, ...events]));
  });

  test('a pipeline is destroyed by an event that is refused', async () => {
    const engine = await openEngine();
    const events = [{ stream: 'a', payload: 'x' }, { stream: 'a' } as Event];
    expect(await failureCode(pipeline(Readable.from(events), engine.writable()))).toBe(
      'ERR_TIDEMARK_INVALID_ARGUMENT',
    );
  });

  test('closing takes final checkpoints of what was pushed before', async () => {
    const engine = await openEngine();
    const heard = listen(engine, 'checkpoint');
    const pushes = Array.from({ length: 10_000 }, () => engine.push({ stream: 'a', payload: 'x' }));
    const closed = engine.close();
    const late = engine.push({ stream: 'a', payload: 'too late' });
    expect(await failureCode(late)).toBe('ERR_TIDEMARK_CLOSED');
    await Promise.all(pushes);
    await closed;
    expect(heard.at(-1)).toMatchObject({ stream: 'a', sequence: 10_000n });
  });

  test('a second close is the first one, and everything else is refused', async () => {
    const engine = await openEngine();
    await engine.push({ stream: 'a', payload: 'x' });
    await Promise.all([engine.close(), engine.close()]);
    await engine.close();
    const event = { stream: 'a', payload: 'x' };
    for (const refused of [
      engine.push(event),
      engine.push([event]),
      engine.checkpoint(),
      engine.checkpoint('a'),
    ])
      expect(await failureCode(refused)).toBe('ERR_TIDEMARK_CLOSED');
    expect(await failureCode(engine.latest('a'))).toBe('ERR_TIDEMARK_CLOSED');
    expect(thrownCode(() => engine.tryPush(event))).toBe('ERR_TIDEMARK_CLOSED');
    expect(await failureCode(pipeline(Readable.from([event]), engine.writable()))).toBe(
      'ERR_TIDEMARK_CLOSED',
    );
    expect(engine.metrics().events.accepted).toBe(1);
  });

  test('await using closes', async () => {
    let escaped: CheckpointEngine | undefined;
    {
      await using engine = await CheckpointEngine.open({ operators: OPERATORS.tally, shards: 1 });
      await engine.push({ stream: 'a', payload: 'x' });
      escaped = engine;
    }
    expect(await failureCode(escaped.checkpoint())).toBe('ERR_TIDEMARK_CLOSED');
  });
});
