/**
 * The replay window: records of the ring that a thread which follows this one would have to read again. The ring keeps
 * what was read from the first record on that is neither in a frame of its stream nor in an image that outlives the
 * thread. Each stream with such records has an entry for the first of them; entries are in the order of their records, and
 * the first that counts says from where.
 *
 * An entry that counts no more stays until it is the first one: to take it out would mean to touch its neighbours, which
 * are of streams that are in no cache, and an event that begins an entry would do so, too. Entries are of different
 * records, so there are never more of them than the ring has records.
 */
import type { ControlWords } from '../memory/doorbells.ts';
import type { IngestReader } from '../memory/ingest-ring.ts';
import { WORD } from '../memory/layout.ts';
import type { ShardStream } from './stream.ts';
import type { StreamRow } from './stream-row.ts';

/** Records that have been read take up to this share of the ring; then streams are covered. */
const HELD_SHARE_MAX = 1 / 2;
/** Numbers of entries wrap: more than there can be at a time, and small enough to be kept without a box. */
const NUMBERS = 2 ** 30;
const ENTRIES_MIN = 1_024;
/** The number of a stream that has no entry. */
const NO_ENTRY = -1;

export class ReplayWindow {
  readonly #words: ControlWords;
  readonly #ringBytes: number;
  /** By their numbers, modulo the lengths of these arrays, which are powers of two. */
  #streams: (ShardStream | undefined)[] = new Array<undefined>(ENTRIES_MIN).fill(undefined);
  #positions = new Float64Array(ENTRIES_MIN);
  /** Number of the first entry, and of the one that comes next. */
  #head = 0;
  #tail = 0;

  constructor(words: ControlWords, ringBytes: number) {
    this.#words = words;
    this.#ringBytes = ringBytes;
  }

  /** The record of the stream at `position` is in its state only. Positions ascend from call to call. */
  note(row: StreamRow, position: number): void {
    if (row.isHeld) return;
    const { stream } = row;
    if (((this.#tail - this.#head) & (NUMBERS - 1)) === this.#positions.length) this.#grow();
    const at = this.#tail & (this.#positions.length - 1);
    this.#streams[at] = stream;
    this.#positions[at] = position;
    row.isHeld = true;
    stream.windowEntry = this.#tail;
    this.#tail = (this.#tail + 1) & (NUMBERS - 1);
  }

  /** All records of the stream that were read are covered, or it is over. */
  remove(stream: ShardStream): void {
    stream.isHeld = false;
    stream.windowEntry = NO_ENTRY;
  }

  /** Position of the first record of the stream that is in its state only; undefined: there is none. */
  firstOf({ windowEntry }: ShardStream): number | undefined {
    return windowEntry === NO_ENTRY ? undefined : this.#positions[windowEntry & (this.#positions.length - 1)];
  }

  /** Position from which on the ring is kept, when all before `read` is read. */
  from(read: number): number {
    const oldest = this.#oldest();
    return oldest === undefined ? read : (this.firstOf(oldest) as number);
  }

  /** The stream that has held the ring longest, if too much of it is held. */
  excess(ring: IngestReader): ShardStream | undefined {
    const oldest = this.#oldest();
    if (oldest === undefined) return undefined;
    const held = ring.position - (this.firstOf(oldest) as number);
    return held > this.#ringBytes * HELD_SHARE_MAX || this.#isTooMuch(held, ring) ? oldest : undefined;
  }

  /** All is read, and still a producer waits: for what is held. */
  isHoldingUp(ring: IngestReader): boolean {
    return this.#isTooMuch(ring.position - this.from(ring.position), ring);
  }

  /** The stream of the first entry that counts. */
  #oldest(): ShardStream | undefined {
    while (this.#head !== this.#tail) {
      const at = this.#head & (this.#positions.length - 1);
      const stream = this.#streams[at];
      if (stream?.windowEntry === this.#head) return stream;
      this.#streams[at] = undefined;
      this.#head = (this.#head + 1) & (NUMBERS - 1);
    }
    return undefined;
  }

  #grow(): void {
    const { length } = this.#positions;
    const streams = new Array<ShardStream | undefined>(2 * length).fill(undefined);
    const positions = new Float64Array(2 * length);
    for (let number = this.#head; number !== this.#tail; number = (number + 1) & (NUMBERS - 1)) {
      const to = number & (2 * length - 1);
      streams[to] = this.#streams[number & (length - 1)];
      positions[to] = this.#positions[number & (length - 1)] as number;
    }
    this.#streams = streams;
    this.#positions = positions;
  }

  /** A producer with a large record may need all of the ring. */
  #isTooMuch(held: number, ring: IngestReader): boolean {
    if (held === 0) return false;
    const wanted = this.#words.get(WORD.spaceWanted);
    return wanted !== 0 && held > this.#ringBytes - wanted && !ring.hasMore;
  }
}
