import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';

const invalid = expect.objectContaining({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' });
const malformed = expect.objectContaining({ code: 'ERR_TIDEMARK_DESERIALIZATION' });

function state(streamId: string, sequence: number): CheckpointState {
  return new CheckpointState(new CheckpointId(streamId, sequence));
}

describe('CheckpointState', () => {
  test('without operators and sources comes back from its bytes', () => {
    const original = state('harbour', 4);
    original.watermarkNs = 2_500_000_000;
    original.eventCount = 3n;
    const restored = CheckpointState.deserialize('harbour', original.serialize());
    expect(restored.id.streamId).toBe('harbour');
    expect(restored.id.sequence).toBe(4n);
    expect(restored.watermarkNs).toBe(2_500_000_000n);
    expect(restored.eventCount).toBe(3n);
    expect(restored.operatorStates.size).toBe(0);
    expect(restored.sourceOffsets.size).toBe(0);
  });

  test('brings the bytes of its operators back', () => {
    const original = state('harbour', 1);
    original.setOperatorState('tides', Uint8Array.of(7, 0, 255));
    original.setOperatorState('ships', Uint8Array.of());
    const restored = CheckpointState.deserialize('harbour', original.serialize());
    expect(restored.operatorStates).toEqual(
      new Map([
        ['ships', Uint8Array.of()],
        ['tides', Uint8Array.of(7, 0, 255)],
      ]),
    );
  });

  test('brings the offsets of its sources back', () => {
    const original = state('harbour', 1);
    original.setSourceOffset('ais', 90_210);
    original.setSourceOffset('radar', 2n ** 64n - 1n);
    const restored = CheckpointState.deserialize('harbour', original.serialize());
    expect(restored.sourceOffsets).toEqual(
      new Map([
        ['ais', 90_210n],
        ['radar', 18446744073709551615n],
      ]),
    );
  });

  test('brings everything back at once, except the metadata that the seed format drops', () => {
    const original = state('harbour', 12);
    original.watermarkNs = 1_800_000_000_123_456_789n;
    original.eventCount = 12;
    original.setOperatorState('tides', new TextEncoder().encode('high water'));
    original.setSourceOffset('ais', 640);
    original.metadata.set('captain', 'Ahab');
    const restored = CheckpointState.deserialize('harbour', original.serialize());
    expect(restored.watermarkNs).toBe(1_800_000_000_123_456_789n);
    expect(new TextDecoder().decode(restored.operatorStates.get('tides'))).toBe('high water');
    expect(restored.sourceOffsets.get('ais')).toBe(640n);
    expect(restored.metadata.size).toBe(0);
    expect(restored.serialize()).toEqual(original.serialize());
  });

  test.each([0, 1, 17, 23])('%i bytes are too few', (length) => {
    expect(() => CheckpointState.deserialize('harbour', new Uint8Array(length))).toThrow(malformed);
  });

  test('does not change with the bytes that were given or read', () => {
    const bytes = Uint8Array.of(1, 2);
    const original = state('harbour', 1);
    original.setOperatorState('tides', bytes);
    bytes.fill(9);
    expect(original.operatorStates.get('tides')).toEqual(Uint8Array.of(1, 2));
    const body = original.serialize();
    const restored = CheckpointState.deserialize('harbour', body);
    body.fill(9);
    expect(restored.operatorStates.get('tides')).toEqual(Uint8Array.of(1, 2));
  });

  test('copies even out of a Buffer, whose own slice does not', () => {
    const body = Buffer.from(state('harbour', 1).serialize());
    const withOperator = state('harbour', 1);
    withOperator.setOperatorState('tides', body);
    const pooled = Buffer.from(withOperator.serialize());
    const restored = CheckpointState.deserialize('harbour', pooled);
    pooled.fill(0xff);
    expect(restored.operatorStates.get('tides')).toEqual(new Uint8Array(body));
  });

  test('is equal whether or not its versions and metadata were asked for, unless they say something', () => {
    const id = new CheckpointId('harbour', 1, new Date(5));
    const asked = new CheckpointState(id);
    expect(asked.metadata).toBe(asked.metadata);
    expect(asked.operatorVersions).toBe(asked.operatorVersions);
    expect(asked).toEqual(new CheckpointState(id));
    asked.metadata.set('captain', 'Ahab');
    expect(asked).not.toEqual(new CheckpointState(id));
    const other = new CheckpointState(id);
    expect(other.metadata).toEqual(new Map());
    other.operatorVersions.set('tides', 1);
    expect(other).not.toEqual(new CheckpointState(id));
  });

  test('has no names but those of the model, and is not equal to one that says something else', () => {
    const id = new CheckpointId('harbour', 1, new Date(5));
    const original = new CheckpointState(id);
    expect(Object.keys(original)).toEqual(['id', 'operatorStates', 'sourceOffsets']);
    expect(Object.keys(structuredClone(original))).toEqual(['id', 'operatorStates', 'sourceOffsets']);
    for (const field of ['watermarkNs', 'eventCount'] as const) {
      const other = new CheckpointState(id);
      assert.deepEqual(other, original);
      other[field] = 1n;
      expect(other).not.toEqual(original);
      assert.notDeepEqual(other, original);
    }
  });

  test('is shown by what it says', () => {
    const original = new CheckpointState(new CheckpointId('harbour', 1, new Date(5)));
    original.watermarkNs = 7;
    original.eventCount = 3n;
    original.setOperatorState('tides', Uint8Array.of(7, 8));
    original.operatorVersions.set('tides', 2);
    original.setSourceOffset('ais', 5);
    expect(inspect(original, { breakLength: Infinity, compact: 10 })).toBe(
      'CheckpointState { ' +
        "id: CheckpointId { streamId: 'harbour', sequence: 1n, createdAt: 1970-01-01T00:00:00.005Z }, " +
        "operatorStates: Map(1) { 'tides' => Uint8Array(2) [ 7, 8 ] }, " +
        "operatorVersions: Map(1) { 'tides' => 2 }, sourceOffsets: Map(1) { 'ais' => 5n }, " +
        'watermarkNs: 7n, eventCount: 3n, metadata: Map(0) {} }',
    );
    expect(inspect([original], { depth: 0 })).toBe('[ [CheckpointState] ]');
    expect(inspect([[original]], { depth: null })).toContain('[ 7, 8 ]');
  });

  test('of the same bytes twice are two, with maps and bytes of their own', () => {
    const original = state('harbour', 1);
    original.setOperatorState('tides', Uint8Array.of(7, 8));
    original.setSourceOffset('ais', 5);
    const body = original.serialize();
    const [first, second] = [0, 1].map(() => CheckpointState.deserialize('harbour', body)) as [
      CheckpointState,
      CheckpointState,
    ];
    first.operatorStates.get('tides')?.fill(1);
    first.setOperatorState('ships', Uint8Array.of(9));
    first.setSourceOffset('ais', 6);
    expect(second.serialize()).toEqual(body);
  });

  test.each([-1, 0.5, 2n ** 64n])('refuses %s wherever a u64 is wanted', (value) => {
    const target = state('harbour', 1);
    expect(() => {
      target.watermarkNs = value;
    }).toThrow(invalid);
    expect(() => {
      target.eventCount = value;
    }).toThrow(invalid);
    expect(() => target.setSourceOffset('ais', value)).toThrow(invalid);
    target.sourceOffsets.set('ais', value as bigint);
    expect(() => target.serialize()).toThrow(invalid);
  });

  test('refuses names with an unpaired surrogate and states that are not bytes', () => {
    const target = state('harbour', 1);
    expect(() => target.setOperatorState('\udfff', new Uint8Array())).toThrow(invalid);
    expect(() => target.setSourceOffset('\udfff', 1)).toThrow(invalid);
    expect(() => target.setOperatorState('tides', 'bytes' as unknown as Uint8Array)).toThrow(invalid);
    target.operatorStates.set('\udfff', new Uint8Array());
    expect(() => target.serialize()).toThrow(invalid);
  });

  test('refuses an identity that is not a CheckpointId and data that is not bytes', () => {
    expect(() => new CheckpointState({} as CheckpointId)).toThrow(invalid);
    expect(() => CheckpointState.deserialize('harbour', 'text' as unknown as Uint8Array)).toThrow(invalid);
    expect(() => CheckpointState.deserialize('\ud800', state('s', 1).serialize())).toThrow(invalid);
  });
});
