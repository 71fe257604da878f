/**
 * The states that the codec suite encodes and decodes. A shape is a number of operators, the bytes of
 * each, and a number of sources; its content follows from a formula, so that every run and every subject
 * works on the same bytes.
 *
 * A live stream changes between two checkpoints. So there are several versions of a state, of which two
 * differ in every operator's bytes, every offset, the watermark and the counts, and successive calls of
 * a subject work on successive versions.
 */

export interface Shape {
  readonly name: string;
  readonly operators: number;
  readonly operatorBytes: number;
  readonly sources: number;
  /** Versions of the state that are kept; fewer where a version is large. */
  readonly versions: number;
}

export const SHAPES: readonly Shape[] = [
  { name: 'empty', operators: 0, operatorBytes: 0, sources: 0, versions: 8 },
  { name: 'small', operators: 2, operatorBytes: 64, sources: 2, versions: 8 },
  { name: 'medium', operators: 8, operatorBytes: 1_024, sources: 4, versions: 8 },
  { name: 'large', operators: 16, operatorBytes: 65_536, sources: 8, versions: 8 },
  { name: 'xl', operators: 4, operatorBytes: 4_194_304, sources: 4, versions: 3 },
  { name: 'wide', operators: 1_024, operatorBytes: 32, sources: 256, versions: 8 },
];

/** The same for a smoke, where the largest would take most of the time and show nothing more. */
export const SMOKE_SHAPES: readonly Shape[] = SHAPES.map((shape) =>
  shape.name === 'xl' ? { ...shape, operatorBytes: 262_144 } : shape,
);

export const STREAM = 'stream-1';

/** A state in plain data, in the order in which it was made. */
export interface PlainState {
  readonly sequence: bigint;
  readonly watermarkNs: bigint;
  readonly eventCount: bigint;
  readonly operators: Readonly<Record<string, Uint8Array>>;
  readonly sources: Readonly<Record<string, bigint>>;
}

function operatorName(index: number): string {
  return `operator-${index}`;
}

function sourceName(index: number): string {
  return `kafka-topic-${index}`;
}

export function makeState(shape: Shape, version: number): PlainState {
  const operators: Record<string, Uint8Array> = {};
  for (let i = 0; i < shape.operators; i++) {
    const bytes = new Uint8Array(shape.operatorBytes);
    for (let k = 0; k < bytes.length; k++) bytes[k] = k * 31 + i * 7 + version * 13;
    operators[operatorName(i)] = bytes;
  }
  const sources: Record<string, bigint> = {};
  for (let i = 0; i < shape.sources; i++) sources[sourceName(i)] = BigInt(1_000_000 + i + version * 1_000);
  return {
    sequence: BigInt(123_456 + version),
    watermarkNs: 1_700_000_000_000_000_000n + BigInt(version),
    eventCount: BigInt(123_456 + version),
    operators,
    sources,
  };
}

/** The same with operators as Buffers, which some rivals insist on. */
export function toBuffers(state: PlainState): PlainState {
  const operators: Record<string, Uint8Array> = {};
  for (const [name, bytes] of Object.entries(state.operators)) operators[name] = Buffer.from(bytes);
  return { ...state, operators };
}

export function makeVersions(shape: Shape): PlainState[] {
  return Array.from({ length: shape.versions }, (_, version) => makeState(shape, version));
}

/** What the call number `turn` works on, of things that calls use in turn. */
export function versionAt<Version>(versions: readonly Version[], turn: number): Version {
  return versions[turn % versions.length] as Version;
}

/** Operator and source that `view` cases read: in the middle, so that neither is found at once. */
export function readNames(shape: Shape): { readonly operator: string; readonly source: string } {
  return {
    operator: operatorName(shape.operators >> 1),
    source: sourceName(shape.sources >> 1),
  };
}

/** @throws Error naming the first difference */
export function requireSameState(found: PlainState, expected: PlainState, who: string): void {
  for (const field of ['sequence', 'watermarkNs', 'eventCount'] as const) {
    if (found[field] === expected[field]) continue;
    throw new Error(`${who}: ${field} is ${found[field]}, not ${expected[field]}`);
  }
  requireSameNames(found.operators, expected.operators, `${who}: operators`);
  for (const [name, bytes] of Object.entries(expected.operators)) {
    if (Buffer.compare(found.operators[name] as Uint8Array, bytes) === 0) continue;
    throw new Error(`${who}: the state of ${name} differs`);
  }
  requireSameNames(found.sources, expected.sources, `${who}: sources`);
  for (const [name, offset] of Object.entries(expected.sources)) {
    if (found.sources[name] === offset) continue;
    throw new Error(`${who}: the offset of ${name} is ${found.sources[name]}, not ${offset}`);
  }
}

/** @throws Error unless the operator and the offset that `view` cases read are those of `state` */
export function requireRead(
  found: { readonly operator: Uint8Array | undefined; readonly offset: bigint | undefined },
  state: PlainState,
  shape: Shape,
  who: string,
): void {
  const names = readNames(shape);
  const expected = state.operators[names.operator];
  const isSame =
    expected === undefined || found.operator === undefined
      ? expected === found.operator
      : Buffer.compare(expected, found.operator) === 0;
  if (!isSame) throw new Error(`${who}: the operator that was read differs`);
  if (found.offset !== state.sources[names.source])
    throw new Error(`${who}: the offset that was read differs`);
}

function requireSameNames(found: object, expected: object, what: string): void {
  const names = Object.keys(found).sort().join();
  if (names !== Object.keys(expected).sort().join()) throw new Error(`${what} are ${names}`);
}
