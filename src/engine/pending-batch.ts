/**
 * Frames that go to the durable store together, with the frontiers that hold once all of them are durable. A store that
 * has no room for them is asked again, for fewer at a time and the smallest first, so that what fits goes through; the
 * frontiers come with the last part. What is not durable yet stays as it is: its bytes are still those of the store.
 */
import type { IndexedStream, StoredFrame } from '../store/central-store.ts';

/** After a part of one frame was refused, in milliseconds; doubled with each further one. */
const PAUSE_MS = 50;
const PAUSE_MS_MAX = 1_000;

export class PendingBatch {
  /** Place in the queue of the central store up to which nothing waits once it is durable. */
  readonly through: number;
  readonly frontiers: ReadonlyMap<string, bigint>;
  /** What is not durable yet. */
  #frames: readonly StoredFrame[];
  #partFrames: number;
  #pauseMs = PAUSE_MS;

  constructor(frames: readonly StoredFrame[], through: number, frontiers: ReadonlyMap<string, bigint>) {
    this.through = through;
    this.frontiers = frontiers;
    this.#frames = frames;
    this.#partFrames = frames.length;
  }

  /** What the store is to take next. */
  get part(): readonly StoredFrame[] {
    return this.#frames.slice(0, this.#partFrames);
  }

  get isLastPart(): boolean {
    return this.#partFrames >= this.#frames.length;
  }

  /** The part is durable; more of the batch is to come. */
  onCommitted(): void {
    this.#frames = this.#frames.slice(this.#partFrames);
    this.#pauseMs = PAUSE_MS;
  }

  /** The part was refused; milliseconds until the next one may be tried: 0, if that is a smaller one. */
  onRefused(): number {
    if (this.#partFrames > 1) {
      this.#frames = this.#frames.toSorted((a, b) => a.bytes - b.bytes);
      this.#partFrames >>>= 1;
      return 0;
    }
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(PAUSE_MS_MAX, 2 * pauseMs);
    return pauseMs;
  }

  /** The store has forgotten `streams`, and must not get them back. Returns the frames of theirs that were left. */
  drop(streams: readonly IndexedStream[]): readonly StoredFrame[] {
    const gone = new Set(streams);
    const dropped = this.#frames.filter(({ stream }) => gone.has(stream));
    if (dropped.length > 0) this.#frames = this.#frames.filter(({ stream }) => !gone.has(stream));
    return dropped;
  }
}
