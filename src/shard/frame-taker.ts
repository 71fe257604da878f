/**
 * Takes the frames of a shard: checkpoints, which main is told of, their lows first, and which go on to the durable
 * store; and covers, which only keep a stream's records from being read again, and stay here.
 */
import type { Clock } from '../clock.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { ImageDirectory } from '../memory/image-directory.ts';
import { PAGE_BYTES } from '../memory/size-classes.ts';
import type { Completions } from './completions.ts';
import { encodeMetadata, type Frame, type Metadata, writeFrame } from './frame-writer.ts';
import { lettersEntries } from './letters.ts';
import type { ReplayWindow } from './replay-window.ts';
import type { ShardHeap } from './shard-heap.ts';
import type { SourceReports } from './source-reports.ts';
import type { ShardStream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';
import type { Triggers } from './triggers.ts';

export interface FrameTakerParts {
  readonly table: StreamTable;
  readonly heap: ShardHeap;
  readonly directory: ImageDirectory;
  readonly completions: Completions;
  readonly window: ReplayWindow;
  readonly triggers: Triggers;
  readonly reports: SourceReports;
  readonly beat: () => void;
}

/** In all calls, what the stream has read before `position` of the ring is in its state; `now` is as for the triggers. */
export class FrameTaker {
  readonly #memory: EngineMemory;
  readonly #clock: Clock;
  readonly #parts: FrameTakerParts;
  /** Streams whose covers are replaced by checkpoints that main may not know of yet. */
  #stale: ShardStream[] = [];

  constructor(memory: EngineMemory, clock: Clock, parts: FrameTakerParts) {
    this.#memory = memory;
    this.#clock = clock;
    this.#parts = parts;
  }

  /**
   * Waits for room if need be. `metadata` is as for `writeFrame`, in place of what every checkpoint of the stream says.
   * @throws ERR_TIDEMARK_MEMORY_FULL, ShardStopped
   */
  checkpoint(
    stream: ShardStream,
    position: number,
    now: number,
    metadata: Metadata | undefined = metadataOf(stream),
  ): void {
    const { completions, heap, table, triggers, window } = this.#parts;
    const allocate = (bytes: number): number => heap.allocateFrame(bytes, stream.name);
    const frame = this.#write(stream, allocate, metadata) as Frame;
    this.tellLows(stream);
    completions.stored(stream, frame, positionOf(stream, position));
    table.noteFrame(stream, frame);
    window.remove(stream);
    if (stream.coverAddress !== 0 && !stream.isCoverStale) {
      stream.isCoverStale = true;
      this.#stale.push(stream);
    }
    triggers.onCheckpoint(stream, now);
  }

  /** A cover, or a checkpoint if there is no room for one. @throws as `checkpoint` */
  cover(stream: ShardStream, position: number, now: number): void {
    const { directory, heap, table, window } = this.#parts;
    const frame = this.#hasEntry(stream)
      ? this.#write(stream, (bytes) => heap.allocateSpare(bytes), undefined)
      : undefined;
    if (frame === undefined) {
      this.checkpoint(stream, position, now);
      return;
    }
    directory.setCover(stream.index, { ...frame, position: positionOf(stream, position) });
    table.freeCover(stream);
    stream.coverAddress = frame.address;
    stream.coverBytes = frame.bytes;
    table.noteFrame(stream, frame);
    window.remove(stream);
  }

  /**
   * An image that lasted will be one that does not: from now on the ring has to keep what is not in a frame. The image's
   * place in the directory is free then.
   */
  endLasting(stream: ShardStream, position: number, now: number): void {
    const { completions, directory } = this.#parts;
    this.cover(stream, position, now);
    if (stream.coverAddress !== 0) return;
    // Main has to know of the checkpoint before the image is gone.
    completions.flush();
    directory.remove(stream.index);
  }

  /** Main can know by now of all checkpoints that were taken: frees the covers that these replace. */
  freeStale(): void {
    if (this.#stale.length === 0) return;
    const { directory, table } = this.#parts;
    for (const stream of this.#stale) {
      // Since then it may have got a newer one.
      if (!stream.isCoverStale) continue;
      directory.remove(stream.index);
      table.freeCover(stream);
    }
    this.#stale = [];
  }

  /** Nothing of the stream is open any more; what was goes with the entry that follows. */
  tellLows(stream: ShardStream): void {
    const { completions, reports } = this.#parts;
    for (const position of stream.positions) {
      if (!position.isOpen) continue;
      completions.low(position);
      position.isOpen = false;
      position.source.lows.remove(position.lowLink);
      reports.touch(position.source);
    }
  }

  #write(
    stream: ShardStream,
    allocate: (bytes: number) => number,
    metadata: Metadata | undefined,
  ): Frame | undefined {
    this.#parts.beat();
    return writeFrame(this.#memory, stream, { createdAtMs: this.#clock.wallMs(), allocate, metadata });
  }

  /** Whether the stream has an entry in the directory; gives it one if there is room. */
  #hasEntry({ index }: ShardStream): boolean {
    const { directory, heap } = this.#parts;
    if (directory.hasPageFor(index)) return true;
    if (!ImageDirectory.hasEntryFor(index)) return false;
    const page = heap.allocateSpare(PAGE_BYTES);
    if (page !== 0) directory.addPage(index, page);
    return page !== 0;
  }
}

/** While records are read again, the stream may be ahead of them. */
function positionOf({ readTo }: ShardStream, position: number): number {
  return Math.max(position, readTo);
}

function metadataOf({ letters }: ShardStream): Metadata | undefined {
  return letters.length === 0 ? undefined : encodeMetadata(lettersEntries(letters));
}
