/**
 * What a durable store that has refused a commit for want of room is asked for next. A refused batch is halved at once,
 * down to the smallest frame that waits: if that does not fit alone, nothing does, and it is tried again after a pause,
 * which grows. One that comes meanwhile and is smaller is tried at once; the next such has to be smaller still. What goes
 * through lets the next commit be twice as large. So a huge frame does not hold up small ones, and a store without room
 * is asked little.
 */

/** Of one commit. */
const BATCH_BYTES_MAX = 2 ** 25;
/** Milliseconds until a store that has no room is asked again; each time twice as many. */
const PAUSE_MIN_MS = 10;
const PAUSE_MAX_MS = 1_000;
/** So often at least in the time that somebody waits. */
const TRIES_PER_WAIT = 4;

export class RoomSearch {
  /** What the next commit may take, unless one frame is larger than that. */
  bytesMax = BATCH_BYTES_MAX;
  /** What was refused last; while there is a pause, the smallest frame that waited. */
  refusedBytes = 0;
  readonly #pauseMaxMs: number;
  #pauseMs = PAUSE_MIN_MS;

  /** Who waits for a full store does so for `waitMs`. */
  constructor(waitMs: number) {
    this.#pauseMaxMs = Math.min(PAUSE_MAX_MS, waitMs / TRIES_PER_WAIT);
  }

  /** A commit of so many frames was refused. How many milliseconds to wait before the next one; 0: none. */
  onRefused(frames: number, bytes: number): number {
    this.refusedBytes = bytes;
    // More than one that fits into `bytesMax`, or one: there may be smaller ones.
    if (frames > 0 && bytes <= this.bytesMax) {
      this.bytesMax = Math.floor(bytes / 2);
      return 0;
    }
    return this.pauseMs();
  }

  /** How many milliseconds to wait before what was refused is asked for again. */
  pauseMs(): number {
    const pauseMs = Math.min(this.#pauseMaxMs, this.#pauseMs);
    this.#pauseMs = 2 * pauseMs;
    return pauseMs;
  }

  /** A commit of so many bytes has gone through. */
  onTaken(bytes: number): void {
    this.bytesMax = Math.min(BATCH_BYTES_MAX, 2 * Math.max(bytes, this.bytesMax));
    this.#pauseMs = PAUSE_MIN_MS;
  }

  /** Streams are forgotten: there may be more room than before. */
  onRoomMade(): void {
    this.#pauseMs = PAUSE_MIN_MS;
  }

  /** Nothing of what was refused waits any more. */
  end(): void {
    this.bytesMax = BATCH_BYTES_MAX;
    this.#pauseMs = PAUSE_MIN_MS;
  }
}
