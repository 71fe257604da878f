/**
 * The streams and sources of a shard: created, given images, restored from frames. The main thread
 * numbers both; a stream's number is its place among the streams of this shard.
 */

import { FRAME_FOOTER_BYTES } from '../codec/frame.ts';
import { decodeUtf8, encodeUtf8 } from '../codec/utf8.ts';
import type { CheckpointView } from '../codec/view.ts';
import { TidemarkError } from '../error.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { viewFrameAt } from '../memory/frame-view.ts';
import { carryImage, imageSizes, layOutImage, positionOf, withSource } from './image.ts';
import { type OperatorHost, restoreState } from './operator-host.ts';
import type { ShardHeap } from './shard-heap.ts';
import { ShardSource, ShardStream, type SourcePosition } from './stream.ts';

export class StreamTable {
  /** By the main thread's numbers, as the sources; undefined where a stream is forgotten. */
  readonly streams: (ShardStream | undefined)[] = [];
  readonly sources: ShardSource[] = [];
  readonly #sourceByName = new Map<string, ShardSource>();
  readonly #memory: EngineMemory;
  readonly #heap: ShardHeap;
  readonly #host: OperatorHost;
  readonly #generation: bigint;
  readonly #allowUnclaimedState: boolean;

  constructor(
    memory: EngineMemory,
    parts: { heap: ShardHeap; host: OperatorHost; generation: bigint; allowUnclaimedState: boolean },
  ) {
    this.#memory = memory;
    this.#heap = parts.heap;
    this.#host = parts.host;
    this.#generation = parts.generation;
    this.#allowUnclaimedState = parts.allowUnclaimedState;
  }

  defineSource(index: number, name: string): void {
    const source = this.#sourceNamed(name);
    source.index = index;
    this.sources[index] = source;
  }

  /** A stream without an image yet. @throws what the operators module and its operators throw */
  defineStream(index: number, name: string): void {
    this.streams[index] = new ShardStream(index, name, this.#host.host(name));
  }

  /**
   * Gives a stream its first image. Not before its first event, whose source is to be in it: laying it out
   * again for the source would write all the states twice.
   * @throws ERR_TIDEMARK_MEMORY_FULL
   */
  layOut(stream: ShardStream, source: ShardSource | undefined): void {
    this.#giveImage(stream, source === undefined ? [] : [source]);
  }

  /**
   * A stream as the frame at `address` has it. The frame is verified again: it has been on a disk.
   * @throws as `defineStream` and `layOut`; ERR_TIDEMARK_STATE_VERSION, ERR_TIDEMARK_UNCLAIMED_STATE
   */
  restoreStream(index: number, name: string, frame: { address: number; bytes: number }): void {
    const view = viewFrameAt(this.#memory, frame.address, frame.bytes);
    const stream = new ShardStream(index, name, this.#host.host(name));
    this.#requireClaimed(stream, view);
    const offsets = [...view.sources()];
    this.#giveImage(
      stream,
      offsets.map(([source]) => this.#sourceNamed(source)),
    );
    const word = stream.image / 8;
    const { u64 } = this.#memory;
    u64[word] = view.sequence;
    u64[word + 1] = view.watermarkNs;
    u64[word + 2] = view.eventCount;
    for (const [at, position] of stream.positions.entries()) {
      // Both are in the order of the body: ascending by name.
      this.#memory.view.setBigUint64(position.offsetAddress, (offsets[at] as [string, bigint])[1], true);
    }
    for (const hosted of stream.operators.byName) {
      const state = view.operator(hosted.name);
      if (state !== undefined) restoreState(name, hosted, state, view.operatorVersion(hosted.name) ?? 0);
    }
    this.streams[index] = stream;
  }

  /** Gives up a stream, its image and the states of its operators. */
  forgetStream(stream: ShardStream): void {
    if (stream.image !== 0) this.#heap.free(stream.image, stream.imageBytes);
    this.streams[stream.index] = undefined;
  }

  /** The stream's position in `source`; a first event from a source lays the image out anew. */
  ensurePosition(stream: ShardStream, source: ShardSource): SourcePosition {
    const known = positionOf(stream, source);
    if (known !== undefined) return known;
    const old = {
      address: stream.image,
      bytes: stream.imageBytes,
      sourcesAt: stream.sourcesAt,
      offsets: stream.positions.map((position) => ({
        source: position.source,
        address: position.offsetAddress,
      })),
    };
    const sources = stream.positions.map((position) => position.source);
    this.#giveImage(stream, withSource(sources, source));
    carryImage(this.#memory, stream, old);
    this.#heap.free(old.address, old.bytes);
    return positionOf(stream, source) as SourcePosition;
  }

  /** Name of a definition record's subject, from its UTF-8 in shared memory. */
  readName(address: number, bytes: number): string {
    const name = decodeUtf8(this.#memory.u8, address, address + bytes);
    if (name === undefined) throw new TypeError('a definition record holds no UTF-8');
    return name;
  }

  #giveImage(stream: ShardStream, sources: readonly ShardSource[]): void {
    const nameBytes = encodeUtf8(stream.name, 'stream').length;
    const sizes = imageSizes(stream.operators, sources, nameBytes);
    const bytes = sizes.bodyBytes + sizes.extensionBytes;
    const address = this.#heap.allocateImage(bytes, bytes + FRAME_FOOTER_BYTES, stream.name);
    layOutImage(this.#memory, stream, { address, bytes, sizes, generation: this.#generation, sources });
  }

  #sourceNamed(name: string): ShardSource {
    let source = this.#sourceByName.get(name);
    if (source === undefined) {
      source = new ShardSource(name, encodeUtf8(name, 'source'));
      this.#sourceByName.set(name, source);
    }
    return source;
  }

  #requireClaimed(stream: ShardStream, view: CheckpointView): void {
    if (this.#allowUnclaimedState) return;
    const claimed = new Set(stream.operators.byName.map((hosted) => hosted.name));
    for (const [name] of view.operators()) {
      if (claimed.has(name)) continue;
      throw new TidemarkError(
        'ERR_TIDEMARK_UNCLAIMED_STATE',
        `the stored state of operator '${name}' of stream '${stream.name}' belongs to no operator; bring the operator back, or open with allowUnclaimedState: true to drop its state`,
      );
    }
  }
}
