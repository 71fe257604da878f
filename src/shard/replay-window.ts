/**
 * The replay window: records of the ring that a thread which follows this one would have to read again. The ring keeps
 * what was read from the first record on that is neither in a frame of its stream nor in an image that outlives the
 * thread. Streams with such records form a list, ordered by the first of them; its head says from where.
 */
import { LinkedList } from '../linked-list.ts';
import type { ControlWords } from '../memory/doorbells.ts';
import type { IngestReader } from '../memory/ingest-ring.ts';
import { WORD } from '../memory/layout.ts';
import type { ShardStream } from './stream.ts';

/** Records that have been read take up to this share of the ring; then streams are covered. */
const HELD_SHARE_MAX = 1 / 2;

export class ReplayWindow {
  readonly #words: ControlWords;
  readonly #ringBytes: number;
  readonly #streams = new LinkedList<ShardStream>();

  constructor(words: ControlWords, ringBytes: number) {
    this.#words = words;
    this.#ringBytes = ringBytes;
  }

  /** The record of the stream at `position` is in its state only. Positions ascend from call to call. */
  note(stream: ShardStream, position: number): void {
    if (stream.windowLink.list !== undefined) return;
    stream.uncoveredFrom = position;
    this.#streams.append(stream.windowLink);
  }

  /** All records of the stream that were read are covered, or it is over. */
  remove(stream: ShardStream): void {
    this.#streams.remove(stream.windowLink);
  }

  /** Position from which on the ring is kept, when all before `read` is read. */
  from(read: number): number {
    return this.#streams.head?.owner.uncoveredFrom ?? read;
  }

  /** The stream that has held the ring longest, if too much of it is held. */
  excess(ring: IngestReader): ShardStream | undefined {
    const oldest = this.#streams.head?.owner;
    if (oldest === undefined) return undefined;
    const held = ring.position - oldest.uncoveredFrom;
    return held > this.#ringBytes * HELD_SHARE_MAX || this.#isTooMuch(held, ring) ? oldest : undefined;
  }

  /** All is read, and still a producer waits: for what is held. */
  isHoldingUp(ring: IngestReader): boolean {
    return this.#isTooMuch(ring.position - this.from(ring.position), ring);
  }

  /** A producer with a large record may need all of the ring. */
  #isTooMuch(held: number, ring: IngestReader): boolean {
    if (held === 0) return false;
    const wanted = this.#words.get(WORD.spaceWanted);
    return wanted !== 0 && held > this.#ringBytes - wanted && !ring.hasMore;
  }
}
