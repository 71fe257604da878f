import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { encodeBody, indexBody } from '../../src/codec/body.ts';
import { decodeBody } from '../../src/codec/decode-body.ts';
import { TidemarkError } from '../../src/error.ts';
import { anyMutation, anyParts, anyState, buildState, mutate, reversed, shared } from './arbitrary-state.ts';
import { unhex, vectors } from './golden-bodies.ts';

const deserializationError = expect.objectContaining({ code: 'ERR_TIDEMARK_DESERIALIZATION' });
const damagedFrame = expect.objectContaining({ code: 'ERR_TIDEMARK_DAMAGED_FRAME' });

/** Fixed fields and an operator count, then `tail`. */
function bodyOf(operatorCount: number, tail: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(28 + tail.length);
  new DataView(bytes.buffer).setUint32(24, operatorCount, true);
  bytes.set(tail, 28);
  return bytes;
}

describe('encodeBody', () => {
  test('round-trips any state', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        const bytes = encodeBody(state);
        const restored = CheckpointState.deserialize(state.id.streamId, bytes);
        expect(restored.id.sequence).toBe(state.id.sequence);
        expect(restored.watermarkNs).toBe(state.watermarkNs);
        expect(restored.eventCount).toBe(state.eventCount);
        expect(restored.operatorStates).toEqual(state.operatorStates);
        expect(restored.sourceOffsets).toEqual(state.sourceOffsets);
      }),
    );
  });

  test('gives the same bytes whatever the order in which a state was filled', () => {
    fc.assert(
      fc.property(anyParts, (parts) => {
        expect(encodeBody(buildState(reversed(parts)))).toEqual(encodeBody(buildState(parts)));
      }),
    );
  });

  test('orders operators and sources by UTF-8 bytes, not by UTF-16 units', () => {
    const parts = {
      streamId: 's',
      sequence: 1n,
      createdAtMs: 0,
      watermarkNs: 0n,
      eventCount: 0n,
      operators: ['\u{1f600}', '\uffff', 'b', 'ab', 'a', ''].map(
        (name) => [name, new Uint8Array(), 0] as const,
      ),
      sources: ['\u{1f600}', '\uffff', 'z'].map((name) => [name, 1n] as const),
      metadata: [],
    };
    const body = decodeBody(encodeBody(buildState(parts)));
    expect([...body.operatorStates.keys()]).toEqual(['', 'a', 'ab', 'b', '\uffff', '\u{1f600}']);
    expect([...body.sourceOffsets.keys()]).toEqual(['z', '\uffff', '\u{1f600}']);
  });

  test('writes the random golden bodies with the same content in canonical order', () => {
    for (const vector of vectors.filter(({ name }) => name.startsWith('random'))) {
      const state = CheckpointState.deserialize('s', unhex(vector.bytes));
      const canonical = state.serialize();
      expect(canonical.length).toBe(vector.bytes.length / 2);
      const again = CheckpointState.deserialize('s', canonical);
      expect(again.operatorStates).toEqual(state.operatorStates);
      expect(again.sourceOffsets).toEqual(state.sourceOffsets);
      expect([...again.operatorStates.keys()]).toEqual(vector.operatorStates?.map(([name]) => name));
      expect([...again.sourceOffsets.keys()]).toEqual(vector.sourceOffsets?.map(([name]) => name));
    }
  });
});

describe('any bytes', () => {
  const outcome = (read: () => unknown): unknown => {
    try {
      return read();
    } catch (error) {
      return error;
    }
  };

  test('damaged bodies give a state or a TidemarkError, and nothing else', () => {
    fc.assert(
      fc.property(anyState, fc.array(anyMutation, { minLength: 1, maxLength: 4 }), (state, mutations) => {
        const bytes = mutations.reduce(mutate, encodeBody(state));
        const decoded = outcome(() => decodeBody(bytes));
        if (decoded instanceof Error) expect(decoded).toEqual(deserializationError);
        const indexed = outcome(() => indexBody(bytes));
        if (indexed instanceof Error) expect(indexed).toEqual(damagedFrame);
        else expect(decoded).not.toBeInstanceOf(Error);
      }),
      { numRuns: 500 },
    );
  });

  test('random bytes give a state or a TidemarkError, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(3), (tail, count) => {
        for (const read of [decodeBody, indexBody]) {
          const result = outcome(() => read(bodyOf(count, [...tail])));
          if (result instanceof Error) expect(result).toBeInstanceOf(TidemarkError);
        }
      }),
    );
  });

  test('a count of 2^32 - 1 in a short body is refused, not allocated', () => {
    expect(() => decodeBody(bodyOf(0xffff_ffff, [0, 0, 0, 0, 0, 0, 0, 0]))).toThrow(deserializationError);
  });
});

describe('indexBody', () => {
  test('finds what decodeBody decodes, at any place in larger bytes', () => {
    fc.assert(
      fc.property(anyState, fc.nat(20), (state, before) => {
        const body = encodeBody(state);
        const around = shared(Buffer.concat([Buffer.alloc(before, 0xff), body, Buffer.alloc(9, 0xff)]));
        const index = indexBody(around, before, before + body.length);
        const text = (range: { start: number; end: number }) =>
          Buffer.from(around.slice(range.start, range.end)).toString();
        const operators = index.operators.map((entry): [string, Uint8Array] => [
          text(entry.name),
          around.slice(entry.stateStart, entry.stateEnd),
        ]);
        expect(new Map(operators)).toEqual(state.operatorStates);
        const view = new DataView(around.buffer, around.byteOffset);
        const sources = index.sources.map((entry): [string, bigint] => [
          text(entry.name),
          view.getBigUint64(entry.offsetAt, true),
        ]);
        expect(new Map(sources)).toEqual(state.sourceOffsets);
        expect(index.end).toBe(before + body.length);
      }),
    );
  });

  const entry = (name: number) => [1, 0, 0, 0, name, 0, 0, 0, 0];
  const source = (name: number) => [1, 0, 0, 0, name, 0, 0, 0, 0, 0, 0, 0, 0];
  const none = [0, 0, 0, 0];
  test.each<[string, Uint8Array]>([
    ['has bytes behind its last field', bodyOf(0, [...none, 0])],
    ['has no source section', bodyOf(0, [])],
    ['is cut inside its source count', bodyOf(0, [0, 0])],
    ['has an operator twice', bodyOf(2, [...entry(0x61), ...entry(0x61), ...none])],
    ['has operators in descending order', bodyOf(2, [...entry(0x62), ...entry(0x61), ...none])],
    ['has a source twice', bodyOf(0, [2, 0, 0, 0, ...source(0x61), ...source(0x61)])],
    ['has a name that is not UTF-8', bodyOf(1, [...entry(0x80), ...none])],
  ])('refuses a body that %s', (_, bytes) => {
    expect(() => indexBody(bytes)).toThrow(damagedFrame);
  });
});
