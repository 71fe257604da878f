/**
 * What people would use instead, each through its fastest documented path. Rivals that are part of Node
 * are here; those that are packages live in `compare/`, which has dependencies of its own.
 */
import { deserialize, serialize } from 'node:v8';
import { type PlainState, toBuffers } from './shapes.ts';

/** How a rival encodes a state that it holds in the form it likes best. */
export interface Rival<Live = unknown> {
  readonly name: string;
  /** What `read` has to decode to find one operator and one offset. */
  readonly reads: 'everything' | 'parts';
  /** The state as a service that uses this rival would hold it; not measured. */
  prepare(state: PlainState): Live;
  /** The bytes of `live`: in `destination` if the rival can write to a buffer that it is given. */
  encode(live: Live, destination: Buffer): Uint8Array;
  /** Everything materialised: what is returned outlives the bytes, so states are copied out of them. */
  decode(bytes: Uint8Array): PlainState;
  /** One operator's bytes and one source's offset, with as little else as the rival can do. */
  read(
    bytes: Uint8Array,
    names: { readonly operator: string; readonly source: string },
  ): {
    readonly operator: Uint8Array | undefined;
    readonly offset: bigint | undefined;
  };
}

/** The structured clone format of V8; it has no way to write into a given buffer. */
const v8Serialize: Rival<PlainState> = {
  name: 'v8.serialize',
  reads: 'everything',
  prepare: (state) => state,
  encode: (live) => serialize(live),
  decode(bytes) {
    const state = deserialize(bytes) as PlainState;
    return { ...state, operators: mapValues(state.operators, (view) => new Uint8Array(view)) };
  },
  read(bytes, names) {
    const state = deserialize(bytes) as PlainState;
    return { operator: state.operators[names.operator], offset: state.sources[names.source] };
  },
};

interface JsonState {
  readonly sequence: string;
  readonly watermarkNs: string;
  readonly eventCount: string;
  readonly operators: Readonly<Record<string, string>>;
  readonly sources: Readonly<Record<string, string>>;
}

/** JSON has neither bytes nor integers beyond 2^53: these go as base64 and as decimal text. */
const jsonBase64: Rival<PlainState> = {
  name: 'json-base64',
  reads: 'everything',
  // Buffers, because only they encode to base64.
  prepare: toBuffers,
  encode(live, destination) {
    const json: JsonState = {
      sequence: String(live.sequence),
      watermarkNs: String(live.watermarkNs),
      eventCount: String(live.eventCount),
      operators: mapValues(live.operators, (bytes) => (bytes as Buffer).toString('base64')),
      sources: mapValues(live.sources, String),
    };
    return destination.subarray(0, destination.write(JSON.stringify(json), 'utf8'));
  },
  decode(bytes) {
    const json = parse(bytes);
    return {
      sequence: BigInt(json.sequence),
      watermarkNs: BigInt(json.watermarkNs),
      eventCount: BigInt(json.eventCount),
      operators: mapValues(json.operators, (text) => Buffer.from(text, 'base64')),
      sources: mapValues(json.sources, BigInt),
    };
  },
  read(bytes, names) {
    const json = parse(bytes);
    const operator = json.operators[names.operator];
    const offset = json.sources[names.source];
    return {
      operator: operator === undefined ? undefined : Buffer.from(operator, 'base64'),
      offset: offset === undefined ? undefined : BigInt(offset),
    };
  },
};

export const NODE_RIVALS: readonly Rival[] = [v8Serialize, jsonBase64] as readonly Rival[];

/** Bytes that hold any rival's form of a state whose body has `bodyBytes` bytes. */
export function destinationBytes(bodyBytes: number): number {
  return Math.ceil(bodyBytes * 1.5) + 4_096;
}

function parse(bytes: Uint8Array): JsonState {
  return JSON.parse(
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'),
  ) as JsonState;
}

export function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  convert: (value: From) => To,
): Record<string, To> {
  const mapped: Record<string, To> = {};
  for (const name in record) mapped[name] = convert(record[name] as From);
  return mapped;
}
