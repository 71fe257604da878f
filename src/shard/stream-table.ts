/**
 * The streams and sources of a shard: created, given images, restored from frames. The main thread
 * numbers both; a stream's number is its place among the streams of this shard.
 */

import { BODY_EVENT_COUNT, BODY_OPERATOR_COUNT } from '../codec/body.ts';
import { FRAME_FOOTER_BYTES } from '../codec/frame.ts';
import { decodeUtf8, encodeUtf8 } from '../codec/utf8.ts';
import type { CheckpointView } from '../codec/view.ts';
import { TidemarkError } from '../error.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { viewFrameAt } from '../memory/frame-view.ts';
import { ImageDirectory, type LastingImage } from '../memory/image-directory.ts';
import { PAGE_BYTES } from '../memory/size-classes.ts';
import {
  adoptImage,
  carryImage,
  type ImageSizes,
  imageSizes,
  layOutImage,
  positionOf,
  sourceNamesIn,
  withSource,
} from './image.ts';
import { type OperatorHost, resetState, restoreState } from './operator-host.ts';
import type { ShardHeap } from './shard-heap.ts';
import { ShardSource, ShardStream, type SourcePosition } from './stream.ts';
import { StreamColumns } from './stream-row.ts';

/** Key of the metadata of a checkpoint whose stream is set aside. */
export const ASIDE_KEY = 'tidemark.quarantine';

export interface StreamTableParts {
  readonly heap: ShardHeap;
  readonly host: OperatorHost;
  readonly directory: ImageDirectory;
  /** Images that have their streams' records up to this position of the ring, at least, may outlive the thread. */
  readonly lastingFrom: number;
  readonly generation: bigint;
  readonly allowUnclaimedState: boolean;
  /** The stream's image grows too long to outlive the thread: what it holds has to be covered before it moves. */
  readonly onEndLasting: (stream: ShardStream) => void;
}

export class StreamTable {
  readonly columns = new StreamColumns();
  /** By the main thread's numbers, as the sources; undefined where a stream is forgotten. */
  readonly streams: readonly (ShardStream | undefined)[] = this.columns.streams;
  readonly sources: ShardSource[] = [];
  readonly #sourceByName = new Map<string, ShardSource>();
  readonly #memory: EngineMemory;
  readonly #parts: StreamTableParts;

  constructor(memory: EngineMemory, parts: StreamTableParts) {
    this.#memory = memory;
    this.#parts = parts;
  }

  defineSource(index: number, name: string): ShardSource {
    const source = this.#sourceNamed(name);
    source.index = index;
    this.sources[index] = source;
    return source;
  }

  /** A stream without an image yet. @throws what the operators module and its operators throw */
  defineStream(index: number, name: string): ShardStream {
    return new ShardStream(this.columns, index, name, this.#parts.host.host(name));
  }

  /**
   * Gives a stream its first image, at the record at `position` of the ring. Not before its first event, whose source is
   * to be in it: laying it out again for the source would write all the states twice.
   * @throws ERR_TIDEMARK_MEMORY_FULL
   */
  layOut(stream: ShardStream, source: ShardSource | undefined, position: number): void {
    this.#giveImage(stream, source === undefined ? [] : [source]);
    this.#enter(stream, position, 0);
  }

  /**
   * A stream as the frame at `address` has it, with all its records before `readTo` of the ring. The frame is verified
   * again: it may have been on a disk. Returns its metadata, if it has some.
   * @throws as `defineStream` and `layOut`; ERR_TIDEMARK_STATE_VERSION, ERR_TIDEMARK_UNCLAIMED_STATE
   */
  restoreStream(
    stream: ShardStream,
    frame: { address: number; bytes: number; readTo: number },
  ): ReadonlyMap<string, string> | undefined {
    const { name } = stream;
    const view = viewFrameAt(this.#memory, frame.address, frame.bytes);
    this.#requireClaimed(stream, view);
    const offsets = [...view.sources()];
    this.#giveImage(
      stream,
      offsets.map(([source]) => this.#sourceNamed(source)),
    );
    this.#writeCounters(stream, view);
    for (const [at, position] of stream.positions.entries()) {
      // Both are in the order of the body: ascending by name.
      this.#memory.view.setBigUint64(position.offsetAddress, (offsets[at] as [string, bigint])[1], true);
    }
    for (const hosted of stream.operators.byName) {
      const state = view.operator(hosted.name);
      if (state !== undefined) restoreState(name, hosted, state, view.operatorVersion(hosted.name) ?? 0);
    }
    this.noteFrame(stream, frame);
    this.#enter(stream, frame.readTo, Number(view.eventCount));
    return view.hasMetadata ? view.metadata() : undefined;
  }

  /** The frame is the newest of the stream, and has all that its image has. */
  noteFrame(stream: ShardStream, { address, bytes }: { address: number; bytes: number }): void {
    stream.frameAddress = address;
    stream.frameBytes = bytes;
    stream.frameCount = this.#memory.u32[(stream.image + BODY_EVENT_COUNT) >>> 2] as number;
  }

  /**
   * Puts the stream, whose image does not outlive the thread, back to what its newest frame has, or to what it began
   * with; sources that came later stay, unread. False, and nothing has changed: the frame has left memory.
   * @throws ERR_TIDEMARK_OPERATOR
   */
  rewind(stream: ShardStream): boolean {
    const view = stream.frameBytes === 0 ? undefined : this.#newestFrame(stream);
    if (view === undefined && stream.frameBytes !== 0) return false;
    if (view === undefined) this.#memory.u8.fill(0, stream.image, stream.image + BODY_OPERATOR_COUNT);
    else this.#writeCounters(stream, view);
    for (const { source, offsetAddress } of stream.positions)
      this.#memory.view.setBigUint64(offsetAddress, view?.sourceOffset(source.name) ?? 0n, true);
    for (const hosted of stream.operators.byName) {
      const state = view?.operator(hosted.name);
      if (state === undefined) resetState(stream.name, hosted);
      else restoreState(stream.name, hosted, state, view?.operatorVersion(hosted.name) ?? 0);
    }
    return true;
  }

  /** Main may have given its memory back: then something else is there. What is there does not change meanwhile. */
  #newestFrame({ name, frameAddress, frameBytes, frameCount }: ShardStream): CheckpointView | undefined {
    try {
      const view = viewFrameAt(this.#memory, frameAddress, frameBytes);
      const isOfStream = view.streamId === name && Number(view.eventCount & 0xffff_ffffn) === frameCount;
      return isOfStream ? view : undefined;
    } catch (error) {
      if ((error as TidemarkError).code === 'ERR_TIDEMARK_DAMAGED_FRAME') return undefined;
      throw error;
    }
  }

  #writeCounters({ image }: ShardStream, view: CheckpointView): void {
    const { u64 } = this.#memory;
    const word = image / 8;
    u64[word] = view.sequence;
    u64[word + 1] = view.watermarkNs;
    u64[word + 2] = view.eventCount;
  }

  /** Goes on with an image that has outlived its thread. @throws ERR_TIDEMARK_OPERATOR if it is not that of the operators */
  adoptStream(stream: ShardStream, { image, bytes }: LastingImage): void {
    const { sourcesAt } = this.#sizes(stream, []);
    const sources = [...sourceNamesIn(this.#memory, image, sourcesAt)].map((name) => this.#sourceNamed(name));
    const sizes = this.#sizes(stream, sources);
    if (sizes.bodyBytes + sizes.extensionBytes !== bytes) {
      throw new TidemarkError(
        'ERR_TIDEMARK_OPERATOR',
        `the operators of stream '${stream.name}' are others than they were before their thread ended; make the operators module depend on the stream's name alone`,
      );
    }
    adoptImage(stream, { address: image, sizes, sources });
    stream.keptBytes = stream.bodyBytes;
  }

  /** Gives up a stream and the states of its operators; its image is freed by `freeImage`. */
  forgetStream(stream: ShardStream): void {
    this.columns.end(stream.index);
  }

  /** Frees its cover, too. */
  freeImage(stream: ShardStream): void {
    if (stream.image === 0) return;
    if (stream.keptBytes > 0 || stream.coverAddress !== 0) this.#parts.directory.remove(stream.index);
    this.freeCover(stream);
    this.#parts.heap.free(stream.image, stream.imageBytes);
  }

  /** The directory has it no more. */
  freeCover(stream: ShardStream): void {
    if (stream.coverAddress !== 0) this.#parts.heap.free(stream.coverAddress, stream.coverBytes);
    stream.coverAddress = 0;
    stream.coverBytes = 0;
    stream.isCoverStale = false;
  }

  /** The stream's position in `source`; a first event from a source lays the image out anew. */
  ensurePosition(stream: ShardStream, source: ShardSource): SourcePosition {
    const known = positionOf(stream, source);
    if (known !== undefined) return known;
    const sources = withSource(
      stream.positions.map((position) => position.source),
      source,
    );
    const { directory, onEndLasting } = this.#parts;
    if (stream.keptBytes > 0 && !ImageDirectory.canHold(this.#sizes(stream, sources).bodyBytes)) {
      onEndLasting(stream);
      stream.keptBytes = 0;
    }
    const old = {
      address: stream.image,
      bytes: stream.imageBytes,
      sourcesAt: stream.sourcesAt,
      offsets: stream.positions.map((position) => ({
        source: position.source,
        address: position.offsetAddress,
      })),
    };
    this.#giveImage(stream, sources);
    carryImage(this.#memory, stream, old);
    if (stream.keptBytes > 0) {
      directory.move(stream.index, stream.image, stream.imageBytes);
      stream.keptBytes = stream.bodyBytes;
    }
    this.#parts.heap.free(old.address, old.bytes);
    return positionOf(stream, source) as SourcePosition;
  }

  /** As `ensurePosition`, of a source that need not be defined. */
  positionIn(stream: ShardStream, source: string): SourcePosition {
    return this.ensurePosition(stream, this.#sourceNamed(source));
  }

  /** Name of a definition record's subject, from its UTF-8 in shared memory. */
  readName(address: number, bytes: number): string {
    const name = decodeUtf8(this.#memory.u8, address, address + bytes);
    if (name === undefined) throw new TypeError('a definition record holds no UTF-8');
    return name;
  }

  #sizes(stream: ShardStream, sources: readonly ShardSource[]): ImageSizes {
    return imageSizes(stream.operators, sources, encodeUtf8(stream.name, 'stream').length);
  }

  #giveImage(stream: ShardStream, sources: readonly ShardSource[]): void {
    const { heap, generation } = this.#parts;
    const sizes = this.#sizes(stream, sources);
    const bytes = sizes.bodyBytes + sizes.extensionBytes;
    const address = heap.allocateImage(bytes, bytes + FRAME_FOOTER_BYTES, stream.name);
    layOutImage(this.#memory, stream, { address, bytes, sizes, generation, sources });
  }

  /** The first image of the stream, which has its records up to `readTo`, is complete; if it can, from here on it lasts. */
  #enter(stream: ShardStream, readTo: number, restoredCount: number): void {
    const { directory, heap, lastingFrom } = this.#parts;
    const { bodyBytes, image, imageBytes, index, operators } = stream;
    // What lasts has all events that the threads before this one have done.
    if (operators.hasHeap || !ImageDirectory.isFor(index, bodyBytes) || readTo < lastingFrom) return;
    if (!directory.hasPageFor(index))
      directory.addPage(index, heap.allocateImage(PAGE_BYTES, 0, stream.name));
    directory.add(index, { image, bytes: imageBytes, begunAt: readTo, restoredCount });
    stream.keptBytes = bodyBytes;
    // It was in the image's place, and is what the stream was restored from.
    this.freeCover(stream);
  }

  #sourceNamed(name: string): ShardSource {
    let source = this.#sourceByName.get(name);
    if (source === undefined) {
      source = new ShardSource(this.#sourceByName.size + 1, name, encodeUtf8(name, 'source'));
      this.#sourceByName.set(name, source);
    }
    return source;
  }

  #requireClaimed(stream: ShardStream, view: CheckpointView): void {
    if (this.#parts.allowUnclaimedState) return;
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
