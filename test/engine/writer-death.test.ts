/**
 * Crash: of the store writer's thread alone, at chosen moments of chosen requests. What would be lost: what the commit
 * under way brought, and the engine with it. Why not: another writer takes the directory and is asked again.
 */
import { expect, test } from 'vitest';
import type { CheckpointEngine, Event } from '../../src/index.ts';
import { Random } from '../support/random.ts';
import { expectStates, failure, listen, newDirectory, openEngine, openFailure } from './support/engine.ts';
import { Model } from './support/model.ts';
import { MORTAL_WORKERS, WriterDeath } from './support/writer-death.ts';

const STREAMS = ['a', 'b', 'ü—🌊', ''];

function record(offset: number): Event {
  return {
    stream: STREAMS[offset % STREAMS.length]!,
    payload: `${(offset * 7) % 23}`,
    source: 'src',
    offset,
  };
}

function records(from: number, to: number): Event[] {
  return Array.from({ length: to - from }, (_, n) => record(from + n));
}

function modelOf(events: readonly Event[]): Model {
  const model = new Model();
  for (const event of events) model.apply(event);
  return model;
}

async function openMortal(directory: string): Promise<CheckpointEngine> {
  return openEngine({ directory, workersUrl: MORTAL_WORKERS });
}

/** What was acknowledged is there when another engine opens the directory. */
async function expectDurable(directory: string, events: readonly Event[]): Promise<void> {
  const engine = await openEngine({ directory });
  expect(engine.receipt).toMatchObject({ lost: [], positions: new Map([['src', BigInt(events.length)]]) });
  await expectStates(engine, modelOf(events));
}

for (const moment of [
  'on request',
  'before write',
  'after write',
  'after sync',
  'before answer',
  'after answer',
] as const) {
  test(`a writer that dies in a commit, ${moment}, is replaced, and all goes on`, async () => {
    const death = WriterDeath.make();
    const directory = await newDirectory();
    const engine = await openMortal(directory);
    const heard = listen(engine, 'restart', 'durable');
    await engine.push(records(0, 10));
    await engine.checkpoint();
    death.arrange('commit', moment);
    await engine.push(records(10, 30));
    await engine.checkpoint();
    await engine.push(records(30, 40));
    await engine.checkpoint();
    // Not before: it may be answered first.
    expect(death.deaths).toBe(1);
    expect(heard.filter(({ name }) => name === 'restart')).toEqual([
      {
        name: 'restart',
        shard: undefined,
        cause: expect.objectContaining({ message: expect.stringContaining('code: 7') }),
        streams: 0,
        // The answer is heard, however soon after it the end came; the next commit may be under way by then.
        replayed: expect.toSatisfy((frames) => frames > 0 || moment === 'after answer'),
        ms: expect.any(Number),
      },
    ]);
    // Each checkpoint is durable once.
    const durable = heard
      .filter(({ name }) => name === 'durable')
      .map((event) => `${event['stream']} ${event['sequence']}`);
    expect(new Set(durable).size).toBe(durable.length);
    await engine.close();
    await expectDurable(directory, records(0, 40));
  });
}

test('commits of a later writer hold checkpoints of the generation of the engine', async () => {
  const death = WriterDeath.make();
  const directory = await newDirectory();
  const engine = await openMortal(directory);
  death.arrange('commit', 'before write');
  await engine.push(records(0, 4));
  await engine.checkpoint();
  expect(engine.generation).toBe(1n);
  await engine.close();
  const next = await openEngine({ directory });
  expect(next.generation).toBe(3n);
  expect(next.receipt.streams.map(({ generation }) => generation)).toEqual([1n, 1n, 1n, 1n]);
});

test('a stream is forgotten and its name used again, though the writer dies on the way', async () => {
  const death = WriterDeath.make();
  const directory = await newDirectory();
  const engine = await openMortal(directory);
  await engine.push(records(0, 8));
  await engine.checkpoint();
  for (const moment of ['on request', 'after write', 'before answer'] as const) {
    death.arrange('forget', moment);
    await engine.forget('a');
    expect(await engine.latest('a')).toBeUndefined();
    await engine.push({ stream: 'a', payload: moment });
    await engine.checkpoint('a');
  }
  expect(death.deaths).toBe(3);
  await engine.close();
  const next = await openEngine({ directory });
  expect((await next.latest('a'))?.eventCount).toBe(1n);
  expect((await next.latest('b'))?.eventCount).toBe(2n);
});

test.each([
  ['find', 'on request'],
  ['find', 'before answer'],
  ['fill', 'before answer'],
  ['open', 'before write'],
  ['open', 'after sync'],
  ['open', 'before answer'],
] as const)('an engine opens though its first writer dies at %s, %s', async (request, moment) => {
  const death = WriterDeath.make();
  const directory = await newDirectory();
  const first = await openMortal(directory);
  await first.push(records(0, 20));
  await first.close();
  death.arrange(request, moment, { times: 2 });
  const engine = await openMortal(directory);
  expect(death.deaths).toBe(2);
  await expectStates(engine, modelOf(records(0, 20)));
  await engine.push(records(20, 30));
  await engine.close();
  await expectDurable(directory, records(0, 30));
});

test('a writer that dies on the way back is replaced in its turn', async () => {
  const death = WriterDeath.make();
  const directory = await newDirectory();
  const engine = await openMortal(directory);
  const heard = listen(engine, 'restart');
  await engine.push(records(0, 8));
  // The first one at the commit, the second when it has a new generation that nobody hears of.
  death.arrange('any request', 'before answer', { times: 2 });
  await engine.checkpoint();
  expect(death.deaths).toBe(2);
  expect(heard).toHaveLength(1);
  await engine.close();
  await expectDurable(directory, records(0, 8));
});

test('an engine whose writer is dead or dying closes in order, and the directory is free', async () => {
  const death = WriterDeath.make();
  const directory = await newDirectory();
  for (const moment of ['on request', 'before write', 'before answer'] as const) {
    const engine = await openMortal(directory);
    await engine.push(records(0, 8));
    death.arrange('close', moment);
    await engine.close();
  }
  expect(death.deaths).toBe(3);
  await expectDurable(directory, records(0, 8));
});

test('an engine fails when three writers have died without an answer, and says of what', async () => {
  const death = WriterDeath.make();
  const directory = await newDirectory();
  const engine = await openMortal(directory);
  await engine.push(records(0, 8));
  await engine.checkpoint();
  death.arrange('commit', 'before write', { times: 3 });
  await engine.push(records(8, 12));
  const error = await failure(engine.checkpoint());
  expect(error).toMatchObject({
    code: 'ERR_TIDEMARK_STORE_FAILED',
    message: expect.stringContaining('the store writer ended unexpectedly'),
    cause: expect.objectContaining({ message: expect.stringContaining('code: 7') }),
  });
  expect(death.deaths).toBe(3);
  expect((await failure(engine.close())).code).toBe('ERR_TIDEMARK_STORE_FAILED');
  await expectDurable(directory, records(0, 8));
});

test('an engine does not open when three writers die of it, and the directory is free', async () => {
  const death = WriterDeath.make();
  const directory = await newDirectory();
  death.arrange('find', 'on request', { times: 3 });
  const error = await openFailure({ directory, workersUrl: MORTAL_WORKERS });
  expect(error).toMatchObject({
    code: 'ERR_TIDEMARK_STORE_FAILED',
    message: expect.stringContaining('code: 7'),
  });
  const engine = await openEngine({ directory });
  expect(engine.generation).toBe(1n);
});

const seeds = (() => {
  const given = process.env['TIDEMARK_SEED'];
  if (given !== undefined) return [Number(given)];
  return Array.from({ length: 3 }, () => Math.floor(Math.random() * 2 ** 32));
})();

test.each(seeds)('deaths at random moments lose nothing (TIDEMARK_SEED=%i)', async (seed) => {
  const random = new Random(seed);
  const death = WriterDeath.make();
  const directory = await newDirectory();
  const engine = await openMortal(directory);
  let pushed = 0;
  let isSettled = true;
  for (let round = 0; round < 12; round++) {
    // One may die right after the answer that the last round waited for, another one in this round: a third would be
    // the end.
    if (isSettled) death.arrange('any request', 'any moment', { skip: random.magnitude(30) });
    const next = pushed + random.between(1, 40);
    await engine.push(records(pushed, next));
    pushed = next;
    isSettled = random.chance(0.7);
    if (isSettled) await engine.checkpoint();
  }
  await engine.close();
  await expectDurable(directory, records(0, pushed));
});
