import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeBody } from '../../src/codec/body.ts';
import { type DecodedBody, decodeBody } from '../../src/codec/decode-body.ts';
import { anyState, buildState, shared } from './arbitrary-state.ts';
import { unhex, vectors } from './golden-bodies.ts';

const deserializationError = expect.objectContaining({ code: 'ERR_TIDEMARK_DESERIALIZATION' });

/** A body with states of these lengths, each filled with a byte of its own. */
function bodyWith(lengths: readonly number[]): Uint8Array {
  const operators = lengths.map(
    (length, i) => [`operator-${String(i).padStart(5, '0')}`, new Uint8Array(length).fill(i + 1), 0] as const,
  );
  return encodeBody(
    buildState({
      streamId: 's',
      sequence: 1n,
      createdAtMs: 0,
      watermarkNs: 2n,
      eventCount: 3n,
      operators,
      sources: [['tides', 4n]],
      metadata: [],
    }),
  );
}

function statesOf(body: DecodedBody): Uint8Array[] {
  return [...body.operatorStates.values()];
}

function buffersOf(body: DecodedBody): Set<ArrayBufferLike> {
  return new Set(statesOf(body).map(({ buffer }) => buffer));
}

describe('decodeBody on the golden bodies', () => {
  test('there are 136 of them', () => {
    expect(vectors.length).toBe(136);
  });

  test.each(vectors.filter(({ error }) => error === undefined))('accepts: $name', (vector) => {
    for (const bytes of [unhex(vector.bytes), shared(unhex(vector.bytes))]) {
      const body = decodeBody(bytes);
      expect(String(body.sequence)).toBe(vector.sequence);
      expect(String(body.watermarkNs)).toBe(vector.watermarkNs);
      expect(String(body.eventCount)).toBe(vector.eventCount);
      expect(body.operatorStates).toEqual(
        new Map(vector.operatorStates?.map(([name, hex]) => [name, unhex(hex)])),
      );
      expect(body.sourceOffsets).toEqual(
        new Map(vector.sourceOffsets?.map(([name, decimal]) => [name, BigInt(decimal)])),
      );
    }
  });

  test.each(vectors.filter(({ error }) => error !== undefined))('refuses: $name', ({ bytes }) => {
    expect(() => decodeBody(unhex(bytes))).toThrow(deserializationError);
    expect(() => decodeBody(unhex(bytes))).toThrow(/\(byte offset \d+\)$/);
  });

  test('names the offset of the first field that cannot be read', () => {
    const prefix = (length: number) =>
      unhex(vectors.find(({ name }) => name === 'trailing bytes')?.bytes ?? '').subarray(0, length);
    const offsets = [3, 27, 30, 33, 36, 40, 48, 51, 57].map((length) => {
      try {
        decodeBody(prefix(length));
        return undefined;
      } catch (error) {
        return Number(/byte offset (\d+)/.exec(String(error))?.[1]);
      }
    });
    expect(offsets).toEqual([0, 24, 28, 32, 35, 39, 46, 50, 53]);
  });
});

/** Around the lengths at which states are copied in another way; the body of the last is decoded in place. */
const LAYOUTS: readonly [string, readonly number[]][] = [
  ['a short body', [0, 1, 64, 300, 0]],
  ['a body of many short states', new Array<number>(3_000).fill(40)],
  ['states that do not fit in one block', [9_000, 16_383, 16_383, 16_383, 16_383, 16_383, 5]],
  ['long states between short ones', [10, 70_000, 0, 10, 16_384, 10, 200_000, 10]],
  ['one state as long as a short body is at most', [16_384]],
  ['empty states behind a long one', [100_000, 0, 0]],
];

describe('the states of a decoded body', () => {
  test.each(LAYOUTS)('are those of the bytes: %s', (_, lengths) => {
    const bytes = bodyWith(lengths);
    for (const place of [bytes, Buffer.from(bytes), shared(bytes)]) {
      const states = statesOf(decodeBody(place));
      expect(states.map(({ length }) => length)).toEqual(lengths);
      states.forEach((state, i) => {
        expect(state.every((byte) => byte === ((i + 1) & 0xff))).toBe(true);
      });
    }
  });

  test.each(LAYOUTS)('do not change with the bytes, nor one with another: %s', (_, lengths) => {
    const bytes = bodyWith(lengths);
    const decoded = decodeBody(bytes);
    bytes.fill(0xee);
    const before = statesOf(decodeBody(bodyWith(lengths)));
    const states = statesOf(decoded);
    expect(states.map((state) => Buffer.from(state))).toEqual(before.map((state) => Buffer.from(state)));
    for (let i = 0; i < states.length; i += 2) states[i]?.fill(0xdd);
    for (let i = 1; i < states.length; i += 2) {
      expect(Buffer.compare(states[i] as Uint8Array, before[i] as Uint8Array)).toBe(0);
    }
    expect(bytes.every((byte) => byte === 0xee)).toBe(true);
    expect(before.every((state, i) => state.every((byte) => byte === ((i + 1) & 0xff)))).toBe(true);
  });

  test('outlive any number of later bodies, of refused ones, and of what follows bodies', () => {
    fc.assert(
      fc.property(fc.array(anyState, { minLength: 1, maxLength: 8 }), fc.nat(300), (states, more) => {
        const decoded = states.map((state) => {
          const body = encodeBody(state);
          const followed = new Uint8Array(body.length + more).fill(0xff);
          followed.set(body);
          const result = decodeBody(followed);
          expect(() => decodeBody(body.subarray(0, 27))).toThrow(deserializationError);
          return result;
        });
        for (let i = 0; i < 20; i++) decodeBody(new Uint8Array(16_000));
        decoded.forEach((body, i) => {
          expect(body.operatorStates).toEqual(states[i]?.operatorStates);
        });
      }),
    );
  });

  test('share a buffer of a bounded length, which cannot be transferred; long ones have their own', () => {
    const short = decodeBody(bodyWith([64, 64, 64]));
    expect(buffersOf(short).size).toBe(1);
    const many = decodeBody(bodyWith(new Array<number>(3_000).fill(40)));
    expect(buffersOf(many).size).toBeLessThan(10);
    for (const buffer of [...buffersOf(short), ...buffersOf(many)]) {
      expect(buffer.byteLength).toBeLessThanOrEqual(65_536);
      expect(() => structuredClone(0, { transfer: [buffer as ArrayBuffer] })).toThrow(
        expect.objectContaining({ name: 'DataCloneError' }),
      );
    }
    const [long] = statesOf(decodeBody(bodyWith([100_000, 1])));
    expect(long?.buffer.byteLength).toBe(100_000);
  });

  test('are not shared memory, even if the bytes were', () => {
    for (const lengths of [[64], [10, 100_000, 20]]) {
      for (const state of statesOf(decodeBody(shared(bodyWith(lengths))))) {
        expect(state.buffer).toBeInstanceOf(ArrayBuffer);
      }
    }
  });
});

describe('a body that is decoded where it lies', () => {
  /** Long enough not to be copied whole. */
  const bytes = bodyWith([70_000, 3]);

  test('is refused at the same byte as a short one, wherever its bytes begin', () => {
    const cut = bytes.subarray(0, bytes.length - 1);
    for (const place of [cut, shared(cut), Buffer.concat([Buffer.alloc(5), cut]).subarray(5)]) {
      expect(() => decodeBody(place)).toThrow(
        `a source offset takes 8 bytes, but 7 are left (byte offset ${cut.length - 7})`,
      );
    }
  });

  test('may end behind a name', () => {
    const end = bytes.length - 8;
    for (const length of [end, end + 1, end + 3, end + 4]) {
      expect(() => decodeBody(bytes.slice(0, length))).toThrow(`(byte offset ${end})`);
    }
  });
});
