/** An engine with a directory: what is reported durable, when, and how far the frontiers are. */
import { describe, expect, test } from 'vitest';
import type { CheckpointEngine, Event } from '../../src/index.ts';
import { failureCode, listen, newDirectory, OPERATORS, openEngine } from './support/engine.ts';
import { Gate } from './support/gate.ts';

function at(stream: string, offset: number, more: Partial<Event> = {}): Event {
  return { stream, payload: `${offset}`, source: 'src', offset, ...more };
}

/** The next event of that name that `matches`. */
function next<Name extends 'durable' | 'frontier' | 'checkpoint'>(
  engine: CheckpointEngine,
  name: Name,
  matches: (event: { offset?: bigint; sequence?: bigint }) => boolean = () => true,
): Promise<void> {
  return new Promise((resolve) => {
    const listener = (event: object): void => {
      if (!matches(event)) return;
      (engine as NodeJS.EventEmitter).off(name, listener);
      resolve();
    };
    (engine as NodeJS.EventEmitter).on(name, listener);
  });
}

describe('a checkpoint on request', () => {
  test('is stored, then durable, then the frontier rises, and all that before it resolves', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    const heard = listen(engine, 'checkpoint', 'durable', 'frontier');
    await engine.push([at('a', 0), at('a', 1), at('a', 7)]);
    await engine.checkpoint();
    const bytes = expect.any(Number);
    expect(heard).toEqual([
      { name: 'checkpoint', stream: 'a', sequence: 3n, bytes },
      { name: 'durable', stream: 'a', sequence: 3n, bytes },
      { name: 'frontier', source: 'src', offset: 8n },
    ]);
    expect(heard[0]?.['bytes']).toBe(heard[1]?.['bytes']);
    expect(engine.metrics().checkpoints).toMatchObject({ stored: 1, durable: 1 });
  });

  test('of streams without news commits nothing', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    await engine.push(at('a', 0));
    await engine.checkpoint();
    const { commits } = engine.metrics().store;
    const heard = listen(engine, 'checkpoint', 'durable', 'frontier');
    await engine.checkpoint();
    await engine.checkpoint('a');
    expect(heard).toEqual([]);
    expect(engine.metrics().store.commits).toBe(commits);
  });

  test('of one stream makes that one durable and holds the frontier at the least event of the others', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    const heard = listen(engine, 'durable', 'frontier');
    await engine.push([at('a', 0), at('b', 1), at('a', 2), at('c', 3), at('a', 4)]);
    await engine.checkpoint('a');
    expect(heard).toMatchObject([
      { name: 'durable', stream: 'a' },
      { name: 'frontier', offset: 1n },
    ]);
    await engine.checkpoint('b');
    expect(heard.slice(2)).toMatchObject([
      { name: 'durable', stream: 'b' },
      { name: 'frontier', offset: 3n },
    ]);
    await engine.checkpoint('c');
    expect(heard.slice(4)).toMatchObject([
      { name: 'durable', stream: 'c' },
      { name: 'frontier', offset: 5n },
    ]);
  });

  test('resolves with other checkpoints and pushes under way', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    const work: Promise<unknown>[] = [];
    for (let n = 0; n < 200; n++) {
      work.push(engine.push(at(`s${n % 5}`, n), n % 7 === 0 ? { until: 'durable' } : {}));
      if (n % 11 === 0) work.push(engine.checkpoint());
      if (n % 13 === 0) work.push(engine.checkpoint(`s${n % 5}`));
    }
    await Promise.all(work);
    await engine.checkpoint();
    let events = 0n;
    for (const stream of engine.streams()) events += (await engine.latest(stream))?.eventCount ?? 0n;
    expect(events).toBe(200n);
  });
});

describe('the frontier', () => {
  test('stays below an event that its shard has not read, however much of another shard is durable', async () => {
    const gate = Gate.make();
    const engine = await openEngine({ directory: await newDirectory(), operators: OPERATORS.gated });
    const heard = listen(engine, 'frontier');
    // One of these is on another shard than 'a', which stands at the gate.
    const others = ['b', 'c', 'd', 'e', 'f', 'g'];
    await engine.push(at('a', 0));
    await engine.checkpoint();
    await engine.push(at('a', 1, { payload: 'wait' }));
    await gate.reached();
    await engine.push(others.map((stream, n) => at(stream, 2 + n)));
    await Promise.race(others.map((stream) => engine.checkpoint(stream)));
    expect(heard.map((event) => event['offset'])).toEqual([1n]);
    gate.open();
    await engine.checkpoint();
    expect(heard.at(-1)).toMatchObject({ offset: 8n });
  });

  test('of each source is its own, with nextOffset', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    const heard = listen(engine, 'frontier');
    await engine.push([
      { stream: 'a', payload: 'x', source: 'left', offset: 100n, nextOffset: 200n },
      { stream: 'a', payload: 'x', source: 'right', offset: 0n },
    ]);
    await engine.checkpoint();
    await engine.push({ stream: 'b', payload: 'x', source: 'left', offset: 200n, nextOffset: 201n });
    await engine.checkpoint();
    expect(heard.map(({ source, offset }) => [source, offset])).toEqual([
      ['left', 200n],
      ['right', 1n],
      ['left', 201n],
    ]);
  });

  test('only rises, and every offset below it is in a durable checkpoint at that moment', async () => {
    const engine = await openEngine({
      directory: await newDirectory(),
      checkpoint: { everyEvents: 7, everyMs: 3 },
    });
    const durable = new Map<string, bigint>();
    const lastOffsets = new Map<string, [sequence: bigint, offset: bigint][]>();
    const flaws: string[] = [];
    let reached = -1n;
    engine.on('durable', ({ stream, sequence }) => durable.set(stream, sequence));
    engine.on('frontier', ({ offset }) => {
      if (offset <= reached) flaws.push(`${offset} after ${reached}`);
      reached = offset;
      for (const [stream, events] of lastOffsets) {
        const covered = durable.get(stream) ?? 0n;
        const open = events.find(([sequence]) => sequence > covered);
        if (open !== undefined && open[1] < offset) flaws.push(`${stream} at ${covered}, frontier ${offset}`);
      }
    });
    for (let offset = 0; offset < 3_000; offset++) {
      const stream = `s${(offset * offset) % 13}`;
      const events = lastOffsets.get(stream) ?? [];
      events.push([BigInt(events.length + 1), BigInt(offset)]);
      lastOffsets.set(stream, events);
      await engine.push(at(stream, offset));
      if (offset % 100 === 0) await engine.checkpoint(stream);
    }
    await engine.checkpoint();
    expect(flaws).toEqual([]);
    expect(reached).toBe(3_000n);
  });

  test('rises past events that were all duplicates', async () => {
    const directory = await newDirectory();
    const first = await openEngine({ directory });
    await first.push([at('a', 0, { sequence: 0 }), at('a', 1, { sequence: 1 })]);
    await first.close();
    const engine = await openEngine({ directory });
    const heard = listen(engine, 'frontier');
    // The source has the same records again under greater offsets.
    await engine.push([at('a', 10, { sequence: 0 }), at('a', 11, { sequence: 1 })]);
    await engine.checkpoint();
    expect(heard.at(-1)).toMatchObject({ source: 'src', offset: 12n });
    expect(engine.metrics().events).toMatchObject({ applied: 0, dropped: 2 });
    await engine.close();
    expect((await openEngine({ directory })).position('src')).toBe(12n);
  });

  test('rises without being asked past the events of a source that were all duplicates from its first', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    await engine.push(at('a', 0, { sequence: 1 }), { until: 'durable' });
    const reached = next(engine, 'frontier', ({ offset }) => offset === 8n);
    await engine.push([5, 6, 7].map((offset) => at('a', offset, { sequence: 1, source: 'copy' })));
    await reached;
    expect(engine.metrics().events).toMatchObject({ applied: 1, dropped: 3 });
  });
});

describe('a push until durable', () => {
  test('resolves when a durable checkpoint holds the event', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    const heard = listen(engine, 'durable');
    await engine.push(at('a', 0));
    await engine.push(at('a', 1), { until: 'durable' });
    expect(heard).toMatchObject([{ stream: 'a', sequence: 2n }]);
    await engine.push([at('a', 2), at('b', 2), at('b', 3)], { until: 'durable' });
    expect(heard.slice(1).sort((x, y) => (`${x['stream']}` < `${y['stream']}` ? -1 : 1))).toMatchObject([
      { stream: 'a', sequence: 3n },
      { stream: 'b', sequence: 2n },
    ]);
    await engine.push([], { until: 'durable' });
  });

  test('resolves for a duplicate, of a stream that is durable already and of one that is not', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    await engine.push(at('a', 0, { sequence: 5 }), { until: 'durable' });
    await engine.push(at('a', 0, { sequence: 5 }), { until: 'durable' });
    await engine.push(at('a', 1, { sequence: 6 }));
    const heard = listen(engine, 'durable');
    await engine.push(at('a', 1, { sequence: 6 }), { until: 'durable' });
    expect(heard).toMatchObject([{ stream: 'a', sequence: 6n }]);
    expect(engine.metrics().events.dropped).toBe(2);
  });

  test('resolves for a duplicate of a stream that this life has only restored', async () => {
    const directory = await newDirectory();
    const first = await openEngine({ directory });
    await first.push(at('a', 0, { sequence: 5 }));
    await first.close();
    const engine = await openEngine({ directory });
    await engine.push(at('a', 0, { sequence: 5 }), { until: 'durable' });
    expect(engine.metrics().checkpoints.stored).toBe(0);
  });

  test('may be made by many at once, and they share commits', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    const pushes = Array.from({ length: 2_000 }, (_, n) =>
      engine.push(at(`s${n % 50}`, n), { until: 'durable' }),
    );
    await Promise.all(pushes);
    expect(engine.metrics().store.commits).toBeLessThan(1_000);
    expect((await engine.latest('s0'))?.eventCount).toBe(40n);
  });

  test('resolves within a close, and is refused after it', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    const pushes = Array.from({ length: 100 }, (_, n) => engine.push(at('a', n), { until: 'durable' }));
    await engine.close();
    await Promise.all(pushes);
    expect(await failureCode(engine.push(at('a', 100), { until: 'durable' }))).toBe('ERR_TIDEMARK_CLOSED');
  });

  test('takes no other words for durable', async () => {
    const engine = await openEngine({ directory: await newDirectory() });
    const push = engine.push(at('a', 0), { until: 'forever' as 'durable' });
    expect(await failureCode(push)).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
  });
});

describe('time', () => {
  test('makes checkpoints durable and raises the frontier without being asked', async () => {
    const engine = await openEngine({ directory: await newDirectory(), checkpoint: { everyMs: 5 } });
    const reached = next(engine, 'frontier', ({ offset }) => offset === 5n);
    await engine.push([at('a', 0), at('b', 1), at('a', 4)]);
    await reached;
  });

  test('makes a stream durable that has gone idle', async () => {
    const engine = await openEngine({ directory: await newDirectory(), checkpoint: { idleMs: 5 } });
    const durable = next(engine, 'durable', ({ sequence }) => sequence === 1n);
    await engine.push({ stream: 'a', payload: 'x' });
    await durable;
  });
});
