/**
 * Streams as a shard holds them: images in an engine's memory, with operators whose states are in slots
 * or on the heap. This is what the `tidemark` subjects encode from, with the shard's own code.
 */

import { FRAME_FOOTER_BYTES } from '../src/codec/frame.ts';
import { compareUtf8, encodeUtf8 } from '../src/codec/utf8.ts';
import { EngineMemory } from '../src/memory/engine-memory.ts';
import { MAIN_BLOCK_BYTES } from '../src/memory/layout.ts';
import { writeFrame } from '../src/shard/frame-writer.ts';
import { imageSizes, layOutImage } from '../src/shard/image.ts';
import type { Operator } from '../src/shard/operator.ts';
import { OperatorHost } from '../src/shard/operator-host.ts';
import { ShardSource, ShardStream } from '../src/shard/stream.ts';
import { StreamColumns } from '../src/shard/stream-row.ts';
import { type PlainState, STREAM } from './shapes.ts';

/** Places that a subject writes to in turn. */
const DESTINATIONS = 8;
/** Every part is on pages of its own. */
const PAGE_BYTES = 4_096;

export interface FrameRange {
  readonly address: number;
  readonly bytes: number;
}

/** One version of a stream, live. */
interface LiveVersion {
  readonly stream: ShardStream;
  readonly state: PlainState;
}

export class LiveStreams {
  readonly memory: EngineMemory;
  readonly bodyBytes: number;
  readonly frameBytes: number;
  readonly versions: readonly LiveVersion[];
  readonly #destinations: readonly number[];

  constructor(states: readonly PlainState[], kind: Operator['kind']) {
    const bodyBytes = Math.max(...states.map(bodyBytesOf));
    const room = Math.ceil((bodyBytes * 1.1 + 2 * PAGE_BYTES) / PAGE_BYTES) * PAGE_BYTES;
    this.memory = EngineMemory.reserve(MAIN_BLOCK_BYTES + room * (states.length + DESTINATIONS));
    let next = MAIN_BLOCK_BYTES;
    const take = (): number => {
      const address = next;
      next += room;
      return address;
    };
    this.versions = states.map((state) => ({ state, stream: this.#goLive(state, kind, take()) }));
    this.#destinations = Array.from({ length: DESTINATIONS }, take);
    this.bodyBytes = bodyBytes;
    this.frameBytes = this.frameAt(0).bytes;
  }

  versionAt(turn: number): LiveVersion {
    return this.versions[turn % this.versions.length] as LiveVersion;
  }

  destinationAt(turn: number): number {
    return this.#destinations[turn % DESTINATIONS] as number;
  }

  /** Takes a checkpoint: the whole of what a shard does for one, but for the allocation. */
  frameAt(turn: number): FrameRange {
    const frame = writeFrame(this.memory, this.versionAt(turn).stream, {
      createdAtMs: 1_700_000_000_000,
      allocate: () => this.destinationAt(turn),
    });
    return frame as FrameRange;
  }

  #goLive(state: PlainState, kind: Operator['kind'], address: number): ShardStream {
    const { memory } = this;
    const host = new OperatorHost(memory, () =>
      Object.entries(state.operators).map((entry) => makeOperator(kind, ...entry)),
    );
    const stream = new ShardStream(new StreamColumns(), 0, STREAM, host.host(STREAM));
    const sources = Object.keys(state.sources)
      .sort(compareUtf8)
      .map((name, at) => new ShardSource(at + 1, name, encodeUtf8(name, 'source')));
    const sizes = imageSizes(stream.operators, sources, STREAM.length);
    const bytes = sizes.bodyBytes + sizes.extensionBytes + FRAME_FOOTER_BYTES;
    layOutImage(memory, stream, { address, bytes, sizes, generation: 1n, sources });
    memory.view.setBigUint64(address, state.sequence, true);
    memory.view.setBigUint64(address + 8, state.watermarkNs, true);
    memory.view.setBigUint64(address + 16, state.eventCount, true);
    for (const { source, offsetAddress } of stream.positions) {
      memory.view.setBigUint64(offsetAddress, state.sources[source.name] as bigint, true);
    }
    for (const hosted of stream.operators.byName) {
      if (hosted.kind === 'slot') hosted.slot.bytes.set(state.operators[hosted.name] as Uint8Array);
    }
    return stream;
  }
}

function makeOperator(kind: Operator['kind'], name: string, bytes: Uint8Array): Operator {
  const common = { name, version: 1, process: () => undefined };
  if (kind === 'slot') return { ...common, kind, bytes: bytes.length };
  // The state is its own snapshot: what a heap operator spends on making one is the operator's affair.
  return { ...common, kind, create: () => bytes, snapshot: () => bytes, restore: (restored) => restored };
}

function bodyBytesOf(state: PlainState): number {
  let bytes = 32;
  for (const [name, operator] of Object.entries(state.operators)) bytes += 8 + name.length + operator.length;
  for (const name of Object.keys(state.sources)) bytes += 12 + name.length;
  return bytes;
}
