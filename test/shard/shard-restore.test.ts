/** What a shard makes of the frames it is given at its start. */
import { describe, expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { decodeFrame, encodeFrame } from '../../src/codec/frame.ts';
import { U64_MAX } from '../../src/codec/u64.ts';
import { TidemarkError } from '../../src/error.ts';
import type { HeapOperator, Operator, SlotOperator } from '../../src/shard/operator.ts';
import { type HarnessOptions, ShardHarness, storedIn } from '../support/shard-harness.ts';
import { counter } from '../support/shard-operators.ts';

interface Stored {
  readonly name: string;
  readonly version: number;
  readonly bytes: Uint8Array;
}

function frameWith(operators: readonly Stored[], sources: Readonly<Record<string, bigint>> = {}): Uint8Array {
  const state = new CheckpointState(new CheckpointId('s', 41n));
  state.watermarkNs = 2n ** 60n;
  state.eventCount = 40n;
  for (const { name, version, bytes } of operators) {
    state.setOperatorState(name, bytes);
    state.operatorVersions.set(name, version);
  }
  for (const [source, offset] of Object.entries(sources)) state.setSourceOffset(source, offset);
  return encodeFrame(state, { generation: 3n });
}

function slot(bytes: number, more: Partial<SlotOperator> = {}): SlotOperator {
  return { kind: 'slot', name: 'op', version: 2, bytes, process: () => undefined, ...more };
}

function heap(more: Partial<HeapOperator<Uint8Array>> = {}): HeapOperator<Uint8Array> {
  return {
    kind: 'heap',
    name: 'op',
    version: 2,
    create: () => new Uint8Array([0]),
    process: () => undefined,
    snapshot: (state) => state,
    restore: (bytes) => bytes,
    ...more,
  };
}

/** The state after a restore of `frame` and one more event. */
function resumed(frame: Uint8Array, operators: readonly Operator[], options: Partial<HarnessOptions> = {}) {
  const restored = [{ stream: 's', frame }];
  const harness = ShardHarness.started({ factory: () => operators, restored, ...options });
  harness.push({ stream: 's' });
  harness.requestAll(1);
  return decodeFrame(storedIn(harness.run())[0]?.frame as Uint8Array);
}

function errorOf(body: () => unknown): TidemarkError {
  try {
    body();
  } catch (error) {
    if (error instanceof TidemarkError) return error;
    throw error;
  }
  throw new Error('it was to throw');
}

const bytes = new Uint8Array([1, 2, 3, 4]);

describe('a restored stream', () => {
  test('has the counters, watermark and offsets of its frame, and the generation of its shard', () => {
    const frame = frameWith([{ name: 'op', version: 2, bytes }], { y: U64_MAX, x: 7n });
    const state = resumed(frame, [slot(4)]);
    expect(state.id.sequence).toBe(42n);
    expect(state.eventCount).toBe(41n);
    expect(state.watermarkNs).toBe(2n ** 60n);
    expect([...state.sourceOffsets]).toEqual([
      ['x', 7n],
      ['y', U64_MAX],
    ]);
    expect(state.operatorStates.get('op')).toEqual(bytes);
  });

  test('goes on counting beyond 32 bits', () => {
    for (const eventCount of [2n ** 32n - 1n, 2n ** 63n + 2n ** 32n - 1n]) {
      const state = new CheckpointState(new CheckpointId('s', 5n));
      state.eventCount = eventCount;
      expect(resumed(encodeFrame(state), []).eventCount).toBe(eventCount + 1n);
    }
  });

  test('is not dirty: nothing is published before its first event', () => {
    const frame = frameWith([{ name: 'op', version: 2, bytes }]);
    const harness = ShardHarness.started({
      factory: () => [slot(4)],
      restored: [{ stream: 's', frame }],
      policy: { everyMs: 1, idleMs: 1 },
    });
    harness.clock.ms += 100;
    harness.requestAll(1);
    expect(harness.run()).toEqual([{ kind: 'checkpointed', request: 1 }]);
  });

  test('takes part with others in the numbering that it was given', () => {
    const restored = ['s', 't', 'u'].map((stream, at) => {
      const state = new CheckpointState(new CheckpointId(stream, BigInt(at)));
      state.setOperatorState('count', new Uint8Array(8));
      state.operatorVersions.set('count', 1);
      return { stream, frame: encodeFrame(state) };
    });
    const harness = ShardHarness.started({ factory: () => [counter()], restored });
    harness.push({ stream: 'u', isDurable: true });
    harness.push({ stream: 'new', isDurable: true });
    harness.push({ stream: 's', isDurable: true });
    expect(harness.run()).toMatchObject([
      { kind: 'stored', stream: 'u', sequence: 3n },
      { kind: 'stored', stream: 'new', sequence: 1n },
      { kind: 'stored', stream: 's', sequence: 1n },
    ]);
  });

  test('keeps sources that only its frame names apart from those that the main thread numbers', () => {
    const frame = frameWith([{ name: 'op', version: 2, bytes }], { old: 5n, x: 7n });
    const harness = ShardHarness.started({ factory: () => [slot(4)], restored: [{ stream: 's', frame }] });
    harness.push({ stream: 's', source: 'x', offset: 6n });
    harness.push({ stream: 's', source: 'x', offset: 7n });
    harness.requestAll(1);
    expect(harness.run()).toMatchObject([
      { kind: 'low', stream: 's', source: 'x', offset: 7n },
      { kind: 'stored', sequence: 42n, seen: 2 },
      { kind: 'source', source: 'x', read: 2, openLow: undefined },
      { kind: 'checkpointed' },
    ]);
  });

  test('is refused when its frame is damaged', () => {
    const frame = frameWith([{ name: 'op', version: 2, bytes }]);
    frame[40] = (frame[40] as number) ^ 1;
    expect(errorOf(() => resumed(frame, [slot(4)])).code).toBe('ERR_TIDEMARK_DAMAGED_FRAME');
  });
});

describe('the state of an operator', () => {
  test('of heap kind goes through restore with the version of the operator, as a copy', () => {
    const given: unknown[] = [];
    const operator = heap({
      restore(restored, version) {
        given.push([...restored], version, restored.buffer instanceof SharedArrayBuffer, restored.byteOffset);
        return restored;
      },
    });
    const state = resumed(frameWith([{ name: 'op', version: 2, bytes }]), [operator]);
    expect(given).toEqual([[1, 2, 3, 4], 2, false, 0]);
    expect(state.operatorStates.get('op')).toEqual(bytes);
  });

  test('that is new begins as it does in a new stream', () => {
    const frame = frameWith([{ name: 'op', version: 2, bytes }]);
    const state = resumed(frame, [slot(4), slot(2, { name: 'newer' }), heap({ name: 'newest' })]);
    expect(state.operatorStates.get('op')).toEqual(bytes);
    expect(state.operatorStates.get('newer')).toEqual(new Uint8Array(2));
    expect(state.operatorStates.get('newest')).toEqual(new Uint8Array([0]));
  });

  test('of another version goes through migrate, with the version it was stored under', () => {
    for (const make of [heap, (more: Partial<Operator>) => slot(3, more as Partial<SlotOperator>)]) {
      const given: unknown[] = [];
      const operator = make({
        migrate(old: Uint8Array, version: number) {
          given.push([...old], version, old.buffer instanceof SharedArrayBuffer);
          return new Uint8Array([9, 8, 7]);
        },
      });
      const state = resumed(frameWith([{ name: 'op', version: 1, bytes }]), [operator]);
      expect(given).toEqual([[1, 2, 3, 4], 1, false]);
      expect(state.operatorStates.get('op')).toEqual(new Uint8Array([9, 8, 7]));
      expect(state.operatorVersions.get('op')).toBe(2);
    }
  });

  test('of another version is refused without migrate', () => {
    const frame = frameWith([{ name: 'op', version: 1, bytes }]);
    for (const operator of [slot(4), heap()]) {
      const error = errorOf(() => resumed(frame, [operator]));
      expect(error.code).toBe('ERR_TIDEMARK_STATE_VERSION');
      expect(error.message).toContain("'op'");
      expect(error.message).toContain('version 1');
    }
  });

  test('in a slot of another size goes through migrate, or is refused', () => {
    const frame = frameWith([{ name: 'op', version: 2, bytes }]);
    expect(errorOf(() => resumed(frame, [slot(5)])).code).toBe('ERR_TIDEMARK_STATE_VERSION');
    const grown = slot(5, { migrate: (old) => new Uint8Array([...old, 5]) });
    expect(resumed(frame, [grown]).operatorStates.get('op')).toEqual(new Uint8Array([1, 2, 3, 4, 5]));
  });

  test('that migrate makes must have the size of the slot', () => {
    const frame = frameWith([{ name: 'op', version: 1, bytes }]);
    const error = errorOf(() => resumed(frame, [slot(5, { migrate: (old) => old })]));
    expect(error.code).toBe('ERR_TIDEMARK_OPERATOR');
    expect(error.message).toContain('4 bytes');
  });

  test('that no operator claims is refused, unless that is allowed', () => {
    const frame = frameWith([
      { name: 'op', version: 2, bytes },
      { name: 'gone', version: 1, bytes },
    ]);
    const error = errorOf(() => resumed(frame, [slot(4)]));
    expect(error.code).toBe('ERR_TIDEMARK_UNCLAIMED_STATE');
    expect(error.message).toContain("'gone'");
    const state = resumed(frame, [slot(4)], { allowUnclaimedState: true });
    expect([...state.operatorStates.keys()]).toEqual(['op']);
  });

  test('changes kind if the bytes agree, since a frame does not say the kind', () => {
    const frame = frameWith([{ name: 'op', version: 2, bytes }]);
    expect(resumed(frame, [heap()]).operatorStates.get('op')).toEqual(bytes);
  });
});

describe('what restore and migrate do wrong', () => {
  const frame = frameWith([{ name: 'op', version: 1, bytes }]);
  const asked = (result: () => unknown): TidemarkError =>
    errorOf(() => resumed(frame, [heap({ migrate: result as () => Uint8Array })]));

  test('is named with the operator and the stream', () => {
    const cause = new Error('no');
    const threw = asked(() => {
      throw cause;
    });
    expect(threw.code).toBe('ERR_TIDEMARK_OPERATOR');
    expect(threw.message).toMatch(/migrate\(\) of operator 'op' of stream 's'/);
    expect(threw.cause).toBe(cause);
    expect(asked(() => [1, 2]).message).toMatch(/returned no Uint8Array/);
    expect(asked(() => Promise.resolve(bytes)).code).toBe('ERR_TIDEMARK_ASYNC_OPERATOR');
    const restore = heap({
      version: 1,
      restore: () => {
        throw cause;
      },
    });
    expect(errorOf(() => resumed(frame, [restore])).message).toMatch(/restore\(\) of operator 'op'/);
  });
});
