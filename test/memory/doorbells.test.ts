import { describe, expect, test } from 'vitest';
import { ControlWords, MainBell, ringShard, ShardBell } from '../../src/memory/doorbells.ts';
import { MAIN_DOORBELL, MAIN_WAITING, WORD } from '../../src/memory/layout.ts';
import { type SmallEngine, smallEngine } from './support/arena.ts';
import type { BellTask } from './support/bell-worker.ts';
import { Latch } from './support/latch.ts';
import { Peer } from './support/peer.ts';

const BELL_WORKER = new URL('./support/bell-worker.ts', import.meta.url);

function startPeer(engine: SmallEngine, scenario: BellTask['scenario'], rounds = 0) {
  const reached = new Latch();
  const proceed = new Latch();
  const task: BellTask = { scenario, reached: reached.cell, proceed: proceed.cell, rounds };
  return { reached, proceed, peer: new Peer(BELL_WORKER, engine, task) };
}

/** Lets everything happen that a ring has already caused. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("a shard's bell", () => {
  test('a ring between the second look and the wait ends the wait', async () => {
    const engine = smallEngine();
    const words = new ControlWords(engine.memory, engine.arena);
    const { reached, proceed, peer } = startPeer(engine, 'sleep');
    await using _ = peer;
    reached.wait();
    expect(words.get(WORD.sleeping)).toBe(1);
    const before = words.get(WORD.wake);
    ringShard(engine.memory, engine.arena);
    expect(words.get(WORD.wake)).toBe(before + 1);
    proceed.open();
    expect(await peer.report()).toBe('woken');
    expect(words.get(WORD.sleeping)).toBe(0);
  });

  test('a ring after the second look ends the wait, whether it has begun or not', async () => {
    const engine = smallEngine();
    const { reached, proceed, peer } = startPeer(engine, 'sleep');
    await using _ = peer;
    reached.wait();
    proceed.open();
    ringShard(engine.memory, engine.arena);
    expect(await peer.report()).toBe('woken');
  });

  test('what was published before the flag was raised is seen by the second look', async () => {
    const engine = smallEngine();
    const words = new ControlWords(engine.memory, engine.arena);
    ringShard(engine.memory, engine.arena);
    // Nobody sleeps, so the ring costs nothing and leaves nothing.
    expect(words.get(WORD.wake)).toBe(0);
    const { peer } = startPeer(engine, 'sleep-when-work-is-there');
    await using _ = peer;
    expect(await peer.report()).toBe('awake');
    expect(words.get(WORD.sleeping)).toBe(0);
  });

  test('a sleep that nobody ends is over after its time and lowers the flag', () => {
    const engine = smallEngine();
    const words = new ControlWords(engine.memory, engine.arena);
    let flagAtLook = -1;
    new ShardBell(engine.memory, engine.arena).sleep(1, () => {
      flagAtLook = words.get(WORD.sleeping);
      return true;
    });
    expect(flagAtLook).toBe(1);
    expect(words.get(WORD.sleeping)).toBe(0);
  });
});

describe("the main thread's bell", () => {
  test('a ring after arming calls once, however often it rings', async () => {
    const engine = smallEngine();
    const shard = new ShardBell(engine.memory, engine.arena);
    let calls = 0;
    new MainBell(engine.memory).arm(() => calls++);
    for (let i = 0; i < 3; i++) shard.ringMain();
    expect(calls).toBe(0);
    await settle();
    expect(calls).toBe(1);
  });

  test('rings once for each wait, and again for the next', async () => {
    const { memory, arena } = smallEngine();
    const bell = new MainBell(memory);
    const shards = [new ShardBell(memory, arena), new ShardBell(memory, arena)];
    const rung = (): number => Atomics.load(memory.i32, MAIN_DOORBELL >>> 2);
    for (let wait = 1; wait <= 3; wait++) {
      let calls = 0;
      bell.arm(() => void calls++);
      for (const shard of [...shards, ...shards]) shard.ringMain();
      expect(rung()).toBe(wait);
      expect(Atomics.load(memory.i32, MAIN_WAITING >>> 2)).toBe(0);
      await settle();
      expect(calls).toBe(1);
    }
  });

  test('a ring of another thread, before the arming turn is over, calls', async () => {
    const engine = smallEngine();
    const { reached, proceed, peer } = startPeer(engine, 'ring-main');
    await using _ = peer;
    const called = new Promise((resolve) => new MainBell(engine.memory).arm(() => resolve('called')));
    reached.open();
    proceed.wait();
    expect(await called).toBe('called');
  });

  test('arming twice is arming once', async () => {
    const engine = smallEngine();
    const bell = new MainBell(engine.memory);
    const calls: string[] = [];
    bell.arm(() => calls.push('first'));
    bell.arm(() => calls.push('second'));
    new ShardBell(engine.memory, engine.arena).ringMain();
    await settle();
    expect(calls).toEqual(['first']);
  });

  test('a ring while nobody waits leaves nothing and does not end the next wait', async () => {
    const engine = smallEngine();
    const shard = new ShardBell(engine.memory, engine.arena);
    const bell = new MainBell(engine.memory);
    shard.ringMain();
    expect(Atomics.load(engine.memory.i32, MAIN_DOORBELL >>> 2)).toBe(0);
    let calls = 0;
    bell.arm(() => calls++);
    await settle();
    expect(calls).toBe(0);
    expect(Atomics.load(engine.memory.i32, MAIN_WAITING >>> 2)).toBe(1);
    bell.disarm();
    await settle();
    expect(calls).toBe(1);
    expect(Atomics.load(engine.memory.i32, MAIN_WAITING >>> 2)).toBe(0);
  });

  test('can be armed again by what it calls', async () => {
    const engine = smallEngine();
    const shard = new ShardBell(engine.memory, engine.arena);
    const bell = new MainBell(engine.memory);
    let calls = 0;
    const onRing = (): void => {
      if (++calls < 3) bell.arm(onRing);
      shard.ringMain();
    };
    bell.arm(onRing);
    shard.ringMain();
    await settle();
    expect(calls).toBe(3);
  });
});

test('neither side misses a ring when two threads take turns, each asleep between them', async () => {
  const rounds = 20_000;
  const engine = smallEngine();
  const words = new ControlWords(engine.memory, engine.arena);
  const bell = new MainBell(engine.memory);
  const { peer } = startPeer(engine, 'alternate', rounds);
  await using _ = peer;
  let wake: () => void = () => undefined;
  for (let round = 1; round <= rounds; round++) {
    words.set(WORD.ingestWrite, round);
    ringShard(engine.memory, engine.arena);
    for (;;) {
      bell.arm(() => wake());
      if (words.get(WORD.completionWrite) === round) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  expect(await peer.report()).toBe('alternated');
});
