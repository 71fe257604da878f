/**
 * Events that operators throw at, or do not survive, time after time: their streams are set aside, go on without them, or
 * the engine fails, as it is told to. What is never to be: a state with half an event in it, an event that is lost or
 * counted twice, a frontier past an event that is held out.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CheckpointEngine, DeadLetter, EngineOptions, Event } from '../../src/index.ts';
import { type Folded, folded, NOTHING_FOLDED, readFolded } from '../support/folded.ts';
import { failure, failureCode, newDirectory, openEngine } from './support/engine.ts';

const OPERATORS = new URL('./operators/poison.ts', import.meta.url);
const KINDS = ['slot', 'large', 'heap', 'mixed'] as const;

/** Where operators leave traces of their attempts, and look whether they are to fail. */
function newTraces() {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-poison-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return {
    directory,
    heal: () => writeFileSync(join(directory, 'healed'), ''),
    attempts: () => readFileSync(join(directory, 'attempts'), 'utf8').trim().split('\n').length,
  };
}

function at(stream: string, number: number, poison = ''): Event {
  return { stream, payload: `${number}${poison}`, source: 'numbers', offset: number };
}

function stateOf(numbers: readonly number[]): Folded {
  return numbers.reduce(folded, NOTHING_FOLDED);
}

async function expectState(engine: CheckpointEngine, stream: string, numbers: readonly number[]) {
  const checkpoint = await engine.latest(stream);
  expect(checkpoint?.eventCount, stream).toBe(BigInt(numbers.length));
  for (const [name, bytes] of checkpoint?.operatorStates ?? [])
    expect(readFolded(bytes), `${stream}, ${name}`).toEqual(stateOf(numbers));
}

/** `from`, `from` + 2, … below `to`. */
function everySecond(from: number, to: number): number[] {
  return Array.from({ length: Math.ceil((to - from) / 2) }, (_, i) => from + 2 * i);
}

async function open(options: Partial<EngineOptions> = {}) {
  const engine = await openEngine({
    operators: OPERATORS,
    shards: 1,
    maxAttempts: 3,
    operatorTimeoutMs: 500,
    ...options,
  });
  const told: Record<'quarantine' | 'restart' | 'frontier', unknown[]> = {
    quarantine: [],
    restart: [],
    frontier: [],
  };
  engine.on('quarantine', (event) => void told.quarantine.push(event));
  engine.on('restart', (event) => void told.restart.push(event));
  engine.on('frontier', (event) => void told.frontier.push(event));
  return { engine, told };
}

/** On a busy machine a thread may be taken for held up before it has begun to try. */
function expectAttempts(attempts: number, way: string): void {
  if (way === 'hang') expect([1, 2, 3]).toContain(attempts);
  else expect(attempts).toBe(3);
}

const isQuarantined = (engine: CheckpointEngine): Promise<void> =>
  new Promise((resolve) => engine.once('quarantine', () => resolve()));

describe.each(['throw', 'exit', 'hang'])('an event at which operators %s', (way) => {
  test.each(KINDS)('sets its stream aside, of kind %s', async (kind) => {
    const traces = newTraces();
    const { engine, told } = await open({ directory: await newDirectory() });
    const [bad, good] = [`${kind}-bad`, `${kind}-good`];
    const set = isQuarantined(engine);
    for (let n = 0; n < 40; n++) {
      const stream = n % 2 === 0 ? bad : good;
      await engine.push(at(stream, n, n === 20 ? ` ${way} ${traces.directory}` : ''));
    }
    await set;
    expectAttempts(traces.attempts(), way);
    expect(told.quarantine).toEqual([
      {
        stream: bad,
        sequence: 11n,
        source: 'numbers',
        offset: 20n,
        attempts: 3,
        error: expect.objectContaining({
          code: {
            throw: 'ERR_TIDEMARK_OPERATOR',
            exit: 'ERR_TIDEMARK_SHARD_EXITED',
            hang: 'ERR_TIDEMARK_OPERATOR',
          }[way],
        }),
      },
    ]);
    // A throw is seen to on its thread. A busy machine may also hold up the thread that gives the event up.
    if (way === 'hang') expect(told.restart.length).toBeGreaterThanOrEqual(3);
    else expect(told.restart).toHaveLength(way === 'throw' ? 0 : 3);
    const summary = await engine.checkpoint();
    expect(summary.quarantined).toMatchObject([{ stream: bad, heldEvents: 10, droppedEvents: 0 }]);
    await expectState(engine, good, everySecond(1, 40));
    await expectState(engine, bad, everySecond(0, 20));
    expect(told.frontier.at(-1)).toEqual({ source: 'numbers', offset: 20n });
    expect(engine.position('numbers')).toBe(40n);
    // More is held out.
    await engine.push([at(bad, 40), at(good, 41)]);
    expect(engine.quarantined()).toMatchObject([{ stream: bad, heldEvents: 11 }]);
    traces.heal();
    await engine.retry(bad);
    expect(engine.quarantined()).toEqual([]);
    await engine.push(at(bad, 42));
    expect(await engine.checkpoint()).toEqual({ quarantined: [] });
    await expectState(engine, bad, everySecond(0, 43));
    expect(told.frontier.at(-1)).toEqual({ source: 'numbers', offset: 43n });
  });

  test.each(KINDS)('is skipped, of a stream of kind %s', async (kind) => {
    const traces = newTraces();
    const letters: DeadLetter[] = [];
    const { engine, told } = await open({
      directory: await newDirectory(),
      onPoison: 'skip',
      onDeadLetter: (letter) => void letters.push(letter),
    });
    const poison = ` ${way} ${traces.directory}`;
    for (let n = 0; n < 40; n++) await engine.push(at(`${kind}-${n % 2}`, n, n === 20 ? poison : ''));
    expect(await engine.checkpoint()).toEqual({ quarantined: [] });
    expect(letters).toHaveLength(1);
    expect(letters[0]).toMatchObject({ stream: `${kind}-0`, sequence: 11n, offset: 20n, attempts: 3 });
    expect(Buffer.from(letters[0]?.payload as Uint8Array).toString()).toBe(`20${poison}`);
    await expectState(
      engine,
      `${kind}-0`,
      everySecond(0, 40).filter((n) => n !== 20),
    );
    await expectState(engine, `${kind}-1`, everySecond(1, 40));
    expect(told.frontier.at(-1)).toEqual({ source: 'numbers', offset: 40n });
    expect(engine.metrics().events).toMatchObject({ accepted: 40, applied: 39, skipped: 1, dropped: 0 });
  });

  test('fails the engine if it is to', async () => {
    const traces = newTraces();
    const { engine } = await open({ directory: await newDirectory(), onPoison: 'fail' });
    const failed = new Promise<Error>((resolve) => engine.once('error', resolve));
    await engine.push([at('slot', 0), at('slot', 1, ` ${way} ${traces.directory}`)]);
    expect((await failed).message).toMatch(way === 'exit' ? /ended unexpectedly/ : /slot/);
    expectAttempts(traces.attempts(), way);
    await failure(engine.close());
  });
});

test.each(KINDS)('an event that fails once only is tried again, of a stream of kind %s', async (kind) => {
  const traces = newTraces();
  const { engine, told } = await open();
  for (let n = 0; n < 20; n++) await engine.push(at(kind, n, n === 10 ? ` once ${traces.directory}` : ''));
  expect(await engine.checkpoint()).toEqual({ quarantined: [] });
  await expectState(
    engine,
    kind,
    Array.from({ length: 20 }, (_, n) => n),
  );
  expect(told.restart).toEqual([]);
});

describe('a stream in quarantine', () => {
  async function withQuarantined(options: Partial<EngineOptions> = {}, stream = 'heap') {
    const traces = newTraces();
    const { engine, told } = await open({ directory: await newDirectory(), ...options });
    const set = isQuarantined(engine);
    for (let n = 0; n < 10; n++)
      await engine.push(at(stream, n, n === 5 ? ` throw ${traces.directory}` : ''));
    await set;
    return { engine, told, traces };
  }

  test('is told to who waits for its events to be durable', async () => {
    const { engine } = await withQuarantined();
    const error = await failure(engine.push(at('heap', 10), { until: 'durable' }));
    expect(error.code).toBe('ERR_TIDEMARK_QUARANTINED');
    expect(error.message).toContain("'heap'");
    expect(error.message).toContain("offset 5 of 'numbers'");
    expect(error.message).toContain('no good: 5');
    expect(error.accepted).toBe(1);
  });

  test('is told to who waited before it was set aside, of what comes behind', async () => {
    const traces = newTraces();
    const { engine } = await open({ directory: await newDirectory() });
    const before = engine.push([at('heap', 0), at('heap', 1)], { until: 'durable' });
    const poison = engine.push(at('heap', 2, ` throw ${traces.directory}`), { until: 'durable' });
    const behind = engine.push(at('heap', 3), { until: 'durable' });
    const both = engine.push([at('slot', 4), at('heap', 4)], { until: 'durable' });
    const codes = Promise.all([poison, behind, both].map(failureCode));
    await before;
    expect(await codes).toEqual(new Array(3).fill('ERR_TIDEMARK_QUARANTINED'));
    await expectState(engine, 'heap', [0, 1]);
  });

  test('is told to who waits for its events, though it goes on before that is looked at', async () => {
    const { engine, traces } = await withQuarantined();
    traces.heal();
    // The event is held out, and tried again in the same turn.
    const pushed = engine.push([at('slot', 10), at('heap', 10)], { until: 'durable' });
    const retried = engine.retry('heap');
    expect(await failureCode(pushed)).toBe('ERR_TIDEMARK_QUARANTINED');
    await retried;
    await expectState(
      engine,
      'heap',
      Array.from({ length: 11 }, (_, n) => n),
    );
  });

  test('is left alone by checkpoints, and named', async () => {
    const { engine } = await withQuarantined();
    for (const summary of [await engine.checkpoint(), await engine.checkpoint('heap')])
      expect(summary.quarantined).toMatchObject([{ stream: 'heap', offset: 5n, heldEvents: 5 }]);
    await engine.push(at('slot', 10));
    expect(await engine.checkpoint('slot')).toEqual({ quarantined: [] });
    expect((await engine.close()).quarantined).toMatchObject([{ stream: 'heap', heldEvents: 5 }]);
  });

  test('fails again when it is retried in vain, and holds out what came since', async () => {
    const { engine, traces } = await withQuarantined();
    await engine.push(at('heap', 10));
    expect(await failureCode(engine.retry('heap'))).toBe('ERR_TIDEMARK_QUARANTINED');
    expect(engine.quarantined()).toMatchObject([{ stream: 'heap', offset: 5n, heldEvents: 6 }]);
    // Each was accepted once, however often it is tried.
    expect(engine.metrics().events.accepted).toBe(11);
    traces.heal();
    const retried = engine.retry('heap');
    // Behind what was held out.
    await engine.push(at('heap', 11));
    await retried;
    await engine.checkpoint();
    await expectState(
      engine,
      'heap',
      Array.from({ length: 12 }, (_, n) => n),
    );
  });

  test('goes on without the event', async () => {
    const { engine, told } = await withQuarantined();
    await engine.skip('heap');
    await expectState(engine, 'heap', [0, 1, 2, 3, 4, 6, 7, 8, 9]);
    expect(told.frontier.at(-1)).toEqual({ source: 'numbers', offset: 10n });
  });

  test('goes on without all that was held out', async () => {
    const directory = await newDirectory();
    const { engine, told } = await withQuarantined({ directory });
    expect(await engine.drop('heap')).toBe(5);
    expect(told.frontier.at(-1)).toEqual({ source: 'numbers', offset: 10n });
    await engine.push(at('heap', 10));
    expect(await engine.close()).toEqual({ quarantined: [] });
    const { engine: next } = await open({ directory });
    expect(next.quarantined()).toEqual([]);
    await expectState(next, 'heap', [0, 1, 2, 3, 4, 10]);
  });

  describe.each(['drop', 'skip'] as const)('whose event is given up by %s', (way) => {
    test.each(KINDS)(
      'has that behind it, though the source is read again from before, of kind %s',
      async (kind) => {
        const directory = await newDirectory();
        const traces = newTraces();
        const { engine } = await open({ directory, quarantineBytes: 500 });
        // The second one holds the frontier at 0.
        for (const stream of ['slot-first', kind]) {
          const set = isQuarantined(engine);
          const offset = stream === kind ? 4 : 0;
          if (stream === kind) for (let n = 1; n < 4; n++) await engine.push(at(kind, n));
          await engine.push(at(stream, offset, ` throw ${traces.directory}`));
          await set;
        }
        // Beyond quarantineBytes.
        if (way === 'drop') for (let n = 5; n < 9; n++) await engine.push(at(kind, n));
        await engine[way](kind);
        await engine.close();
        const { engine: next } = await open({ directory });
        expect(next.position('numbers')).toBe(0n);
        expect(next.quarantined()).toMatchObject([{ stream: 'slot-first' }]);
        for (let n = 1; n < 12; n++)
          await next.push(at(kind, n, n === 4 ? ` throw ${traces.directory}` : ''));
        expect((await next.checkpoint()).quarantined).toMatchObject([{ stream: 'slot-first' }]);
        const gone = way === 'drop' ? [4, 5, 6, 7, 8] : [4];
        await expectState(
          next,
          kind,
          Array.from({ length: 11 }, (_, i) => i + 1).filter((n) => !gone.includes(n)),
        );
      },
    );
  });

  test('can be forgotten, and its name used anew', async () => {
    const { engine, told } = await withQuarantined();
    await engine.forget('heap');
    expect(engine.quarantined()).toEqual([]);
    expect(await failureCode(engine.retry('heap'))).toBe('ERR_TIDEMARK_NOT_FOUND');
    await engine.push(at('heap', 20));
    await engine.checkpoint();
    await expectState(engine, 'heap', [20]);
    expect(told.frontier.at(-1)).toEqual({ source: 'numbers', offset: 21n });
  });

  test.each(KINDS)('is one after a restart of the engine, too, of kind %s', async (kind) => {
    const directory = await newDirectory();
    const { engine, traces } = await withQuarantined({ directory }, kind);
    await engine.close();
    const { engine: next } = await open({ directory });
    expect(next.position('numbers')).toBe(5n);
    expect(next.quarantined()).toMatchObject([
      { stream: kind, sequence: 6n, source: 'numbers', offset: 5n, attempts: 3, heldEvents: 0 },
    ]);
    const [{ error } = { error: undefined }] = next.quarantined();
    expect(error?.cause).toMatchObject({ message: 'no good: 5' });
    const before = traces.attempts();
    for (let n = 5; n < 12; n++) await next.push(at(kind, n, n === 5 ? ` throw ${traces.directory}` : ''));
    await next.push(at('slot-good', 12));
    await next.checkpoint();
    // It was not tried.
    expect(traces.attempts()).toBe(before);
    await expectState(next, kind, [0, 1, 2, 3, 4]);
    traces.heal();
    await next.retry(kind);
    await expectState(
      next,
      kind,
      Array.from({ length: 12 }, (_, n) => n),
    );
    await next.close();
    const { engine: last } = await open({ directory });
    expect(last.quarantined()).toEqual([]);
    expect(last.position('numbers')).toBe(13n);
  });

  test('that was restored does not keep another one from being set aside', async () => {
    const directory = await newDirectory();
    const { engine } = await withQuarantined({ directory });
    await engine.close();
    const { engine: next } = await open({ directory });
    const set = isQuarantined(next);
    await next.push(at('slot-bad', 10, ` throw ${newTraces().directory}`));
    await set;
    // Many times what the ring holds: it is given back once the event is copied.
    for (let n = 11; n < 5_000; n++) await next.push(at('slot-good', n));
    await next.checkpoint();
    await expectState(
      next,
      'slot-good',
      Array.from({ length: 4_989 }, (_, i) => 11 + i),
    );
  });

  test('goes on after a restart for good, before anything of it comes again', async () => {
    const directory = await newDirectory();
    const { engine } = await withQuarantined({ directory });
    await engine.close();
    const { engine: next } = await open({ directory });
    const durable: unknown[] = [];
    next.on('durable', (event) => void durable.push(event));
    await next.retry('heap');
    expect(durable).toMatchObject([{ stream: 'heap', sequence: 5n }]);
  });

  test('goes on without the event after a restart, once that has come again', async () => {
    const directory = await newDirectory();
    const { engine, traces } = await withQuarantined({ directory });
    await engine.close();
    const { engine: next, told } = await open({ directory });
    expect(await failureCode(next.skip('heap'))).toBe('ERR_TIDEMARK_NEEDS_REPLAY');
    // From before the position, so that duplicates come first.
    for (let n = 3; n < 12; n++) await next.push(at('heap', n, n === 5 ? ` throw ${traces.directory}` : ''));
    await next.skip('heap');
    await expectState(next, 'heap', [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]);
    expect(told.frontier.at(-1)).toEqual({ source: 'numbers', offset: 12n });
  });

  test('drops events beyond quarantineBytes, and needs a replay then', async () => {
    const directory = await newDirectory();
    const { engine, told, traces } = await withQuarantined({ directory, quarantineBytes: 2_000 });
    for (let n = 10; n < 30; n++) await engine.push(at('heap', n));
    const [stream] = engine.quarantined();
    expect(stream?.heldBytes).toBeLessThanOrEqual(2_000);
    expect((stream?.heldEvents ?? 0) + (stream?.droppedEvents ?? 0)).toBe(25);
    expect(engine.metrics().quarantine).toEqual({
      streams: 1,
      heldEvents: stream?.heldEvents,
      heldBytes: stream?.heldBytes,
      droppedEvents: stream?.droppedEvents,
    });
    traces.heal();
    expect(await failureCode(engine.retry('heap'))).toBe('ERR_TIDEMARK_NEEDS_REPLAY');
    await engine.checkpoint();
    expect(told.frontier.at(-1)).toEqual({ source: 'numbers', offset: 5n });
    await engine.close();
    const { engine: next } = await open({ directory, quarantineBytes: 2_000 });
    await next.retry('heap');
    for (let n = Number(next.position('numbers')); n < 30; n++) await next.push(at('heap', n));
    await next.checkpoint();
    await expectState(
      next,
      'heap',
      Array.from({ length: 30 }, (_, n) => n),
    );
  });

  test('holds out what it has no source for, too, in memory only', async () => {
    const traces = newTraces();
    const { engine } = await open();
    const set = isQuarantined(engine);
    for (let n = 0; n < 5; n++)
      await engine.push({ stream: 'slot', payload: n === 2 ? `2 throw ${traces.directory}` : `${n}` });
    await set;
    await engine.push({ stream: 'slot', payload: new TextEncoder().encode('5') });
    traces.heal();
    await engine.retry('slot');
    await engine.checkpoint();
    await expectState(engine, 'slot', [0, 1, 2, 3, 4, 5]);
  });

  test('is none', async () => {
    const { engine } = await open();
    await engine.push(at('slot', 0));
    for (const call of [engine.retry('slot'), engine.skip('slot'), engine.drop('slot'), engine.retry('none')])
      expect(await failureCode(call)).toBe('ERR_TIDEMARK_NOT_FOUND');
  });
});

test('an event before which there was nothing is set aside, too', async () => {
  const directory = await newDirectory();
  const traces = newTraces();
  const { engine } = await open({ directory });
  const set = isQuarantined(engine);
  await engine.push(at('heap', 0, ` throw ${traces.directory}`));
  await set;
  await engine.close();
  const { engine: next } = await open({ directory });
  expect(next.quarantined()).toMatchObject([{ stream: 'heap', sequence: 1n, offset: 0n }]);
  expect(next.position('numbers') ?? 0n).toBe(0n);
  traces.heal();
  await next.retry('heap');
  await next.push([at('heap', 0), at('heap', 1)]);
  await next.checkpoint();
  await expectState(next, 'heap', [0, 1]);
});

describe('a dead letter', () => {
  test('holds the frontier until it is delivered', async () => {
    const traces = newTraces();
    let deliver: () => void = () => undefined;
    const { engine, told } = await open({
      directory: await newDirectory(),
      onPoison: 'skip',
      onDeadLetter: () => new Promise<void>((resolve) => (deliver = resolve)),
    });
    for (let n = 0; n < 10; n++)
      await engine.push(at('slot', n, n === 5 ? ` throw ${traces.directory}` : ''));
    await engine.checkpoint();
    expect(told.frontier.at(-1)).toEqual({ source: 'numbers', offset: 5n });
    deliver();
    await engine.checkpoint();
    expect(told.frontier.at(-1)).toEqual({ source: 'numbers', offset: 10n });
  });

  test.each(KINDS)(
    'comes again after a restart if it was not delivered, of a stream of kind %s',
    async (kind) => {
      const traces = newTraces();
      const directory = await newDirectory();
      const letters: DeadLetter[] = [];
      const options = { directory, onPoison: 'skip' } as const;
      const { engine } = await open({ ...options, onDeadLetter: () => new Promise<void>(() => undefined) });
      const push = (to: CheckpointEngine, n: number): Promise<void> =>
        to.push(
          at(kind, n, n === 3 ? ` throw ${traces.directory}` : n === 6 ? ` exit ${traces.directory}` : ''),
        );
      for (let n = 0; n < 10; n++) await push(engine, n);
      await engine.close();
      // What is behind the events is durable, so they are duplicates: twice, and then delivered.
      for (const isTaken of [false, true]) {
        letters.length = 0;
        const { engine: next } = await open({
          ...options,
          onDeadLetter: (letter) => {
            letters.push(letter);
            return isTaken ? undefined : new Promise<void>(() => undefined);
          },
        });
        expect(next.position('numbers')).toBe(3n);
        for (let n = 3; n < 10; n++) await push(next, n);
        await next.checkpoint();
        expect(
          letters.map(({ stream, offset, sequence, attempts }) => [stream, offset, sequence, attempts]),
        ).toEqual([
          [kind, 3n, 4n, 3],
          [kind, 6n, 7n, 3],
        ]);
        expect(letters[0]?.error.cause).toMatchObject({ message: 'no good: 3' });
        await expectState(next, kind, [0, 1, 2, 4, 5, 7, 8, 9]);
        await next.close();
      }
      const { engine: last } = await open({
        ...options,
        onDeadLetter: (letter) => void letters.push(letter),
      });
      expect(last.position('numbers')).toBe(10n);
      for (let n = 0; n < 12; n++) await push(last, n);
      await last.checkpoint();
      expect(letters).toHaveLength(2);
      await expectState(last, kind, [0, 1, 2, 4, 5, 7, 8, 9, 10, 11]);
    },
  );

  test.each([
    [
      'throws',
      () => {
        throw new Error('no post today');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no post today'))],
  ])('fails the engine if who is to take it %s', async (_, onDeadLetter) => {
    const traces = newTraces();
    const directory = await newDirectory();
    const { engine } = await open({ directory, onPoison: 'skip', onDeadLetter });
    const failed = new Promise<Error>((resolve) => engine.once('error', resolve));
    await engine.push([at('slot', 0), at('slot', 1, ` throw ${traces.directory}`)]);
    expect(await failed).toMatchObject({
      code: 'ERR_TIDEMARK_DEAD_LETTER',
      cause: expect.objectContaining({ message: 'no post today' }),
    });
    await failure(engine.close());
    const { engine: next } = await open({ directory });
    expect(next.position('numbers') ?? 0n).toBeLessThanOrEqual(1n);
  });
});
