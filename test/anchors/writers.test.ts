/**
 * Bugs that other systems had with who may write, and with what comes late: writers that wake, names that are used again,
 * acknowledgements out of their time. Each test has the name of one and shows from outside that it is not one here.
 */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { CommitBatch } from '../../src/index.ts';
import { MemoryPlace, MemoryStore } from '../../src/testing/index.ts';
import {
  expectStates,
  failure,
  listen,
  newDirectory,
  OPERATORS,
  openEngine,
} from '../engine/support/engine.ts';
import { LatchedStore, Shelf } from '../engine/support/latched-store.ts';
import { at, expectExactAfterReplay, modelOf } from './support/events.ts';
import { liveAndDie, startLife } from './support/lives.ts';

/** Its process is stopped in the middle of a commit while `stalled` is set: what it sends arrives when that resolves. */
class StallingStore extends MemoryStore {
  stalled: Promise<void> | undefined;
  readonly reached = Promise.withResolvers<void>();

  override async commit(batch: CommitBatch): Promise<void> {
    if (this.stalled !== undefined) this.reached.resolve();
    await this.stalled;
    return super.commit(batch);
  }
}

/** Flips the last bit of the one place in the segments where `text` is: it begins with another letter then. */
function flipBit(directory: string, text: string): void {
  let places = 0;
  for (const name of readdirSync(directory).filter((file) => file.startsWith('segment-'))) {
    const bytes = readFileSync(join(directory, name));
    const place = bytes.indexOf(text);
    if (place === -1) continue;
    bytes[place]! ^= 1;
    places++;
    writeFileSync(join(directory, name), bytes);
  }
  expect(places).toBe(1);
}

/** Resolves when whatever was settled before has been acted upon. */
function aTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('drain, then fence: the store is let go when what is under way has arrived', async () => {
  const shelf = new Shelf();
  const store = new LatchedStore(shelf);
  const engine = await openEngine({ store, checkpoint: { everyEvents: 3 } });
  store.isHolding = true;
  const events = Array.from({ length: 50 }, (_, n) => at(`s${n % 5}`, n));
  const pushes = events.map((event) => engine.push(event));
  const closed = engine.close().then(() => undefined);
  for (let count = 0; ; count++) {
    const held = await Promise.race([store.held(), closed]);
    if (held === undefined) {
      expect(count).toBeGreaterThan(0);
      break;
    }
    expect(store.isClosed).toBe(false);
    held.settle();
  }
  await Promise.all(pushes);
  expect(store.isClosed).toBe(true);
  const next = await openEngine({ store: new LatchedStore(shelf) });
  expect(next.position('src')).toBe(50n);
  await expectStates(next, modelOf(events));
});

test('a late acknowledgement after release changes nothing', async () => {
  const store = new LatchedStore();
  const engine = await openEngine({ store, operators: OPERATORS.faulty, onPoison: 'fail' });
  const heard = listen(engine, 'durable', 'frontier');
  store.isHolding = true;
  const pushed = failure(engine.push(at('a', 0), { until: 'durable' }));
  const held = await store.held();
  await engine.push(at('a', 1, 'throw'));
  expect((await pushed).code).toBe('ERR_TIDEMARK_OPERATOR');
  expect((await failure(engine.close())).code).toBe('ERR_TIDEMARK_OPERATOR');
  const before = engine.metrics().checkpoints;
  held.settle();
  await aTurn();
  // Whoever opened the store since may have told of more.
  expect(heard).toEqual([]);
  expect(engine.metrics().checkpoints).toEqual(before);
  expect(store.commits).toBe(1);
});

test('a stalled writer that wakes after its fence is refused, though nothing of its own is left', async () => {
  const place = new MemoryPlace(1);
  const store = new StallingStore(place);
  const stalling = await openEngine({ store });
  await stalling.push([at('a', 0), at('b', 1)]);
  await stalling.checkpoint();
  const wake = Promise.withResolvers<void>();
  store.stalled = wake.promise;
  const late = failure(stalling.push(at('a', 2, 'from the stalled one'), { until: 'durable' }));
  await store.reached.promise;
  const events = [at('a', 0), at('b', 1), at('a', 2), at('b', 3)];
  const next = await openEngine({ store: new MemoryStore(place) });
  await expectExactAfterReplay(next, events);
  const kept = () => [
    ...['a', 'b'].map((stream) =>
      place.checkpoints.list(stream).map((state) => place.generations.get(state)),
    ),
    place.frontiers,
  ];
  // Retention has collected all that the stalled writer knew.
  expect(kept()).toEqual([[2n], [2n], new Map([['src', 4n]])]);
  wake.resolve();
  expect(await late).toMatchObject({ code: 'ERR_TIDEMARK_FENCED', accepted: 1 });
  expect((await failure(stalling.close())).code).toBe('ERR_TIDEMARK_FENCED');
  expect(kept()).toEqual([[2n], [2n], new Map([['src', 4n]])]);
  await next.push(at('a', 4), { until: 'durable' });
  await expectStates(next, modelOf([...events, at('a', 4)]));
});

test('a lower generation never fences a higher one', async () => {
  const directory = await newDirectory();
  const path = join(directory, 'SUPERBLOCK');
  const events = [0, 1, 2, 3].map((offset) => at('a', offset));
  for (const event of events.slice(0, 3)) {
    const engine = await openEngine({ directory });
    await engine.push(event);
    await engine.close();
    // From a backup of the first life, say, which knew of no other.
    if (event === events[0]) copyFileSync(path, `${directory}-superblock`);
  }
  copyFileSync(`${directory}-superblock`, path);
  const next = await openEngine({ directory });
  expect(next.generation).toBeGreaterThan(3n);
  expect(next.receipt.streams).toMatchObject([{ stream: 'a', sequence: 3n, generation: 3n }]);
  await expectExactAfterReplay(next, events);
  expect(next.metrics().events).toMatchObject({ applied: 1, dropped: 0 });
});

test('two processes recover the same stream: one is refused', async () => {
  const directory = await newDirectory();
  const events = [at('a', 0), at('a', 1), at('a', 2)];
  await liveAndDie(directory, [{ push: events.slice(0, 2) }, { checkpoint: null }]);
  const steps = [{ push: events }, { checkpoint: null }];
  const both = [0, 1].map(() => startLife({ directory, steps }));
  const outcomes = await Promise.all(both.map(({ outcome }) => outcome));
  expect(outcomes).toContainEqual({ done: true });
  expect(outcomes).toContainEqual({ refused: 'ERR_TIDEMARK_DIRECTORY_LOCKED' });
  await Promise.all(both.map((life) => life.kill()));
  const next = await openEngine({ directory });
  // The one that was refused has not counted.
  expect(next.generation).toBe(3n);
  await expectStates(next, modelOf(events));
});

test('a name is reused after it was forgotten', async () => {
  const directory = await newDirectory();
  const old = [at('a', 0, 'old'), at('b', 1), at('a', 2, 'old'), at('a', 3, 'old')];
  const steps = old.flatMap((event) => [{ push: [event] }, { checkpoint: null }]);
  await liveAndDie(directory, [...steps, { forget: 'a' }]);
  // Shorter than the old one ever was: by its numbers, everything of that would be newer.
  const anew = [at('a', 4, 'new'), at('b', 5)];
  await liveAndDie(directory, [{ push: anew }, { checkpoint: null }]);
  const next = await openEngine({ directory });
  expect(next.receipt.streams.find(({ stream }) => stream === 'a')).toMatchObject({
    sequence: 1n,
    fellBack: 0,
  });
  expect(next.position('src')).toBe(6n);
  await expectStates(next, modelOf([at('b', 1), ...anew]));
});

test('a retry that reuses a name with other bytes replaces what was there', async () => {
  const directory = await newDirectory();
  const records = (third: string) => [at('a', 0, 'one'), at('a', 1, 'two'), at('a', 2, third), at('b', 3)];
  const steps = records('broken').flatMap((event) => [{ push: [event] }, { checkpoint: null }]);
  await liveAndDie(directory, steps);
  flipBit(directory, 'broken');
  // The third event again, by another generation and mended: the same stream and sequence, other bytes.
  await liveAndDie(directory, [{ push: records('mended') }, { checkpoint: null }]);
  // The disk reads right again, and both are there.
  flipBit(directory, 'croken');
  const next = await openEngine({ directory });
  expect(next.receipt.streams).toContainEqual({ stream: 'a', sequence: 3n, generation: 2n, fellBack: 0 });
  expect(next.position('src')).toBe(4n);
  await expectStates(next, modelOf(records('mended')));
});

test('an older asynchronous write after a newer flush changes nothing', async () => {
  const shelf = new Shelf();
  const store = new LatchedStore(shelf);
  const engine = await openEngine({ store, checkpoint: { everyEvents: 1 } });
  const heard = listen(engine, 'durable', 'frontier');
  store.isHolding = true;
  await engine.push(at('a', 0));
  const older = await store.held();
  let isDurable = false;
  const newer = engine.push(at('a', 1), { until: 'durable' }).then(() => {
    isDurable = true;
  });
  const flushed = engine.checkpoint('a');
  while (engine.metrics().checkpoints.stored < 2) await aTurn();
  // The flush does not overtake: two writes of a stream are never on their way at once.
  expect(store.commits).toBe(1);
  expect((await engine.latest('a'))?.id.sequence).toBe(2n);
  older.settle();
  const next = await store.held();
  expect(heard).toMatchObject([
    { name: 'durable', sequence: 1n },
    { name: 'frontier', offset: 1n },
  ]);
  expect(isDurable).toBe(false);
  expect((await engine.latest('a'))?.id.sequence).toBe(2n);
  expect(next.batch.frames.map(({ sequence }) => sequence)).toEqual([2n]);
  store.isHolding = false;
  next.settle();
  await Promise.all([newer, flushed]);
  await engine.close();
  expect(shelf.streams.get('a')?.map(({ sequence }) => sequence)).toEqual([1n, 2n]);
  expect(shelf.frontiers).toEqual(new Map([['src', 2n]]));
});
