/** A stream that is over leaves its shard: what is told of it, what becomes free, and what does not happen any more. */
import { describe, expect, test } from 'vitest';
import { decodeFrame } from '../../src/codec/frame.ts';
import { firstHandover } from '../../src/engine/handover.ts';
import type { Operator } from '../../src/index.ts';
import { WORD } from '../../src/memory/layout.ts';
import { type HarnessOptions, ShardHarness, storedIn } from '../support/shard-harness.ts';
import { counter, mixer } from '../support/shard-operators.ts';

function started(options: Partial<HarnessOptions> = {}): ShardHarness {
  return ShardHarness.started({ factory: () => [counter()], ...options });
}

describe('what is told', () => {
  test('are the lows of the stream, that it is forgotten, and only then that its sources have risen', () => {
    const harness = started();
    harness.push({ stream: 'a', source: 'x', offset: 1n });
    harness.push({ stream: 'a', source: 'y', offset: 2n });
    harness.push({ stream: 'b', source: 'x', offset: 3n });
    harness.run();
    harness.forget('a');
    expect(harness.run()).toMatchObject([
      { kind: 'low', stream: 'a', source: 'x', offset: 1n },
      { kind: 'low', stream: 'a', source: 'y', offset: 2n },
      { kind: 'forgotten', stream: 'a' },
      { kind: 'source', source: 'x', openLow: 3n },
      { kind: 'source', source: 'y', openLow: undefined },
    ]);
  });

  test('has no lows of what a frame covers', () => {
    const harness = started({ policy: { everyEvents: 1 } });
    harness.push({ stream: 'a', source: 'x', offset: 1n });
    harness.run();
    harness.forget('a');
    expect(harness.run()).toEqual([{ kind: 'forgotten', stream: 'a' }]);
  });

  test('rings main, which may sleep', () => {
    const harness = started();
    harness.push({ stream: 'a' });
    harness.run();
    const { rings } = harness;
    harness.forget('a');
    harness.run();
    expect(harness.rings).toBeGreaterThan(rings);
  });

  test('is the last of the stream, however it was due: awaited, by age, by idleness, after a pause, with all', () => {
    const harness = started({ policy: { everyMs: 10, idleMs: 10, minPauseMs: 10 } });
    harness.push({ stream: 'a', isDurable: true });
    expect(storedIn(harness.run())).toHaveLength(1);
    harness.push({ stream: 'a', isDurable: true });
    harness.forget('a');
    harness.requestAll(1);
    expect(harness.run().map(({ kind }) => kind)).toEqual(['forgotten', 'checkpointed']);
    harness.clock.ms += 100;
    expect(harness.run()).toEqual([]);
    expect(harness.shard.step()).toBe(false);
  });
});

describe('what comes behind', () => {
  test('is a new stream of the name, from nothing, in the same turn', () => {
    const harness = started();
    for (let n = 0; n < 3; n++) harness.push({ stream: 'a', sequence: 50n, source: 'x', offset: 7n });
    harness.forget('a');
    harness.push({ stream: 'a', source: 'x', offset: 7n, isDurable: true });
    const [frame] = storedIn(harness.run());
    const state = decodeFrame(frame?.frame as Uint8Array);
    expect(state).toMatchObject({ id: { sequence: 1n }, eventCount: 1n });
    expect(Buffer.from(state.operatorStates.get('count') ?? []).readBigUInt64LE()).toBe(1n);
    expect(frame?.seen).toBe(1);
  });

  test('may be another stream under its number, once that is told', () => {
    const harness = started({ policy: { everyEvents: 1 } });
    harness.push({ stream: 'a' });
    harness.run();
    harness.forget('a');
    harness.run();
    harness.push({ stream: 'b' });
    expect(harness.streams).toEqual(['b']);
    expect(storedIn(harness.run()).map(({ stream, seen }) => [stream, seen])).toEqual([['b', 1]]);
  });
});

describe('the heap', () => {
  test('takes any number of streams, one after the other', () => {
    const bytes = 2 ** 16;
    const harness = started({ factory: () => [mixer('big', bytes).operator] });
    for (let n = 0; n < 200; n++) {
      harness.push({ stream: `s${n}`, payload: 'x' });
      harness.forget(`s${n}`);
      harness.run();
    }
    expect(harness.words.get(WORD.heapUsed)).toBe(0);
    expect(harness.streams).toHaveLength(1);
  });

  test('has nothing to take back of a stream that never had an image', () => {
    const harness = started();
    harness.requestStream('a');
    harness.run();
    harness.forget('a');
    expect(harness.run()).toEqual([{ kind: 'forgotten', stream: 'a' }]);
  });
});

describe('a stream that was to be forgotten when the thread before ended', () => {
  /** Of its source 'x' two events were read, of which the one at 5 is in no checkpoint. */
  function passingOver(options: Partial<HarnessOptions> = {}): ShardHarness {
    return started({
      policy: { everyEvents: 1 },
      factory: () => [
        {
          ...counter(),
          process: () => {
            throw new Error('it is not brought back');
          },
        } as Operator,
      ],
      handover: (handover) => ({
        ...handover,
        streams: {
          ...firstHandover([{ stream: { name: 'a' }, address: 0, bytes: 0 }], false).streams,
          isPassedOver: Uint8Array.of(1),
        },
        sources: { names: ['x'], read: Float64Array.of(2), lows: [5n] },
      }),
      ...options,
    });
  }

  test('holds back its sources with all of its events until it is forgotten, and takes no checkpoint', () => {
    const harness = passingOver();
    harness.push({ stream: 'a', source: 'x', offset: 7n, isDurable: true });
    harness.push({ stream: 'a', source: 'y', offset: 8n });
    harness.push({ stream: 'a', source: 'y', offset: 9n });
    expect(harness.run().filter(({ kind }) => kind !== 'covered')).toMatchObject([
      { kind: 'source', source: 'x', read: 3, openLow: 5n },
      { kind: 'source', source: 'y', read: 2, openLow: 8n },
    ]);
    harness.requestStream('a');
    harness.requestAll(1);
    expect(harness.run().map(({ kind }) => kind)).toEqual(['covered', 'checkpointed']);
    harness.forget('a');
    expect(harness.run()).toMatchObject([
      { kind: 'low', stream: 'a', source: 'x', offset: 5n },
      { kind: 'low', stream: 'a', source: 'y', offset: 8n },
      { kind: 'forgotten', stream: 'a' },
      { kind: 'source', source: 'x', openLow: undefined },
      { kind: 'source', source: 'y', openLow: undefined },
    ]);
  });

  test('takes no checkpoint to go on with, though it was about to when the thread ended', () => {
    const harness = passingOver();
    harness.resume('a');
    expect(harness.run()).toMatchObject([{ kind: 'source', source: 'x', openLow: 5n }]);
  });

  test('is followed by a new one of its name, from nothing', () => {
    const harness = passingOver({ factory: () => [counter()] });
    harness.push({ stream: 'a', source: 'x', offset: 7n });
    harness.forget('a');
    harness.push({ stream: 'a', source: 'x', offset: 8n });
    const [frame] = storedIn(harness.run());
    expect(decodeFrame(frame?.frame as Uint8Array)).toMatchObject({ eventCount: 1n });
  });
});
