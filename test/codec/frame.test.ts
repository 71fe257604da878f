import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { encodeBody } from '../../src/codec/body.ts';
import {
  decodeFrame,
  EXTENSION_CREATED_AT,
  EXTENSION_GENERATION,
  encodeFrame,
  extensionByteLength,
  FORMAT_VERSION,
  FRAME_FOOTER_BYTES,
  readFooterChecksum,
  verifyFrame,
  writeCreatedAt,
  writeExtension,
  writeFooter,
} from '../../src/codec/frame.ts';
import { xxh64 } from '../../src/codec/xxh64.ts';
import { TidemarkError } from '../../src/error.ts';
import { anyMutation, anyParts, anyState, buildState, mutate, reversed, shared } from './arbitrary-state.ts';

const damaged = expect.objectContaining({ code: 'ERR_TIDEMARK_DAMAGED_FRAME' });
const invalid = expect.objectContaining({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' });

function sample(): CheckpointState {
  const state = new CheckpointState(new CheckpointId('harbour', 258, new Date(1_700_000_000_123)));
  state.watermarkNs = 1_700_000_000_000_000_000n;
  state.eventCount = 7n;
  state.setOperatorState('agg', Uint8Array.of(1, 2, 3));
  state.operatorVersions.set('agg', 2);
  state.setSourceOffset('ais', 5);
  state.metadata.set('app', '1.2');
  return state;
}

/** Changes a frame and gives it the checksum that makes the change believable. */
function resealed(frame: Uint8Array, change: (view: DataView, footer: number) => void): Uint8Array {
  const copy = frame.slice();
  const view = new DataView(copy.buffer);
  const footer = copy.length - FRAME_FOOTER_BYTES;
  change(view, footer);
  view.setBigUint64(footer + 16, xxh64(copy, 0, footer + 16), true);
  return copy;
}

describe('encodeFrame and decodeFrame', () => {
  test('bring any state back whole, from shared memory too', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        const frame = encodeFrame(state);
        expect(decodeFrame(frame)).toEqual(state);
        expect(decodeFrame(shared(frame))).toEqual(state);
      }),
    );
  });

  test('give the same bytes whatever the order in which a state was filled', () => {
    fc.assert(
      fc.property(anyParts, (parts) => {
        expect(encodeFrame(buildState(reversed(parts)))).toEqual(encodeFrame(buildState(parts)));
      }),
    );
  });

  test('begin with the body in the seed format, so that its reader can read a frame', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        const frame = encodeFrame(state, { generation: 9 });
        const body = encodeBody(state);
        expect(frame.subarray(0, body.length)).toEqual(body);
        const bySeedRules = CheckpointState.deserialize(state.id.streamId, frame);
        expect(bySeedRules.serialize()).toEqual(body);
      }),
    );
  });

  test('write the committed frames of format version 1', () => {
    const lines = readFileSync(new URL('../golden/frame-v1.jsonl', import.meta.url), 'utf8')
      .trimEnd()
      .split('\n');
    expect(lines.length).toBe(4);
    for (const line of lines) {
      const golden = JSON.parse(line) as GoldenFrame;
      const state = buildState({
        ...golden,
        sequence: BigInt(golden.sequence),
        watermarkNs: BigInt(golden.watermarkNs),
        eventCount: BigInt(golden.eventCount),
        operators: golden.operators.map(([name, hex, version]) => [name, unhex(hex), version]),
        sources: golden.sources.map(([name, offset]) => [name, BigInt(offset)]),
      });
      const frame = encodeFrame(state, { generation: BigInt(golden.generation) });
      expect(Buffer.from(frame).toString('hex'), golden.name).toBe(golden.frame);
      expect(decodeFrame(unhex(golden.frame))).toEqual(state);
    }
  });

  test('write the frame that FORMAT.md shows', () => {
    const text = readFileSync(new URL('../../src/codec/FORMAT.md', import.meta.url), 'utf8');
    const rows = text.matchAll(/^ *(\d+) {2}((?:[0-9a-f]{2} )+) {2,}/gm);
    let shown = '';
    for (const [, offset, hex] of rows) {
      expect(Number(offset)).toBe(shown.length / 2);
      shown += (hex as string).replaceAll(' ', '');
    }
    expect(shown).toBe(Buffer.from(encodeFrame(sample(), { generation: 3 })).toString('hex'));
  });

  test.each([-1, 0.5, 2n ** 64n])('refuse the generation %s', (generation) => {
    expect(() => encodeFrame(sample(), { generation })).toThrow(invalid);
  });

  test.each([-1, 0.5, 2 ** 32, Number.NaN])('refuse the operator version %s', (version) => {
    const state = sample();
    state.operatorVersions.set('agg', version);
    expect(() => encodeFrame(state)).toThrow(invalid);
  });

  test('refuse metadata with an unpaired surrogate and a date changed to one that does not fit', () => {
    const state = sample();
    state.metadata.set('app', '\ud800');
    expect(() => encodeFrame(state)).toThrow(invalid);
    const dated = sample();
    dated.id.createdAt.setTime(-1);
    expect(() => encodeFrame(dated)).toThrow(invalid);
  });

  test('take the version 0 for an operator that has none', () => {
    const state = sample();
    state.operatorVersions.clear();
    expect(decodeFrame(encodeFrame(state)).operatorVersions.get('agg')).toBe(0);
  });
});

interface GoldenFrame {
  readonly name: string;
  readonly streamId: string;
  readonly sequence: string;
  readonly createdAtMs: number;
  readonly generation: string;
  readonly watermarkNs: string;
  readonly eventCount: string;
  readonly operators: [name: string, hex: string, version: number][];
  readonly sources: [name: string, offset: string][];
  readonly metadata: [key: string, value: string][];
  readonly frame: string;
}

const unhex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

describe('verifyFrame', () => {
  test('gives the ends of body and extension', () => {
    const state = sample();
    const frame = encodeFrame(state);
    const bodyEnd = encodeBody(state).length;
    expect(verifyFrame(frame)).toEqual({ bodyEnd, extensionEnd: frame.length - FRAME_FOOTER_BYTES });
  });

  test('refuses a frame in which any one bit is flipped', () => {
    const frame = encodeFrame(sample());
    for (let bit = 0; bit < 8 * frame.length; bit++) {
      const flipped = frame.slice();
      flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (1 << (bit & 7));
      expect(() => verifyFrame(flipped), `bit ${bit}`).toThrow(damaged);
    }
  });

  test('refuses every proper prefix and suffix of a frame', () => {
    const frame = encodeFrame(sample());
    for (let cut = 1; cut <= frame.length; cut++) {
      expect(() => verifyFrame(frame.subarray(0, frame.length - cut)), `prefix ${cut}`).toThrow(damaged);
      expect(() => verifyFrame(frame.subarray(cut)), `suffix ${cut}`).toThrow(damaged);
    }
  });

  test('refuses frames that were changed in any way', () => {
    fc.assert(
      fc.property(anyState, fc.array(anyMutation, { minLength: 1, maxLength: 4 }), (state, mutations) => {
        const frame = encodeFrame(state);
        const changed = mutations.reduce(mutate, frame);
        fc.pre(Buffer.compare(frame, changed) !== 0);
        expect(() => verifyFrame(changed)).toThrow(damaged);
      }),
      { numRuns: 300 },
    );
  });

  test.each<[string, (view: DataView, footer: number) => void]>([
    ['format version 2', (view, footer) => view.setUint16(footer + 8, FORMAT_VERSION + 1, true)],
    ['flags', (view, footer) => view.setUint16(footer + 10, 1, true)],
    ['flags', (view, footer) => view.setUint32(footer + 12, 1, true)],
  ])('refuses an intact frame with %s', (message, change) => {
    const frame = resealed(encodeFrame(sample()), change);
    expect(() => verifyFrame(frame)).toThrow(damaged);
    expect(() => verifyFrame(frame)).toThrow(message);
  });

  test('a body that does not fill its length is refused even with the right checksum', () => {
    const frame = resealed(encodeFrame(sample()), (view, footer) => {
      view.setUint32(footer, view.getUint32(footer, true) + 4, true);
      view.setUint32(footer + 4, view.getUint32(footer + 4, true) - 4, true);
    });
    expect(verifyFrame(frame)).toBeDefined();
    expect(() => decodeFrame(frame)).toThrow(damaged);
  });

  test('content that was forged under a right checksum gives a state or a TidemarkError', () => {
    fc.assert(
      fc.property(
        anyState,
        fc.nat(),
        fc.uint8Array({ minLength: 1, maxLength: 4 }),
        (state, place, bytes) => {
          const frame = resealed(encodeFrame(state), (view, footer) => {
            for (const [i, byte] of bytes.entries()) view.setUint8((place + i) % footer, byte);
          });
          try {
            decodeFrame(frame);
          } catch (error) {
            expect(error).toBeInstanceOf(TidemarkError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('refuses what is not bytes', () => {
    expect(() => verifyFrame('frame' as unknown as Uint8Array)).toThrow(invalid);
  });
});

describe('readFooterChecksum', () => {
  test('reads the checksum of all that is before it', () => {
    const frame = encodeFrame(sample());
    expect(readFooterChecksum(shared(frame))).toBe(xxh64(frame, 0, frame.length - 16));
  });

  test('refuses bytes that are too few for a footer', () => {
    expect(() => readFooterChecksum(new Uint8Array(31))).toThrow(damaged);
  });
});

describe('writing in place', () => {
  test('gives the bytes of encodeFrame at any address of shared memory', () => {
    fc.assert(
      fc.property(anyParts, fc.bigInt(0n, 2n ** 64n - 1n), fc.nat(70), (parts, generation, start) => {
        const state = buildState({ ...parts, metadata: [] });
        const expected = encodeFrame(state, { generation });
        const memory = new Uint8Array(new SharedArrayBuffer(expected.length + 100));
        const view = new DataView(memory.buffer);
        const body = encodeBody(state);
        memory.set(body, start);
        const streamId = new TextEncoder().encode(parts.streamId);
        const names = [...state.operatorStates.keys()].sort((a, b) =>
          Buffer.compare(Buffer.from(a), Buffer.from(b)),
        );
        const versions = names.map((name) => state.operatorVersions.get(name) as number);
        const at = start + body.length;
        const end = writeExtension(memory, view, at, {
          createdAtMs: parts.createdAtMs,
          generation,
          streamId,
          versions,
        });
        expect(end - at).toBe(extensionByteLength(streamId.length, versions.length));
        writeFooter(memory, view, start, body.length, end - at);
        expect(memory.slice(start, end + FRAME_FOOTER_BYTES)).toEqual(expected);
      }),
    );
  });

  test('time and generation can be changed where they are, after which the footer is written anew', () => {
    const frame = encodeFrame(sample());
    const view = new DataView(frame.buffer);
    const { bodyEnd, extensionEnd } = verifyFrame(frame);
    writeCreatedAt(view, bodyEnd + EXTENSION_CREATED_AT, 1_800_000_000_456);
    view.setBigUint64(bodyEnd + EXTENSION_GENERATION, 11n, true);
    expect(() => verifyFrame(frame)).toThrow(damaged);
    writeFooter(frame, view, 0, bodyEnd, extensionEnd - bodyEnd);
    expect(decodeFrame(frame).id.createdAt.getTime()).toBe(1_800_000_000_456);
  });

  test.each([0, 1, 4_294, 4_295, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 1_700_000_000_123, 18_446_744_073_709])(
    'the time of %i ms is exact in nanoseconds',
    (ms) => {
      const view = new DataView(new ArrayBuffer(8));
      writeCreatedAt(view, 0, ms);
      expect(view.getBigUint64(0, true)).toBe(BigInt(ms) * 1_000_000n);
    },
  );

  test('a length of 2^32 is refused, not wrapped', () => {
    const memory = new Uint8Array(64);
    expect(() => writeFooter(memory, new DataView(memory.buffer), 0, 2 ** 32, 0)).toThrow(invalid);
  });
});
