/** Random checkpoint states, and the same state built in another order. */
import fc from 'fast-check';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';

/** Ordinary names, and those that sort differently by UTF-16 units, carry a BOM, or are empty. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom('', '\ufeffbom', '\uffff', '\u{1f600}', '\u0000', 'a', 'ab', 'b'),
);
const anyU64 = fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.constantFrom(0n, 2n ** 53n + 1n, 2n ** 64n - 1n));
const anyBytes = fc.uint8Array({ maxLength: 300 });

export interface StateParts {
  readonly streamId: string;
  readonly sequence: bigint;
  readonly createdAtMs: number;
  readonly watermarkNs: bigint;
  readonly eventCount: bigint;
  readonly operators: readonly (readonly [string, Uint8Array, number])[];
  readonly sources: readonly (readonly [string, bigint])[];
  readonly metadata: readonly (readonly [string, string])[];
}

const byFirst = { selector: (entry: readonly [string, ...unknown[]]) => entry[0], maxLength: 8 };

export const anyParts: fc.Arbitrary<StateParts> = fc.record({
  streamId: anyText,
  sequence: anyU64,
  createdAtMs: fc.integer({ min: 0, max: 18_446_744_073_709 }),
  watermarkNs: anyU64,
  eventCount: anyU64,
  operators: fc.uniqueArray(fc.tuple(anyText, anyBytes, fc.integer({ min: 0, max: 0xffff_ffff })), byFirst),
  sources: fc.uniqueArray(fc.tuple(anyText, anyU64), byFirst),
  metadata: fc.uniqueArray(fc.tuple(anyText, anyText), byFirst),
});

export const anyState: fc.Arbitrary<CheckpointState> = anyParts.map(buildState);

export function buildState(parts: StateParts): CheckpointState {
  const id = new CheckpointId(parts.streamId, parts.sequence, new Date(parts.createdAtMs));
  const state = new CheckpointState(id);
  state.watermarkNs = parts.watermarkNs;
  state.eventCount = parts.eventCount;
  for (const [name, bytes, version] of parts.operators) {
    state.setOperatorState(name, bytes);
    state.operatorVersions.set(name, version);
  }
  for (const [name, offset] of parts.sources) state.setSourceOffset(name, offset);
  for (const [key, value] of parts.metadata) state.metadata.set(key, value);
  return state;
}

export function reversed(parts: StateParts): StateParts {
  return {
    ...parts,
    operators: parts.operators.toReversed(),
    sources: parts.sources.toReversed(),
    metadata: parts.metadata.toReversed(),
  };
}

/** The same bytes in shared memory, at a position that nothing is aligned to. */
export function shared(bytes: Uint8Array): Uint8Array {
  const view = new Uint8Array(new SharedArrayBuffer(bytes.length + 16), 3, bytes.length);
  view.set(bytes);
  return view;
}

/** Changes that damage does: bytes overwritten, a range removed, bytes inserted. */
export interface Mutation {
  readonly kind: 'overwrite' | 'remove' | 'insert';
  /** From 0 up to 1: where in the bytes. */
  readonly place: number;
  readonly bytes: Uint8Array;
}

export const anyMutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('overwrite', 'remove', 'insert'),
  place: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
});

export function mutate(original: Uint8Array, { kind, place, bytes }: Mutation): Uint8Array {
  const at = Math.floor(place * (original.length + 1));
  const resume = kind === 'insert' ? at : at + bytes.length;
  const between = kind === 'remove' ? new Uint8Array(0) : bytes;
  return new Uint8Array(Buffer.concat([original.subarray(0, at), between, original.subarray(resume)]));
}
