/**
 * protobufjs with a reflected type (the code that it generates is that of a static one) and one writer for
 * each destination, which is reset and whose bytes are taken without a copy. To read one operator, the
 * entries are walked with the documented `Reader`; nothing else is decoded.
 */

import { mapValues, type Rival } from '../rivals.ts';
import type { PlainState } from '../shapes.ts';
import { load } from './packages.ts';

/** The root of protobufjs' 64-bit integers: two 32-bit halves. */
interface Long {
  readonly low: number;
  readonly high: number;
}

interface Message {
  readonly sequence: Long;
  readonly watermarkNs: Long;
  readonly eventCount: Long;
  readonly operators: Readonly<Record<string, Uint8Array>>;
  readonly sources: Readonly<Record<string, Long>>;
}

interface Writer {
  reset(): Writer;
  /** With `true`: the writer's own bytes, valid until it is used again. */
  finish(isShared: boolean): Uint8Array;
}

interface Reader {
  readonly len: number;
  pos: number;
  uint32(): number;
  string(): string;
  bytes(): Uint8Array;
  fixed64(): Long;
  skipType(wireType: number): Reader;
}

interface MessageType {
  create(fields: Message): Message;
  encode(message: Message, writer: Writer): Writer;
  decode(bytes: Uint8Array): Message;
}

interface Protobuf {
  parse(source: string): { readonly root: { lookupType(name: string): MessageType } };
  readonly Writer: { create(): Writer };
  readonly Reader: { create(bytes: Uint8Array): Reader };
  readonly util: { readonly Long: { fromBits(low: number, high: number, isUnsigned: boolean): Long } };
}

const SCHEMA = `
  syntax = "proto3";
  message Checkpoint {
    fixed64 sequence = 1;
    fixed64 watermarkNs = 2;
    fixed64 eventCount = 3;
    map<string, bytes> operators = 4;
    map<string, fixed64> sources = 5;
  }
`;
const OPERATORS = 4;
const SOURCES = 5;
const ENTRY_KEY = 1;

export async function protobufjs(): Promise<Rival<Message>> {
  const { default: protobuf } = await load<{ readonly default: Protobuf }>('protobufjs');
  const type = protobuf.parse(SCHEMA).root.lookupType('Checkpoint');
  const toLong = (value: bigint): Long =>
    protobuf.util.Long.fromBits(
      Number(BigInt.asIntN(32, value)),
      Number(BigInt.asIntN(32, value >> 32n)),
      true,
    );
  const writers = new Map<Buffer, Writer>();
  return {
    name: 'protobufjs',
    reads: 'parts',
    prepare: (state) =>
      type.create({
        sequence: toLong(state.sequence),
        watermarkNs: toLong(state.watermarkNs),
        eventCount: toLong(state.eventCount),
        operators: state.operators,
        sources: mapValues(state.sources, toLong),
      }),
    encode(live, destination) {
      // A writer brings its own memory, which stands for the destination.
      let writer = writers.get(destination);
      if (writer === undefined) {
        writer = protobuf.Writer.create();
        writers.set(destination, writer);
      }
      return type.encode(live, writer.reset()).finish(true);
    },
    decode(bytes) {
      const message = type.decode(bytes);
      return {
        sequence: toBigInt(message.sequence),
        watermarkNs: toBigInt(message.watermarkNs),
        eventCount: toBigInt(message.eventCount),
        operators: mapValues(message.operators, (view) => new Uint8Array(view)),
        sources: mapValues(message.sources, toBigInt),
      } satisfies PlainState;
    },
    read: (bytes, names) => readParts(protobuf.Reader.create(bytes), names),
  };
}

function readParts(
  reader: Reader,
  names: { readonly operator: string; readonly source: string },
): { readonly operator: Uint8Array | undefined; readonly offset: bigint | undefined } {
  let operator: Uint8Array | undefined;
  let offset: bigint | undefined;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const field = tag >>> 3;
    if (field !== OPERATORS && field !== SOURCES) {
      reader.skipType(tag & 7);
      continue;
    }
    const end = reader.uint32() + reader.pos;
    let key = '';
    while (reader.pos < end) {
      const entryTag = reader.uint32();
      if (entryTag >>> 3 === ENTRY_KEY) key = reader.string();
      else if (field === OPERATORS && key === names.operator) operator = reader.bytes();
      else if (field === SOURCES && key === names.source) offset = toBigInt(reader.fixed64());
      else reader.skipType(entryTag & 7);
    }
  }
  return { operator, offset };
}

function toBigInt(long: Long): bigint {
  return (BigInt(long.high >>> 0) << 32n) | BigInt(long.low >>> 0);
}
