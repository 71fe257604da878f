/**
 * Takes the frames of a shard and tells of them: checkpoints, which the durable store gets, and covers, which only keep a
 * stream's records from being read again. The lows of a frame are told before it.
 */
import type { Clock } from '../clock.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { COMPLETION } from '../memory/entry-rings.ts';
import type { Completions } from './completions.ts';
import { type Frame, writeFrame } from './frame-writer.ts';
import type { ReplayWindow } from './replay-window.ts';
import type { ShardHeap } from './shard-heap.ts';
import type { SourceReports } from './source-reports.ts';
import type { ShardStream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';
import type { Triggers } from './triggers.ts';

export interface FrameTakerParts {
  readonly table: StreamTable;
  readonly heap: ShardHeap;
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

  constructor(memory: EngineMemory, clock: Clock, parts: FrameTakerParts) {
    this.#memory = memory;
    this.#clock = clock;
    this.#parts = parts;
  }

  /** Waits for room if need be. `metadata` is as for `writeFrame`. @throws ERR_TIDEMARK_MEMORY_FULL, ShardStopped */
  checkpoint(stream: ShardStream, position: number, now: number, metadata?: Uint8Array): void {
    const { heap, triggers } = this.#parts;
    const allocate = (bytes: number): number => heap.allocateFrame(bytes, stream.name);
    const frame = this.#write(stream, allocate, metadata) as Frame;
    this.tellLows(stream);
    this.#tell(COMPLETION.stored, stream, frame, position);
    triggers.onCheckpoint(stream, now);
  }

  /** A cover, or a checkpoint if there is no room for one. @throws as `checkpoint` */
  cover(stream: ShardStream, position: number, now: number): void {
    const frame = this.#write(stream, (bytes) => this.#parts.heap.allocateSpare(bytes), undefined);
    if (frame === undefined) this.checkpoint(stream, position, now);
    else this.#tell(COMPLETION.cover, stream, frame, position);
  }

  /** An image that lasted will be one that does not: from now on the ring has to keep what is not in a frame. */
  endLasting(stream: ShardStream, position: number, now: number): void {
    this.cover(stream, position, now);
    // Main has to know of the frame before the image is gone.
    this.#parts.completions.flush();
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
    metadata: Uint8Array | undefined,
  ): Frame | undefined {
    this.#parts.beat();
    return writeFrame(this.#memory, stream, { createdAtMs: this.#clock.wallMs(), allocate, metadata });
  }

  #tell(
    kind: typeof COMPLETION.stored | typeof COMPLETION.cover,
    stream: ShardStream,
    frame: Frame,
    position: number,
  ): void {
    const { completions, table, window } = this.#parts;
    completions.frame(kind, stream, frame, position);
    table.noteFrame(stream, frame);
    window.remove(stream);
  }
}
