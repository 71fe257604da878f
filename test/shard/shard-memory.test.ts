/** What a shard does when its heap or its completion ring has no room: it waits for main, and main decides. */
import { describe, expect, test } from 'vitest';
import { WORD } from '../../src/memory/layout.ts';
import type { Operator } from '../../src/shard/operator.ts';
import { ShardStopped } from '../../src/shard/waiting.ts';
import { type Completion, ShardHarness, type Stored, storedIn } from '../support/shard-harness.ts';
import { counter } from '../support/shard-operators.ts';

const SLOT_BYTES = 100_000;

function large(bytes = SLOT_BYTES): Operator {
  return { kind: 'slot', name: 'large', version: 1, bytes, process: () => undefined };
}

/** A shard whose heap has room for about eight images or frames, and the frames that fill it; the last is small. */
function filled(): { harness: ShardHarness; held: Stored[] } {
  const factory = (stream: string): Operator[] => (stream === 'small' ? [counter()] : [large()]);
  const harness = ShardHarness.started({ factory });
  harness.push({ stream: 'small', isDurable: true });
  const small = storedIn(harness.run());
  const held: Stored[] = [];
  while (harness.arena.heapBytes - harness.words.get(WORD.heapUsed) >= SLOT_BYTES + 8_192) {
    harness.push({ stream: 's', isDurable: true });
    held.push(...storedIn(harness.run()));
    // It asks early, and is told that nothing can leave yet.
    if (harness.isMemoryAsked) harness.answerMemory(true);
  }
  expect(held.length).toBeGreaterThan(3);
  return { harness, held: [...held, ...small] };
}

describe('a checkpoint that finds no room', () => {
  test('waits until main gives a frame back', () => {
    const { harness, held } = filled();
    const published: Completion[] = [];
    harness.onSleep = (_ms, isIdle) => {
      expect(harness.isMemoryAsked).toBe(true);
      expect(harness.words.get(WORD.memoryWanted)).toBeGreaterThanOrEqual(SLOT_BYTES);
      expect(isIdle()).toBe(true);
      published.push(...harness.take());
      harness.giveBack(held.shift() as Stored);
      expect(isIdle()).toBe(false);
    };
    harness.push({ stream: 's', isDurable: true });
    harness.shard.step();
    expect(published).toEqual([]);
    expect(harness.sleeps).toHaveLength(1);
    expect(storedIn(harness.take())).toMatchObject([{ stream: 's' }]);
  });

  test('rings main before it sleeps', () => {
    const { harness, held } = filled();
    harness.run();
    harness.rings = 0;
    harness.onSleep = () => {
      expect(harness.rings).toBe(1);
      harness.giveBack(held.shift() as Stored);
    };
    harness.push({ stream: 's', isDurable: true });
    harness.shard.step();
  });

  test('asks again when what it was given is not enough', () => {
    const { harness, held } = filled();
    let asked = 0;
    harness.onSleep = () => {
      asked++;
      // The first answer comes without any frame: main counts bytes and cannot see how they are scattered.
      if (asked > 1) harness.giveBack(held.shift() as Stored);
      harness.answerMemory(false);
    };
    harness.push({ stream: 's', isDurable: true });
    harness.shard.step();
    expect(asked).toBe(2);
    expect(storedIn(harness.take())).toHaveLength(1);
  });

  test('fails with ERR_TIDEMARK_MEMORY_FULL when main denies', () => {
    const { harness } = filled();
    harness.onSleep = () => harness.answerMemory(true);
    harness.push({ stream: 's', isDurable: true });
    expect(() => harness.shard.step()).toThrow(
      expect.objectContaining({
        code: 'ERR_TIDEMARK_MEMORY_FULL',
        message: expect.stringMatching(/a checkpoint of stream 's'.*raise memory\.bytes/),
      }),
    );
  });

  test('takes what main gave back together with a denial', () => {
    const { harness, held } = filled();
    harness.onSleep = () => {
      harness.giveBack(held.shift() as Stored);
      harness.answerMemory(true);
    };
    harness.push({ stream: 's', isDurable: true });
    harness.shard.step();
    expect(storedIn(harness.take())).toHaveLength(1);
  });

  test('takes what main gives back at the very moment at which it denies', () => {
    const { harness, held } = filled();
    let isMoment = false;
    harness.onSleep = () => {
      // Too small to help, but it wakes the shard.
      harness.giveBack(held.pop() as Stored);
      isMoment = true;
    };
    harness.watched.onLook = (word) => {
      if (word !== WORD.memoryAnswered || !isMoment) return;
      isMoment = false;
      harness.giveBack(held.shift() as Stored);
      harness.answerMemory(true);
    };
    harness.push({ stream: 's', isDurable: true });
    harness.shard.step();
    expect(storedIn(harness.take())).toHaveLength(1);
    expect(harness.sleeps).toHaveLength(1);
  });

  test('is denied by the answer to its newest request only', () => {
    const { harness, held } = filled();
    const request = harness.words.get(WORD.memoryRequest);
    const answers: number[] = [];
    harness.onSleep = () => {
      answers.push(harness.words.get(WORD.memoryRequest) - request);
      if (answers.length === 2) harness.giveBack(held.shift() as Stored);
      // The number of an older request stays behind as the denied one.
      if (answers.length === 1) harness.words.set(WORD.memoryDenied, request);
      harness.answerMemory(false);
    };
    harness.push({ stream: 's', isDurable: true });
    harness.shard.step();
    expect(answers).toEqual([1, 2]);
  });

  test('ends with ShardStopped when the shard is told to stop meanwhile', () => {
    const { harness } = filled();
    harness.onSleep = (_ms, isIdle) => {
      harness.stop();
      expect(isIdle()).toBe(false);
    };
    harness.push({ stream: 's', isDurable: true });
    expect(() => harness.shard.step()).toThrow(ShardStopped);
  });
});

describe('an image that finds no room', () => {
  test('is refused when the largest frame would no longer fit beside it', () => {
    const harness = ShardHarness.started({ factory: () => [large(200_000)] });
    harness.onSleep = () => harness.answerMemory(true);
    let streams = 0;
    expect(() => {
      for (;;) {
        harness.push({ stream: `${streams}` });
        harness.run();
        streams++;
      }
    }).toThrow(
      expect.objectContaining({
        code: 'ERR_TIDEMARK_MEMORY_FULL',
        message: expect.stringMatching(/the state of stream '\d+' and one checkpoint of it/),
      }),
    );
    expect(streams).toBeGreaterThan(1);
    const free = harness.arena.heapBytes - harness.words.get(WORD.heapUsed);
    // What keeps a full shard alive: one checkpoint can still be taken, leave, be taken again.
    expect(free).toBeGreaterThan(200_000);
  });

  test('leaves room for the largest frame of any stream, so that every one can still be checkpointed', () => {
    const sizes = [1_000, 150_000, 8, 40_000];
    const harness = ShardHarness.started({
      factory: (stream) => [large(sizes[Number(stream) % sizes.length])],
      memoryBytes: 2 ** 21,
    });
    harness.onSleep = () => harness.answerMemory(true);
    const names: string[] = [];
    expect(() => {
      for (;;) {
        harness.push({ stream: `${names.length}` });
        harness.run();
        names.push(`${names.length}`);
      }
    }).toThrow(expect.objectContaining({ code: 'ERR_TIDEMARK_MEMORY_FULL' }));
    const used = harness.words.get(WORD.heapUsed);
    expect(harness.arena.heapBytes - used).toBeGreaterThan(150_000);
  });

  test('of a stream with a new source needs room for old and new at once', () => {
    const harness = ShardHarness.started({ factory: () => [large(345_000)], memoryBytes: 2 ** 21 });
    harness.push({ stream: 's' });
    harness.push({ stream: 't' });
    harness.run();
    const frames: Stored[] = [];
    harness.push({ stream: 's', isDurable: true });
    frames.push(...storedIn(harness.run()));
    harness.push({ stream: 't', isDurable: true });
    frames.push(...storedIn(harness.run()));
    let asked = 0;
    harness.onSleep = () => {
      asked++;
      for (const frame of frames.splice(0)) harness.giveBack(frame);
      harness.answerMemory(false);
    };
    harness.push({ stream: 's', source: 'x', offset: 1n, isDurable: true });
    harness.run();
    expect(asked).toBeGreaterThan(0);
    expect(harness.words.get(WORD.droppedLow)).toBe(0);
  });
});

test('an image that was laid out anew leaves no room taken behind', () => {
  const harness = ShardHarness.started({ factory: () => [large()] });
  for (let i = 0; i < 50; i++) harness.push({ stream: 's', source: `source ${i}`, offset: 0n });
  harness.run();
  expect(harness.sleeps).toEqual([]);
  expect(harness.words.get(WORD.heapUsed)).toBeLessThan(SLOT_BYTES + 8_192);
});

describe('relief', () => {
  test('is asked for once the heap is three quarters full, before anything waits', () => {
    const harness = ShardHarness.started({ factory: () => [large()] });
    const shares: number[] = [];
    while (!harness.isMemoryAsked) {
      harness.push({ stream: 's', isDurable: true });
      harness.run();
      shares.push(harness.words.get(WORD.heapUsed) / harness.arena.heapBytes);
    }
    expect(shares.at(-1)).toBeGreaterThan(3 / 4);
    expect(shares.slice(0, -1).every((share) => share <= 3 / 4)).toBe(true);
    expect(harness.sleeps).toEqual([]);
    expect(harness.words.get(WORD.memoryWanted)).toBe(Math.floor(harness.arena.heapBytes / 8));
  });

  test('that was denied is not asked for again before more is in use', () => {
    const harness = ShardHarness.started({ factory: () => [large()] });
    while (!harness.isMemoryAsked) {
      harness.push({ stream: 's', isDurable: true });
      harness.run();
    }
    harness.answerMemory(true);
    for (let turn = 0; turn < 10; turn++) harness.shard.step();
    expect(harness.isMemoryAsked).toBe(false);
    harness.push({ stream: 's', isDurable: true });
    harness.run();
    expect(harness.isMemoryAsked).toBe(true);
  });
});

describe('a full completion ring', () => {
  test('blocks the shard until main has read some of it, and nothing is lost or reordered', () => {
    const harness = ShardHarness.started({ factory: () => [counter()], policy: { everyEvents: 1 } });
    const { completionEntries } = harness.arena;
    const events = completionEntries * 3;
    const published: Completion[] = [];
    let blocked = 0;
    harness.onSleep = (_ms, isIdle) => {
      blocked++;
      expect(isIdle()).toBe(true);
      published.push(...harness.take());
      expect(isIdle()).toBe(false);
    };
    for (let i = 0; i < events; i++) harness.push({ stream: 's', source: 'x', offset: BigInt(i) });
    harness.shard.step();
    published.push(...harness.take());
    expect(blocked).toBeGreaterThan(3);
    const expected = Array.from({ length: events }, (_, i) => [
      ['low', BigInt(i)],
      ['stored', BigInt(i + 1)],
    ]).flat();
    expect(
      published
        .filter((completion) => completion.kind === 'low' || completion.kind === 'stored')
        .map((entry) => [entry.kind, entry.kind === 'low' ? entry.offset : entry.sequence]),
    ).toEqual(expected);
    expect(published.at(-1)).toMatchObject({ kind: 'source', openLow: undefined, read: events });
  });

  test('ends with ShardStopped when the shard is told to stop', () => {
    const harness = ShardHarness.started({ factory: () => [counter()], policy: { everyEvents: 1 } });
    harness.onSleep = () => harness.stop();
    for (let i = 0; i < harness.arena.completionEntries + 1; i++) harness.push({ stream: 's' });
    expect(() => harness.shard.step()).toThrow(ShardStopped);
  });
});

test('frames given back are reused: a shard runs for ever in the room of a few frames', () => {
  const harness = ShardHarness.started({ factory: () => [large(), counter()], policy: { everyEvents: 1 } });
  const used = new Set<number>();
  for (let i = 0; i < 2_000; i++) {
    harness.push({ stream: 's' });
    for (const frame of storedIn(harness.run())) {
      used.add(frame.address);
      harness.giveBack(frame);
    }
  }
  expect(used.size).toBeLessThanOrEqual(2);
  expect(harness.sleeps).toEqual([]);
});
