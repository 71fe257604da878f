/**
 * msgpackr and cbor-x, which share their authors and their shape: records whose names are kept once in
 * shared structures, packed into a buffer that is given with `useBuffer`. Their bytes can be read only
 * with the structures, which a service would have to keep as well; they are not counted here.
 */

import type { Rival } from '../rivals.ts';
import { type PlainState, toBuffers } from '../shapes.ts';
import { load } from './packages.ts';

interface Codec {
  useBuffer(buffer: Buffer): void;
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

interface CodecOptions {
  readonly structures: unknown[];
  readonly maxSharedStructures: number;
  /** Decoded bytes are copies; else they are views. */
  readonly copyBuffers?: boolean;
}

type CodecClass = new (options: CodecOptions) => Codec;

/** Integers that fit in a double come back from cbor-x as numbers. */
interface DecodedState {
  readonly sequence: bigint | number;
  readonly watermarkNs: bigint | number;
  readonly eventCount: bigint | number;
  readonly operators: Readonly<Record<string, Uint8Array>>;
  readonly sources: Readonly<Record<string, bigint | number>>;
}

export async function msgpackr(): Promise<Rival<PlainState>> {
  const { Packr } = await load<{ readonly Packr: CodecClass }>('msgpackr');
  return recordsOf('msgpackr', Packr);
}

export async function cborX(): Promise<Rival<PlainState>> {
  const { Encoder } = await load<{ readonly Encoder: CodecClass }>('cbor-x');
  return recordsOf('cbor-x', Encoder);
}

function recordsOf(name: string, Codec: CodecClass): Rival<PlainState> {
  const options: CodecOptions = { structures: [], maxSharedStructures: 64 };
  const codec = new Codec(options);
  const copying = new Codec({ ...options, copyBuffers: true });
  return {
    name,
    reads: 'everything',
    prepare: toBuffers,
    encode(live, destination) {
      codec.useBuffer(destination);
      return codec.encode(live);
    },
    decode: (bytes) => toPlain(copying.decode(bytes) as DecodedState),
    read(bytes, names) {
      const state = codec.decode(bytes) as DecodedState;
      const offset = state.sources[names.source];
      return {
        operator: state.operators[names.operator],
        offset: offset === undefined ? undefined : BigInt(offset),
      };
    },
  };
}

function toPlain(state: DecodedState): PlainState {
  const sources: Record<string, bigint> = {};
  for (const name in state.sources) sources[name] = BigInt(state.sources[name] as bigint | number);
  return {
    sequence: BigInt(state.sequence),
    watermarkNs: BigInt(state.watermarkNs),
    eventCount: BigInt(state.eventCount),
    operators: state.operators,
    sources,
  };
}
