/** Many requests to checkpoint at once: one checkpoint of each stream with news, and none of the others. */
import { expect, test } from 'vitest';
import { listen, newDirectory, openEngine } from './support/engine.ts';
import { LatchedStore } from './support/latched-store.ts';

const CALLS = 100;
const STREAMS = 40;

function names(): string[] {
  return Array.from({ length: STREAMS }, (_, i) => `s${i}`);
}

test.each<[string, number[]]>([
  ['of all streams', [CALLS, 0]],
  ['of one stream', [0, CALLS]],
  ['of all streams and of one', [CALLS, CALLS]],
])('%s, made in one turn, come to one checkpoint of each dirty stream', async (_what, [all = 0, one = 0]) => {
  const engine = await openEngine({ directory: await newDirectory() });
  for (const stream of names()) await engine.push({ stream, payload: 'x' });
  await engine.checkpoint();
  const heard = listen(engine, 'checkpoint', 'durable');
  const dirty = ['s3', 's4', 's5'];
  for (const stream of dirty) await engine.push({ stream, payload: 'y' });
  const requests: Promise<unknown>[] = [];
  for (let i = 0; i < all; i++) requests.push(engine.checkpoint());
  for (let i = 0; i < one; i++) requests.push(engine.checkpoint('s4'));
  await Promise.all(requests);
  const expected = all > 0 ? dirty : ['s4'];
  for (const name of ['checkpoint', 'durable'])
    expect(
      heard
        .filter((event) => event.name === name)
        .map(({ stream }) => stream)
        .sort(),
    ).toEqual(expected);
  await engine.checkpoint();
  expect(heard.filter(({ name }) => name === 'checkpoint')).toHaveLength(dirty.length);
});

test('share commits, also with those that come while one is under way', async () => {
  const store = new LatchedStore();
  store.isHolding = true;
  const engine = await openEngine({ store });
  await engine.push({ stream: 'a', payload: 'x', source: 'src', offset: 0 });
  const first = Array.from({ length: CALLS }, () => engine.checkpoint('a'));
  const under = await store.held();
  expect(under.batch.frames.map(({ stream }) => stream)).toEqual(['a']);
  // The stream is clean: these have nothing to take, but what they ask for is not durable yet.
  const later = Array.from({ length: CALLS }, () => engine.checkpoint());
  under.settle();
  await Promise.all([...first, ...later]);
  expect(store.commits).toBe(1);
  await Promise.all(Array.from({ length: CALLS }, () => engine.checkpoint()));
  expect(store.commits).toBe(1);
  store.isHolding = false;
});

test('that come with events between them have a checkpoint for each that the shard has read by then, and no more', async () => {
  const engine = await openEngine({ directory: await newDirectory() });
  const heard = listen(engine, 'checkpoint');
  const ROUNDS = 20;
  for (let round = 0; round < ROUNDS; round++) {
    await engine.push({ stream: 'a', payload: 'x' });
    await Promise.all([engine.checkpoint(), engine.checkpoint('a'), engine.checkpoint('a')]);
  }
  expect(heard.map(({ sequence }) => sequence)).toEqual(
    Array.from({ length: ROUNDS }, (_, i) => BigInt(i + 1)),
  );
});
