/**
 * avsc with `encode` into a given buffer. Unsigned 64-bit integers are `fixed` fields of eight bytes, held
 * as such: Avro's own long has a sign, and takes bigints only through a slower custom type.
 */
import { mapValues, type Rival } from '../rivals.ts';
import { toBuffers } from '../shapes.ts';
import { load } from './packages.ts';

interface AvroState {
  readonly sequence: Buffer;
  readonly watermarkNs: Buffer;
  readonly eventCount: Buffer;
  readonly operators: Readonly<Record<string, Uint8Array>>;
  readonly sources: Readonly<Record<string, Buffer>>;
}

interface AvroType {
  /** Where the bytes end, or minus the bytes that there was no room for. */
  encode(value: AvroState, buffer: Buffer, at: number): number;
  fromBuffer(buffer: Buffer): AvroState;
  readonly recordConstructor: new (...fields: readonly unknown[]) => AvroState;
}

interface Avro {
  readonly Type: { forSchema(schema: object): AvroType };
}

const U64 = { type: 'fixed', name: 'U64', size: 8 };
const SCHEMA = {
  type: 'record',
  name: 'Checkpoint',
  fields: [
    { name: 'sequence', type: U64 },
    { name: 'watermarkNs', type: 'U64' },
    { name: 'eventCount', type: 'U64' },
    { name: 'operators', type: { type: 'map', values: 'bytes' } },
    { name: 'sources', type: { type: 'map', values: 'U64' } },
  ],
};

export async function avsc(): Promise<Rival<AvroState>> {
  const { default: avro } = await load<{ readonly default: Avro }>('avsc');
  const type = avro.Type.forSchema(SCHEMA);
  // The class that avsc decodes to, which it also encodes best.
  const Checkpoint = type.recordConstructor;
  return {
    name: 'avsc',
    reads: 'everything',
    prepare: (state) =>
      new Checkpoint(
        toFixed(state.sequence),
        toFixed(state.watermarkNs),
        toFixed(state.eventCount),
        toBuffers(state).operators,
        mapValues(state.sources, toFixed),
      ),
    encode(live, destination) {
      const end = type.encode(live, destination, 0);
      if (end < 0) throw new Error(`avsc: the destination lacks ${-end} bytes`);
      return destination.subarray(0, end);
    },
    // What it decodes to are copies already.
    decode(bytes) {
      const state = type.fromBuffer(asBuffer(bytes));
      return {
        sequence: toBigInt(state.sequence),
        watermarkNs: toBigInt(state.watermarkNs),
        eventCount: toBigInt(state.eventCount),
        operators: state.operators,
        sources: mapValues(state.sources, toBigInt),
      };
    },
    read(bytes, names) {
      const state = type.fromBuffer(asBuffer(bytes));
      const offset = state.sources[names.source];
      return {
        operator: state.operators[names.operator],
        offset: offset === undefined ? undefined : toBigInt(offset),
      };
    },
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toFixed(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function toBigInt(bytes: Buffer): bigint {
  return bytes.readBigUInt64LE();
}
