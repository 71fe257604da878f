/**
 * Where the checkpoints of each stream are in the log: at most `perStream` of each, the newest ones.
 *
 * Hundreds of thousands of entries: each is a row of eight numbers, a cache line, in one typed array, and the rows of a
 * stream form a list from the newest to the oldest. Newest is the greatest sequence, then the latest origin; there is
 * one entry for a sequence. Owned by the thread that writes the log (or by one inspection).
 */
import { INDEX_ENTRY, INDEX_ENTRY_BYTES, readIndexEntry, type StoredEntries } from './index-entry.ts';
import { getCounter, RECORD_ALIGN, recordFootprint } from './layout.ts';

export interface CheckpointLocation {
  readonly sequence: bigint;
  /** The commit that first saved it. */
  readonly origin: number;
  readonly segment: number;
  /** Of its record in the segment. */
  readonly position: number;
  /** Of the frame in bytes. */
  readonly length: number;
  /** Of the engine that took it. */
  readonly generation: number;
}

/** An entry without a segment, its sequence in words, so that it can be visited without making objects. */
export interface NewestEntry {
  sequenceLow: number;
  sequenceHigh: number;
  origin: number;
  position: number;
  length: number;
}

export interface Removal {
  /** Only lower sequences; undefined: all. */
  readonly below: bigint | undefined;
  /** Only what was first saved up to this commit. */
  readonly through: number;
}

const NONE = -1;
/** So many entries are put in order together: times a position in records it is still a safe integer. */
const ORDER = 2 ** 21;
const INITIAL_CAPACITY = 256;
/** Columns of a row; a sequence is eight bytes of it. */
const ROW = {
  sequence: 0,
  origin: 1,
  segment: 2,
  position: 3,
  length: 4,
  generation: 5,
  next: 6,
  columns: 8,
} as const;

export class CheckpointIndex {
  readonly perStream: number;
  readonly weigh: (recordBytes: number) => number;
  /** Bytes of the records of all entries. */
  liveBytes = 0;
  /** What the newest entries of all streams take when they are carried: the sum of `weigh`. */
  newestWeight = 0;
  /** Grows whenever a record dies, so that "nothing has become free since" can be told. */
  deaths = 0;
  /** Numbers of the streams that have entries. */
  private readonly numbers = new Map<string, number>();
  /** The newest entry of each stream, by number. */
  private heads = new Int32Array(INITIAL_CAPACITY).fill(NONE);
  private readonly freeNumbers: number[] = [];
  private readonly bySegment = new Map<number, number>();
  private freeSlot = NONE;
  private used = 0;
  private rows = new Float64Array(ROW.columns * INITIAL_CAPACITY);
  /** The same bytes. */
  private sequences = new BigUint64Array(this.rows.buffer);
  private words = new Uint32Array(this.rows.buffer);

  /** `weigh` is given the bytes of a record. */
  constructor(perStream: number, weigh: (recordBytes: number) => number = (bytes) => bytes) {
    this.perStream = perStream;
    this.weigh = weigh;
  }

  streams(): IterableIterator<string> {
    return this.numbers.keys();
  }

  has(stream: string): boolean {
    return this.numbers.has(stream);
  }

  /** Bytes of the records that live in `segment`. */
  segmentBytes(segment: number): number {
    return this.bySegment.get(segment) ?? 0;
  }

  /** Adds an entry in its place, in place of one of the same sequence that is not of a later origin. */
  add(stream: string, entry: CheckpointLocation): void {
    const number = this.numberOf(stream);
    const head = this.heads[number] as number;
    let before = NONE;
    let at = head;
    while (at !== NONE && this.sequence(at) > entry.sequence) {
      before = at;
      at = this.next(at);
    }
    if (at !== NONE && this.sequence(at) === entry.sequence) {
      if (this.column(at, ROW.origin) > entry.origin) return;
      const isHead = before === NONE;
      this.account(at, -1, isHead);
      this.write(at, entry);
      this.account(at, 1, isHead);
      return;
    }
    const slot = this.takeSlot();
    this.write(slot, entry);
    this.link(slot, at);
    if (before === NONE) {
      if (head !== NONE) this.newestWeight -= this.weigh(this.footprint(head));
      this.heads[number] = slot;
    } else {
      this.link(before, slot);
    }
    this.account(slot, 1, before === NONE);
    this.trim(this.heads[number] as number);
  }

  /** Adds what the INDEX record of `segment` lists of all streams: at most `entriesMax` entries. */
  load(
    segment: number,
    entriesMax: number,
    visitStreams: (visit: (stream: string, stored: StoredEntries) => void) => void,
  ): void {
    let bytes = 0;
    this.reserve(entriesMax);
    visitStreams((stream, stored) => {
      bytes += this.loadStream(stream, segment, stored);
    });
    this.liveBytes += bytes;
    if (bytes > 0) this.bySegment.set(segment, this.segmentBytes(segment) + bytes);
  }

  /** Returns the bytes of the records that it has not accounted for. */
  private loadStream(stream: string, segment: number, stored: StoredEntries): number {
    const { view, start, count } = stored;
    if (count === 0) return 0;
    const number = this.numberOf(stream);
    const head = this.heads[number] as number;
    const oldest = start + INDEX_ENTRY_BYTES * (count - 1) + INDEX_ENTRY.sequence;
    if (
      head !== NONE &&
      !this.isNewer(view.getUint32(oldest + 4, true), view.getUint32(oldest, true), head)
    ) {
      for (let i = count - 1; i >= 0; i--) this.add(stream, readIndexEntry(stored, segment, i));
      return 0;
    }
    // Nearly always they are newer than what earlier segments had, and go in front of it.
    let newest = head;
    let bytes = 0;
    for (let i = count - 1; i >= 0; i--) {
      const slot = this.takeSlot();
      this.copy(slot, segment, view, start + INDEX_ENTRY_BYTES * i);
      this.link(slot, newest);
      newest = slot;
      bytes += this.footprint(slot);
    }
    if (head !== NONE) this.newestWeight -= this.weigh(this.footprint(head));
    this.newestWeight += this.weigh(this.footprint(newest));
    this.heads[number] = newest;
    if (head !== NONE || count > this.perStream) this.trim(newest);
    return bytes;
  }

  newest(stream: string): CheckpointLocation | undefined {
    const head = this.headOf(stream);
    return head === NONE ? undefined : this.read(head);
  }

  find(stream: string, sequence: bigint): CheckpointLocation | undefined {
    for (let at = this.headOf(stream); at !== NONE; at = this.next(at)) {
      if (this.sequence(at) === sequence) return this.read(at);
    }
    return undefined;
  }

  /** From the newest to the oldest. */
  entries(stream: string): CheckpointLocation[] {
    const entries: CheckpointLocation[] = [];
    for (let at = this.headOf(stream); at !== NONE; at = this.next(at)) {
      entries.push(this.read(at));
    }
    return entries;
  }

  remove(stream: string, removal: Removal): void {
    const { below, through } = removal;
    this.removeWhere(
      stream,
      (at) => this.column(at, ROW.origin) <= through && (below === undefined || this.sequence(at) < below),
    );
  }

  /** Removes the entry whose record is at `position` of `segment`. */
  removeAt(stream: string, segment: number, position: number): void {
    this.removeWhere(
      stream,
      (at) => this.column(at, ROW.position) === position && this.column(at, ROW.segment) === segment,
    );
  }

  /** The entries in `segment`. Looks at every stream. */
  inSegment(segment: number): { stream: string; position: number }[] {
    const found: { stream: string; position: number }[] = [];
    for (const [stream, number] of this.numbers) {
      for (let at = this.heads[number] as number; at !== NONE; at = this.next(at)) {
        if (this.column(at, ROW.segment) === segment)
          found.push({ stream, position: this.column(at, ROW.position) });
      }
    }
    return found;
  }

  /** The same by stream, from the newest to the oldest of each. */
  *streamsIn(segment: number): Generator<{ stream: string; entries: CheckpointLocation[] }> {
    for (const [stream, number] of this.numbers) {
      const entries: CheckpointLocation[] = [];
      for (let at = this.heads[number] as number; at !== NONE; at = this.next(at)) {
        if (this.column(at, ROW.segment) === segment) entries.push(this.read(at));
      }
      if (entries.length > 0) yield { stream, entries };
    }
  }

  /** The newest entry of every stream that has it in `segment`, ascending by position; `entry` is used again. */
  *newestIn(segment: number): Generator<NewestEntry> {
    const slots = this.heads.filter((head) => head !== NONE && this.column(head, ROW.segment) === segment);
    const entry: NewestEntry = { sequenceLow: 0, sequenceHigh: 0, origin: 0, position: 0, length: 0 };
    // Numbers sort many times faster than objects, and a position in records leaves room for which slot it is.
    for (let from = 0; from < slots.length; from += ORDER) {
      const part = slots.subarray(from, from + ORDER);
      const records = (slot: number): number => this.column(slot, ROW.position) / RECORD_ALIGN;
      const keys = Float64Array.from(part, (slot, i) => records(slot) * ORDER + i).sort();
      for (const key of keys) {
        const row = ROW.columns * (part[key % ORDER] as number);
        entry.sequenceLow = this.words[2 * row] as number;
        entry.sequenceHigh = this.words[2 * row + 1] as number;
        entry.origin = this.rows[row + ROW.origin] as number;
        entry.position = this.rows[row + ROW.position] as number;
        entry.length = this.rows[row + ROW.length] as number;
        yield entry;
      }
    }
  }

  /** The sum over the entries in `segment` of what `weigh` gives for the names of their streams. */
  sumIn(segment: number, weigh: (stream: string) => number): number {
    let sum = 0;
    for (const [stream, number] of this.numbers) {
      for (let at = this.heads[number] as number; at !== NONE; at = this.next(at)) {
        if (this.column(at, ROW.segment) === segment) sum += weigh(stream);
      }
    }
    return sum;
  }

  private removeWhere(stream: string, matches: (slot: number) => boolean): void {
    const number = this.numbers.get(stream);
    if (number === undefined) return;
    let head = this.heads[number] as number;
    let before = NONE;
    for (let at = head; at !== NONE; ) {
      const after = this.next(at);
      if (!matches(at)) {
        before = at;
        at = after;
        continue;
      }
      this.account(at, -1, before === NONE);
      this.giveSlot(at);
      if (before === NONE) {
        head = after;
        if (after !== NONE) this.newestWeight += this.weigh(this.footprint(after));
      } else {
        this.link(before, after);
      }
      at = after;
    }
    this.heads[number] = head;
    if (head !== NONE) return;
    this.numbers.delete(stream);
    this.freeNumbers.push(number);
  }

  /** Gives up what is behind the `perStream` newest of a list. */
  private trim(head: number): void {
    let at = head;
    for (let count = 1; at !== NONE && count < this.perStream; count++) at = this.next(at);
    if (at === NONE) return;
    let surplus = this.next(at);
    this.link(at, NONE);
    while (surplus !== NONE) {
      const after = this.next(surplus);
      this.account(surplus, -1, false);
      this.giveSlot(surplus);
      surplus = after;
    }
  }

  /** Adds the entry's bytes to the sums, or takes them off. */
  private account(slot: number, sign: 1 | -1, isHead: boolean): void {
    const bytes = this.footprint(slot);
    const segment = this.column(slot, ROW.segment);
    this.liveBytes += sign * bytes;
    if (isHead) this.newestWeight += sign * this.weigh(bytes);
    if (sign < 0) this.deaths += 1;
    const inSegment = this.segmentBytes(segment) + sign * bytes;
    if (inSegment === 0) this.bySegment.delete(segment);
    else this.bySegment.set(segment, inSegment);
  }

  /** The number of a stream, a new one if need be. */
  private numberOf(stream: string): number {
    const known = this.numbers.get(stream);
    if (known !== undefined) return known;
    const number = this.freeNumbers.pop() ?? this.numbers.size;
    this.numbers.set(stream, number);
    if (number >= this.heads.length) {
      const heads = new Int32Array(2 * this.heads.length).fill(NONE);
      heads.set(this.heads);
      this.heads = heads;
    }
    return number;
  }

  private headOf(stream: string): number {
    const number = this.numbers.get(stream);
    return number === undefined ? NONE : (this.heads[number] as number);
  }

  private column(slot: number, column: number): number {
    return this.rows[ROW.columns * slot + column] as number;
  }

  private next(slot: number): number {
    return this.rows[ROW.columns * slot + ROW.next] as number;
  }

  private link(slot: number, next: number): void {
    this.rows[ROW.columns * slot + ROW.next] = next;
  }

  private footprint(slot: number): number {
    return recordFootprint(this.rows[ROW.columns * slot + ROW.length] as number);
  }

  private sequence(slot: number): bigint {
    return this.sequences[ROW.columns * slot + ROW.sequence] as bigint;
  }

  /** Whether a sequence, in words, is greater than that of an entry. */
  private isNewer(high: number, low: number, slot: number): boolean {
    const word = 2 * ROW.columns * slot;
    const otherHigh = this.words[word + 1] as number;
    return high > otherHigh || (high === otherHigh && low > (this.words[word] as number));
  }

  private read(slot: number): CheckpointLocation {
    const row = ROW.columns * slot;
    return {
      sequence: this.sequence(slot),
      origin: this.rows[row + ROW.origin] as number,
      segment: this.rows[row + ROW.segment] as number,
      position: this.rows[row + ROW.position] as number,
      length: this.rows[row + ROW.length] as number,
      generation: this.rows[row + ROW.generation] as number,
    };
  }

  private write(slot: number, entry: CheckpointLocation): void {
    const row = ROW.columns * slot;
    this.sequences[row + ROW.sequence] = entry.sequence;
    this.rows[row + ROW.origin] = entry.origin;
    this.rows[row + ROW.segment] = entry.segment;
    this.rows[row + ROW.position] = entry.position;
    this.rows[row + ROW.length] = entry.length;
    this.rows[row + ROW.generation] = entry.generation;
  }

  /** As `write` of the entry of an INDEX record at `at` of `view`, without making an object of it. */
  private copy(slot: number, segment: number, view: DataView, at: number): void {
    const row = ROW.columns * slot;
    this.words[2 * row] = view.getUint32(at + INDEX_ENTRY.sequence, true);
    this.words[2 * row + 1] = view.getUint32(at + INDEX_ENTRY.sequence + 4, true);
    this.rows[row + ROW.origin] = getCounter(view, at + INDEX_ENTRY.origin);
    this.rows[row + ROW.segment] = segment;
    this.rows[row + ROW.position] = view.getUint32(at + INDEX_ENTRY.position, true) * RECORD_ALIGN;
    this.rows[row + ROW.length] = view.getUint32(at + INDEX_ENTRY.length, true);
    this.rows[row + ROW.generation] = getCounter(view, at + INDEX_ENTRY.generation);
  }

  private takeSlot(): number {
    if (this.freeSlot !== NONE) {
      const slot = this.freeSlot;
      this.freeSlot = this.next(slot);
      return slot;
    }
    this.reserve(1);
    this.used += 1;
    return this.used - 1;
  }

  /** Makes room for so many more. */
  private reserve(entries: number): void {
    const needed = ROW.columns * (this.used + entries);
    if (needed <= this.rows.length) return;
    const rows = new Float64Array(Math.max(needed, 2 * this.rows.length));
    // As words: the bytes of a sequence may be those of a number that is none, whose bytes need not be kept.
    const words = new Uint32Array(rows.buffer);
    words.set(this.words);
    this.rows = rows;
    this.words = words;
    this.sequences = new BigUint64Array(rows.buffer);
  }

  private giveSlot(slot: number): void {
    this.link(slot, this.freeSlot);
    this.freeSlot = slot;
  }
}
