/** One turn of a shard's loop: its order, its limits, and when it sleeps. */
import { describe, expect, test } from 'vitest';
import { WORD } from '../../src/memory/layout.ts';
import { type HarnessOptions, type Pushed, ShardHarness, storedIn } from '../support/shard-harness.ts';
import { counter } from '../support/shard-operators.ts';

function started(options: Partial<HarnessOptions> = {}): ShardHarness {
  return ShardHarness.started({ factory: () => [counter()], ...options });
}

function kinds(harness: ShardHarness): string[] {
  return harness
    .run()
    .map((completion) =>
      'stream' in completion ? `${completion.kind} ${completion.stream}` : completion.kind,
    );
}

describe('the order of what is published', () => {
  test('is lows, their frame, the reports of sources, the answer', () => {
    const harness = started({ policy: { everyEvents: 2 } });
    harness.push({ stream: 'a', source: 'x', offset: 1n });
    harness.push({ stream: 'a', source: 'y', offset: 2n });
    harness.push({ stream: 'b', source: 'x', offset: 3n });
    harness.push({ stream: 'c', isDurable: true });
    harness.requestAll(1);
    expect(kinds(harness)).toEqual([
      'low a',
      'low a',
      'stored a',
      'stored c',
      'low b',
      'stored b',
      'source',
      'source',
      'checkpointed',
    ]);
  });

  test('has the checkpoint with which a stream goes on before the next event is read, which may end the thread', () => {
    const told: string[] = [];
    const harness = ShardHarness.started({
      poison: { onPoison: 'quarantine', attemptsMax: 1 },
      factory: (stream) => [
        counter('c', () => {
          if (stream === 'bad') throw new Error('on purpose');
          for (const completion of harness.take())
            told.push('stream' in completion ? `${completion.kind} ${completion.stream}` : completion.kind);
        }),
      ],
    });
    harness.push({ stream: 'bad' });
    harness.run();
    harness.take();
    harness.resume('bad');
    harness.push({ stream: 'next' });
    harness.run();
    expect(told).toEqual(['stored bad']);
  });

  test('has the report of a source after the frame that raised its open low', () => {
    const harness = started({ policy: { everyMs: 10 } });
    harness.push({ stream: 'a', source: 'x', offset: 1n });
    harness.run();
    harness.clock.ms += 5;
    harness.push({ stream: 'b', source: 'x', offset: 8n });
    expect(harness.run()).toMatchObject([{ kind: 'source', openLow: 1n, read: 2, lastOffset: 8n }]);
    harness.clock.ms += 5;
    expect(harness.run()).toMatchObject([
      { kind: 'low', stream: 'a', offset: 1n },
      { kind: 'stored', stream: 'a' },
      { kind: 'source', openLow: 8n, read: 2, lastOffset: 8n },
    ]);
  });

  test('frames of a turn carry the count of events seen up to their place in it', () => {
    const harness = started({ policy: { everyEvents: 2 } });
    for (let i = 0; i < 5; i++) harness.push({ stream: 'a' });
    expect(storedIn(harness.run()).map(({ seen, sequence }) => [seen, sequence])).toEqual([
      [2, 2n],
      [4, 4n],
    ]);
  });
});

describe('a request to checkpoint everything', () => {
  test('covers dirty streams only', () => {
    const harness = started();
    harness.push({ stream: 'a' });
    harness.requestStream('a');
    harness.run();
    harness.push({ stream: 'b' });
    harness.requestAll(1);
    expect(kinds(harness)).toEqual(['stored b', 'checkpointed']);
    harness.requestAll(2);
    expect(kinds(harness)).toEqual(['checkpointed']);
  });

  test('is answered only when all that was pushed before it is read', () => {
    const harness = started({ ringBytes: 2 ** 18 });
    for (let i = 0; i < 1_500; i++) harness.push({ stream: 'a', payload: '' });
    harness.requestAll(1);
    harness.shard.step();
    expect(harness.take()).toEqual([]);
    harness.shard.step();
    expect(harness.take()).toMatchObject([{ kind: 'stored', seen: 1_500 }, { kind: 'checkpointed' }]);
  });

  test('does not wait for what is pushed after it', () => {
    const harness = started({ ringBytes: 2 ** 18 });
    harness.push({ stream: 'a', payload: '' });
    harness.requestAll(1);
    for (let i = 0; i < 2_000; i++) harness.write({ stream: 'a' });
    harness.ring.publish();
    harness.shard.step();
    expect(harness.take()).toMatchObject([{ kind: 'stored', seen: 1_023 }, { kind: 'checkpointed' }]);
  });

  test('stands for the ones that came before it, also when their number wraps', () => {
    const harness = started();
    harness.requestAll(2 ** 31 - 1);
    expect(harness.run()).toEqual([{ kind: 'checkpointed', request: 2 ** 31 - 1 }]);
    harness.requestAll(-(2 ** 31));
    harness.requestAll(-(2 ** 31) + 1);
    expect(harness.run()).toEqual([{ kind: 'checkpointed', request: -(2 ** 31) + 1 }]);
  });

  test('ignores the pause between checkpoints, and begins a new one', () => {
    const harness = started({ policy: { everyEvents: 1, minPauseMs: 100 } });
    harness.push({ stream: 'a' });
    expect(kinds(harness)).toEqual(['stored a']);
    harness.clock.ms += 90;
    harness.push({ stream: 'a' });
    expect(kinds(harness)).toEqual([]);
    harness.requestAll(1);
    expect(kinds(harness)).toEqual(['stored a', 'checkpointed']);
    harness.push({ stream: 'a' });
    harness.clock.ms += 90;
    expect(kinds(harness)).toEqual([]);
    harness.clock.ms += 10;
    expect(kinds(harness)).toEqual(['stored a']);
  });
});

describe('a request to checkpoint one stream', () => {
  test('keeps its place among the events of the turn, whose end it waits for', () => {
    const harness = started();
    harness.push({ stream: 'a' });
    harness.requestStream('a');
    harness.push({ stream: 'a' });
    expect(storedIn(harness.run())).toMatchObject([{ stream: 'a', seen: 2 }]);
  });

  test('is answered as covered when the stream is clean or has no events', () => {
    const harness = started();
    harness.requestStream('a');
    expect(harness.run()).toEqual([{ kind: 'covered', stream: 'a', seen: 0 }]);
  });

  test('leads to one frame however often it is made in a turn', () => {
    const harness = started();
    harness.push({ stream: 'a', isDurable: true });
    harness.requestStream('a');
    harness.push({ stream: 'a', isDurable: true });
    harness.requestStream('a');
    expect(kinds(harness)).toEqual(['stored a']);
  });
});

describe('the limits of a turn', () => {
  test('are 1,024 records', () => {
    const harness = started();
    for (let i = 0; i < 1_100; i++) harness.push({ stream: 'a', payload: '' });
    harness.shard.step();
    // One record defined the stream.
    expect(harness.words.get(WORD.appliedLow)).toBe(1_023);
    harness.shard.step();
    expect(harness.words.get(WORD.appliedLow)).toBe(1_100);
  });

  test('are 2 milliseconds, looked at every 32 records', () => {
    const harness = started();
    harness.push({ stream: 'a' });
    harness.run();
    for (let i = 0; i < 200; i++) harness.push({ stream: 'a' });
    harness.clock.tickMs = 1.5;
    harness.shard.step();
    expect(harness.words.get(WORD.appliedLow)).toBe(1 + 64);
  });

  test('count streams and sources as records, and carry over what is left', () => {
    const harness = started({ ringBytes: 2 ** 17 });
    for (let i = 0; i < 600; i++) harness.push({ stream: `stream ${i}` });
    harness.run();
    expect(harness.words.get(WORD.appliedLow)).toBe(600);
  });
});

describe('the ring', () => {
  test('is released at the end of a turn, not before', () => {
    const used: number[] = [];
    const harness = ShardHarness.started({
      factory: () => [counter('c', () => void used.push(harness.ring.usedBytes))],
    });
    harness.push({ stream: 'a' });
    harness.push({ stream: 'a' });
    const written = harness.ring.usedBytes;
    harness.shard.step();
    expect(used).toEqual([written, written]);
    expect(harness.ring.usedBytes).toBe(0);
  });

  test('names the record that is being processed while operators run', () => {
    const seen: number[] = [];
    const harness = ShardHarness.started({
      factory: () => [counter('c', () => void seen.push(harness.words.get(WORD.currentEvent)))],
    });
    const before: number[] = [];
    harness.push({ stream: 'a' });
    for (let i = 0; i < 3; i++) {
      before.push(harness.ring.position);
      harness.push({ stream: 'a' });
    }
    harness.run();
    expect(seen.slice(1)).toEqual(before);
  });

  test('rings for a producer that waits, once a quarter of it is free', () => {
    const harness = started({ ringBytes: 2 ** 18 });
    harness.run();
    for (let i = 0; i < 4_600; i++) harness.push({ stream: 'a' });
    harness.words.set(WORD.spaceWanted, 1);
    harness.rings = 0;
    harness.shard.step();
    // 1,024 of these records are less than a quarter.
    expect(harness.rings).toBe(0);
    harness.shard.step();
    expect(harness.rings).toBe(1);
    harness.words.set(WORD.spaceWanted, 0);
    harness.shard.step();
    expect(harness.rings).toBe(1);
  });

  test('is drained of payloads of every length and alignment, as text and as bytes', () => {
    const texts: string[] = [];
    const payloads: number[][] = [];
    const harness = ShardHarness.started({
      factory: () => [
        counter('c', (event) => {
          texts.push(event.text());
          payloads.push([...event.payload]);
          expect(event.payload).toBe(event.payload);
        }),
      ],
    });
    const pushed = ['', 'a', 'äö', '\ufeffbom', '\u{1f600}'.repeat(9), 'x'.repeat(1_001)];
    // Around the length from which on a payload is seen where the ring has it.
    for (const length of [4_095, 4_096, 4_097, 20_000]) pushed.push('y'.repeat(length), 'short');
    for (const payload of pushed) harness.push({ stream: 'a', payload });
    harness.run();
    expect(texts).toEqual(pushed);
    expect(payloads).toEqual(pushed.map((text) => [...Buffer.from(text)]));
  });
});

describe('what operators see of an event', () => {
  test('is its payload as it was pushed, also when they have written into it and the event is tried again', () => {
    const seen: string[] = [];
    const harness = ShardHarness.started({
      poison: { onPoison: 'quarantine', attemptsMax: 3 },
      factory: () => [
        counter('c', ({ payload }) => {
          seen.push(Buffer.from(payload).toString());
          payload.fill(0);
          if (seen.length === 1) throw new Error('not yet');
        }),
      ],
    });
    harness.push({ stream: 'a', payload: 'first' });
    harness.push({ stream: 'a', payload: 'second' });
    harness.run();
    expect(seen).toEqual(['first', 'first', 'second']);
  });

  test('is what was pushed, and undefined for what was not', () => {
    const seen: unknown[] = [];
    const harness = ShardHarness.started({
      factory: () => [
        counter('c', ({ stream, sequence, watermarkNs, source, offset }) => {
          seen.push({ stream, sequence, watermarkNs, source, offset });
        }),
      ],
    });
    const events: Pushed[] = [
      { stream: 'a', sequence: 9n, watermarkNs: 2n ** 63n, source: 'x', offset: 2n ** 40n },
      { stream: 'b' },
      { stream: 'a', sequence: 10n },
    ];
    for (const event of events) harness.push(event);
    harness.run();
    expect(seen).toEqual([
      { stream: 'a', sequence: 9n, watermarkNs: 2n ** 63n, source: 'x', offset: 2n ** 40n },
      { stream: 'b', sequence: 1n, watermarkNs: 0n, source: undefined, offset: undefined },
      { stream: 'a', sequence: 10n, watermarkNs: 0n, source: undefined, offset: undefined },
    ]);
  });

  test('comes to the operators in the order of their array', () => {
    const calls: string[] = [];
    const harness = ShardHarness.started({
      factory: (stream) =>
        ['z', 'a', 'm'].map((name) => counter(name, () => void calls.push(`${stream} ${name}`))),
    });
    harness.push({ stream: 's' });
    harness.run();
    expect(calls).toEqual(['s z', 's a', 's m']);
  });
});

describe('sleep', () => {
  function sleepAfter(harness: ShardHarness, ms: number): number | undefined {
    harness.onSleep = () => undefined;
    harness.sleeps = [];
    harness.shard.sleep(ms);
    return harness.sleeps[0];
  }

  test('lasts as long as it may when nothing is dirty', () => {
    const harness = started({ policy: { everyMs: 10, idleMs: 4 } });
    expect(sleepAfter(harness, 50)).toBe(50);
  });

  test('ends when the oldest dirty stream is due by age or the idlest by idleness', () => {
    const harness = started({ policy: { everyMs: 30, idleMs: 20 } });
    harness.push({ stream: 'a' });
    harness.run();
    expect(sleepAfter(harness, 50)).toBe(20);
    harness.clock.ms += 15;
    harness.push({ stream: 'a' });
    harness.run();
    expect(sleepAfter(harness, 50)).toBe(15);
    expect(sleepAfter(harness, 5)).toBe(5);
  });

  test('ends when a pause ends that holds a stream back', () => {
    const harness = started({ policy: { everyEvents: 1, minPauseMs: 25 } });
    harness.push({ stream: 'a' });
    harness.run();
    harness.clock.ms += 5;
    harness.push({ stream: 'a' });
    expect(harness.run()).toEqual([]);
    expect(sleepAfter(harness, 50)).toBe(20);
    harness.clock.ms += 20;
    expect(harness.run()).toMatchObject([{ kind: 'stored', seen: 2 }]);
  });

  test('does not happen when something is due already', () => {
    const harness = started({ policy: { everyMs: 10 } });
    harness.push({ stream: 'a' });
    harness.run();
    harness.clock.ms += 10;
    expect(sleepAfter(harness, 50)).toBeUndefined();
  });

  test('does not begin when there is an event, a request or an order to stop', () => {
    const harness = started();
    const idle: boolean[] = [];
    harness.onSleep = (_ms, isIdle) => void idle.push(isIdle());
    harness.shard.sleep(50);
    harness.push({ stream: 'a' });
    harness.shard.sleep(50);
    harness.run();
    harness.requestAll(1);
    harness.shard.sleep(50);
    harness.run();
    harness.shard.sleep(50);
    harness.stop();
    harness.shard.sleep(50);
    expect(idle).toEqual([true, false, false, true, false]);
    expect(harness.shard.isStopped).toBe(true);
  });
});

test('a turn in which nothing happens says so, and its heartbeat is counted', () => {
  const harness = started();
  // That it is ready is news in the first turn.
  harness.run();
  const before = harness.words.get(WORD.heartbeat);
  expect(harness.shard.step()).toBe(false);
  expect(harness.words.get(WORD.heartbeat)).toBe(before + 1);
  harness.push({ stream: 'a' });
  expect(harness.shard.step()).toBe(true);
  expect(harness.shard.step()).toBe(false);
});
