/**
 * bson with `serializeWithBufferAndIndex`. Its integers are signed, so a value beyond 2^63 would not come
 * back; none of the shapes has one. To read one operator, the elements of the document are found with
 * `onDemand` (still experimental), which decodes none of them.
 */
import { mapValues, type Rival } from '../rivals.ts';
import { load } from './packages.ts';

interface Long {
  toBigInt(): bigint;
}

interface LiveDocument {
  readonly sequence: Long;
  readonly watermarkNs: Long;
  readonly eventCount: Long;
  readonly operators: Readonly<Record<string, object>>;
  readonly sources: Readonly<Record<string, Long>>;
}

interface DecodedDocument {
  readonly sequence: bigint;
  readonly watermarkNs: bigint;
  readonly eventCount: bigint;
  readonly operators: Readonly<Record<string, Uint8Array>>;
  readonly sources: Readonly<Record<string, bigint>>;
}

/** Type, where the name is and how long, where the value is and how long. */
type Element = readonly [type: number, nameAt: number, nameBytes: number, at: number, bytes: number];

interface Bson {
  readonly Long: { fromBigInt(value: bigint): Long };
  readonly Binary: new (bytes: Uint8Array) => object;
  /** Position of the last byte. */
  serializeWithBufferAndIndex(document: object, buffer: Uint8Array, options: { index: number }): number;
  deserialize(
    bytes: Uint8Array,
    options: { readonly useBigInt64: true; readonly promoteBuffers: true },
  ): DecodedDocument;
  setInternalBufferSize(bytes: number): void;
  readonly onDemand: { parseToElements(bytes: Uint8Array, startOffset?: number): Iterable<Element> };
}

const DECODING = { useBigInt64: true, promoteBuffers: true } as const;
/** It serialises into a buffer of its own first, which must hold the largest shape. */
const INTERNAL_BYTES = 24 * 2 ** 20;
/** A binary's length and subtype stand before its bytes. */
const BINARY_HEAD_BYTES = 5;

export async function bson(): Promise<Rival<LiveDocument>> {
  const library = await load<Bson>('bson');
  const { Long, Binary } = library;
  library.setInternalBufferSize(INTERNAL_BYTES);
  const toLong = (value: bigint): Long => Long.fromBigInt(value);
  return {
    name: 'bson',
    reads: 'parts',
    prepare: (state) => ({
      sequence: toLong(state.sequence),
      watermarkNs: toLong(state.watermarkNs),
      eventCount: toLong(state.eventCount),
      operators: mapValues(state.operators, (bytes) => new Binary(bytes)),
      sources: mapValues(state.sources, toLong),
    }),
    encode(live, destination) {
      const last = library.serializeWithBufferAndIndex(live, destination, { index: 0 });
      return destination.subarray(0, last + 1);
    },
    decode(bytes) {
      const state = library.deserialize(bytes, DECODING);
      return { ...state, operators: mapValues(state.operators, (view) => new Uint8Array(view)) };
    },
    read(bytes, names) {
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const document = elements(library, buffer, 0);
      const operators = elements(library, buffer, find(buffer, document, 'operators')?.[3] ?? 0);
      const sources = elements(library, buffer, find(buffer, document, 'sources')?.[3] ?? 0);
      const operator = find(buffer, operators, names.operator);
      const source = find(buffer, sources, names.source);
      return {
        operator: operator && buffer.subarray(operator[3] + BINARY_HEAD_BYTES, operator[3] + operator[4]),
        offset: source && buffer.readBigInt64LE(source[3]),
      };
    },
  };
}

function elements(library: Bson, buffer: Buffer, at: number): Iterable<Element> {
  return library.onDemand.parseToElements(buffer, at);
}

function find(buffer: Buffer, candidates: Iterable<Element>, name: string): Element | undefined {
  for (const element of candidates) {
    const [, nameAt, nameBytes] = element;
    if (nameBytes === name.length && buffer.toString('latin1', nameAt, nameAt + nameBytes) === name)
      return element;
  }
  return undefined;
}
