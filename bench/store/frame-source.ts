/**
 * Frames for the store suite, in an engine's memory as a shard leaves them: real ones, sealed with their
 * checksum, of exactly the bytes that a case asks for. A frame's bytes follow from its stream and its sequence,
 * so whatever is read back can be compared with them. Their states are random bytes, which no store can compress.
 */
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { encodeFrame, verifyFrame } from '../../src/codec/frame.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { MAIN_BLOCK_BYTES } from '../../src/memory/layout.ts';

const ALIGN_BYTES = 64;
/** A state is a range of the random bytes that begins at one of so many places, a cache line apart. */
const STATE_PLACES = 509;
/** All names have as many bytes as this one. */
const ANY_STREAM = streamName(0);

/** Fixed, so that every run and every subject saves the same bytes in the same order. */
const SEED = 0x5eed_0001;

export function streamName(index: number): string {
  return `stream-${String(index).padStart(7, '0')}`;
}

/** Bytes that a frame takes in memory. */
export function alignedBytes(frameBytes: number): number {
  return Math.ceil(frameBytes / ALIGN_BYTES) * ALIGN_BYTES;
}

export class FrameSource {
  readonly memory: EngineMemory;
  readonly #frameBytes: number;
  readonly #template: number;
  readonly #random: number;
  readonly #slots: number;
  readonly #spare: number;
  /** Within a frame. */
  readonly #stateAt: number;
  readonly #stateBytes: number;
  readonly #nameAt: number;
  readonly #bodyBytes: number;
  readonly #extensionBytes: number;

  /** With `slots` places for frames of `frameBytes`. */
  constructor(frameBytes: number, slots: number) {
    const stateBytes = frameBytes - makeFrame(new Uint8Array(0)).length;
    const random = randomBytes(stateBytes + STATE_PLACES * ALIGN_BYTES);
    const template = makeFrame(random.subarray(0, stateBytes));
    if (template.length !== frameBytes) throw new Error(`a frame of ${frameBytes} bytes cannot be made`);
    const room = alignedBytes(frameBytes);
    this.#template = MAIN_BLOCK_BYTES;
    this.#spare = this.#template + room;
    this.#slots = this.#spare + room;
    this.#random = this.#slots + slots * room;
    this.memory = EngineMemory.reserve(this.#random + random.length);
    this.memory.u8.set(template, this.#template);
    this.memory.u8.set(random, this.#random);
    const { bodyEnd, extensionEnd } = verifyFrame(template);
    this.#frameBytes = frameBytes;
    this.#bodyBytes = bodyEnd;
    this.#extensionBytes = extensionEnd - bodyEnd;
    this.#stateBytes = stateBytes;
    this.#stateAt = Buffer.from(template.buffer).indexOf(random.subarray(0, ALIGN_BYTES));
    this.#nameAt = Buffer.from(template.buffer).indexOf(ANY_STREAM, bodyEnd);
  }

  /** The frame of a stream at a sequence, in the place number `slot`. */
  write(slot: number, stream: number, sequence: number): Uint8Array {
    return this.#write(this.#slots + slot * alignedBytes(this.#frameBytes), stream, sequence);
  }

  /** The same in a place of its own; good until the next call. */
  expected(stream: number, sequence: number): Uint8Array {
    return this.#write(this.#spare, stream, sequence);
  }

  #write(address: number, stream: number, sequence: number): Uint8Array {
    const { kernel, view, text, u8 } = this.memory;
    const state = this.#random + ((stream * 31 + sequence * 7) % STATE_PLACES) * ALIGN_BYTES;
    kernel.copy(address, this.#template, this.#frameBytes);
    kernel.copy(address + this.#stateAt, state, this.#stateBytes);
    text.write(streamName(stream), address + this.#nameAt, 'latin1');
    // A body begins with its sequence.
    view.setBigUint64(address, BigInt(sequence), true);
    kernel.seal(address, this.#bodyBytes, this.#extensionBytes);
    return u8.subarray(address, address + this.#frameBytes);
  }
}

function makeFrame(stateBytes: Uint8Array): Uint8Array {
  const state = new CheckpointState(new CheckpointId(ANY_STREAM, 1n, new Date(1_700_000_000_000)));
  state.setOperatorState('operator', stateBytes);
  return encodeFrame(state, { generation: 1n });
}

function randomBytes(length: number): Uint8Array {
  const random = new Random();
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i++) words[i] = random.next();
  return new Uint8Array(words.buffer, 0, length);
}

/** Marsaglia's xorshift32: the same sequence everywhere. */
export class Random {
  #state = SEED;

  /** An unsigned 32-bit integer. */
  next(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }

  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 32) * limit);
  }
}
