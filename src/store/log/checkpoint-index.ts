/**
 * Where the checkpoints of each stream are in the log: at most `perStream` of each, the newest ones.
 *
 * Hundreds of thousands of entries: each is a row of numbers (`EntryRows`), and the rows of a stream form a list
 * from the newest to the oldest. Newest is the greatest sequence, then the latest origin; there is one entry for a
 * sequence. Owned by the thread that writes the log (or by one inspection).
 */
import type { CommitFrames } from './commit-record.ts';
import { EntryRows, type NewestEntry, NONE, ROW } from './entry-rows.ts';
import type { FrameRows } from './frame-rows.ts';
import { INDEX_ENTRY, readIndexEntry, type StoredStreams } from './index-entry.ts';
import type { PackedNames } from './packed-names.ts';
import { sortByPosition } from './position-order.ts';
import { NO_NUMBER, StreamNames } from './stream-names.ts';

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

/** The frames of a commit, and their names in the same order. */
export interface CommitToAdd {
  readonly segment: number;
  readonly number: number;
  readonly rows: FrameRows;
  readonly names: CommitFrames;
}

export interface Removal {
  /** Only lower sequences; undefined: all. */
  readonly below: bigint | undefined;
  /** Only what was first saved up to this commit. */
  readonly through: number;
}

const INITIAL_STREAMS = 256;

export class CheckpointIndex {
  readonly perStream: number;
  readonly weigh: (recordBytes: number) => number;
  /** Bytes of the records of all entries. */
  liveBytes = 0;
  /** What the newest entries of all streams take when they are carried: the sum of `weigh`. */
  newestWeight = 0;
  /** Grows whenever a record dies, so that "nothing has become free since" can be told. */
  deaths = 0;
  /** Of the streams that have entries. */
  private readonly names: StreamNames;
  /** The newest entry of each stream, by number. */
  private heads = new Int32Array(INITIAL_STREAMS).fill(NONE);
  /** Bytes of the records in each segment. */
  private readonly bySegment = new Map<number, { bytes: number }>();
  private readonly rows = new EntryRows();

  /** `weigh` is given the bytes of a record. `seed` is what nobody who names streams knows. */
  constructor(perStream: number, weigh: (recordBytes: number) => number = (bytes) => bytes, seed = 0) {
    this.perStream = perStream;
    this.weigh = weigh;
    this.names = new StreamNames(seed);
  }

  *streams(): Generator<string, void> {
    for (const number of this.numbers()) yield this.names.name(number);
  }

  get streamCount(): number {
    return this.names.size;
  }

  has(stream: string): boolean {
    return this.names.find(stream) !== NO_NUMBER;
  }

  /** Bytes of the records that live in `segment`. */
  segmentBytes(segment: number): number {
    return this.bySegment.get(segment)?.bytes ?? 0;
  }

  /** Adds an entry in its place, in place of one of the same sequence that is not of a later origin. */
  add(stream: string, entry: CheckpointLocation): void {
    this.addTo(this.withHead(this.names.take(stream)), entry);
  }

  private addTo(number: number, entry: CheckpointLocation): void {
    const head = this.heads[number] as number;
    let before = NONE;
    let at = head;
    while (at !== NONE && this.rows.sequence(at) > entry.sequence) {
      before = at;
      at = this.rows.next(at);
    }
    if (at !== NONE && this.rows.sequence(at) === entry.sequence) {
      if (this.rows.column(at, ROW.origin) > entry.origin) return;
      const isHead = before === NONE;
      this.account(at, -1, isHead);
      this.rows.write(at, entry);
      this.account(at, 1, isHead);
      return;
    }
    const slot = this.rows.take();
    this.rows.write(slot, entry);
    if (before === NONE) {
      this.prepend(number, slot);
      return;
    }
    this.rows.link(slot, at);
    this.rows.link(before, slot);
    this.account(slot, 1, false);
    this.trim(head);
  }

  /** Adds the frames of a good commit. Whether compaction has carried any of them. */
  addCommit({ segment, number, rows, names }: CommitToAdd): boolean {
    const { bytes, view } = names;
    let isCarried = false;
    let at = names.first();
    for (let i = 0; i < rows.count; i++) {
      const end = names.after(at);
      const origin = rows.origin(i) < 0 ? number : rows.origin(i);
      isCarried ||= rows.origin(i) !== number;
      const stream = this.withHead(this.names.takeBytes(bytes, at + 12, end));
      const head = this.heads[stream] as number;
      const position = rows.position(i);
      const length = rows.length(i);
      const generation = rows.generation(i);
      if (head === NONE || this.rows.isNewer(view.getUint32(at + 4, true), view.getUint32(at, true), head)) {
        const slot = this.rows.take();
        this.rows.writeSequence(slot, view.getUint32(at + 4, true), view.getUint32(at, true));
        this.rows.writeRest(slot, { origin, segment, position, length, generation });
        this.prepend(stream, slot);
      } else {
        const sequence = view.getBigUint64(at, true);
        this.addTo(stream, { sequence, origin, segment, position, length, generation });
      }
      at = end;
    }
    return isCarried;
  }

  /** Makes `slot` the newest entry of a stream. */
  private prepend(number: number, slot: number): void {
    const head = this.heads[number] as number;
    this.rows.link(slot, head);
    if (head !== NONE) this.newestWeight -= this.weigh(this.rows.footprint(head));
    this.heads[number] = slot;
    this.account(slot, 1, true);
    if (head !== NONE) this.trim(slot);
  }

  /** Adds what the INDEX record of `segment` lists. */
  load(segment: number, stored: StoredStreams): void {
    let bytes = 0;
    this.rows.reserve(stored.entriesMax);
    while (stored.next()) if (stored.entryCount > 0) bytes += this.loadStream(segment, stored);
    this.liveBytes += bytes;
    this.addBytes(segment, bytes);
  }

  /** Returns the bytes of the records that it has not accounted for. */
  private loadStream(segment: number, stored: StoredStreams): number {
    const { view, entryCount: count } = stored;
    const number = this.withHead(this.names.takeBytes(stored.bytes, stored.nameStart, stored.nameEnd));
    const head = this.heads[number] as number;
    const oldest = stored.entryAt(count - 1) + INDEX_ENTRY.sequence;
    if (
      head !== NONE &&
      !this.rows.isNewer(view.getUint32(oldest + 4, true), view.getUint32(oldest, true), head)
    ) {
      for (let i = count - 1; i >= 0; i--)
        this.addTo(number, readIndexEntry(view, stored.entryAt(i), segment));
      return 0;
    }
    // Nearly always they are newer than what earlier segments had, and go in front of it.
    let newest = head;
    let bytes = 0;
    for (let i = count - 1; i >= 0; i--) {
      const slot = this.rows.take();
      this.rows.copy(slot, segment, view, stored.entryAt(i));
      this.rows.link(slot, newest);
      newest = slot;
      bytes += this.rows.footprint(slot);
    }
    if (head !== NONE) this.newestWeight -= this.weigh(this.rows.footprint(head));
    this.newestWeight += this.weigh(this.rows.footprint(newest));
    this.heads[number] = newest;
    if (head !== NONE || count > this.perStream) this.trim(newest);
    return bytes;
  }

  newest(stream: string): CheckpointLocation | undefined {
    const head = this.headOf(stream);
    return head === NONE ? undefined : this.rows.read(head);
  }

  find(stream: string, sequence: bigint): CheckpointLocation | undefined {
    for (let at = this.headOf(stream); at !== NONE; at = this.rows.next(at)) {
      if (this.rows.sequence(at) === sequence) return this.rows.read(at);
    }
    return undefined;
  }

  /** From the newest to the oldest. */
  entries(stream: string): CheckpointLocation[] {
    const entries: CheckpointLocation[] = [];
    for (let at = this.headOf(stream); at !== NONE; at = this.rows.next(at)) {
      entries.push(this.rows.read(at));
    }
    return entries;
  }

  remove(stream: string, removal: Removal): void {
    const { below, through } = removal;
    this.removeWhere(
      stream,
      (at) =>
        this.rows.column(at, ROW.origin) <= through &&
        (below === undefined || this.rows.sequence(at) < below),
    );
  }

  /** Removes the entry whose record is at `position` of `segment`. */
  removeAt(stream: string, segment: number, position: number): void {
    this.removeWhere(
      stream,
      (at) =>
        this.rows.column(at, ROW.position) === position && this.rows.column(at, ROW.segment) === segment,
    );
  }

  /** The entries in `segment` by stream, from the newest to the oldest of each. Looks at every stream. */
  *streamsIn(segment: number): Generator<{ stream: string; entries: CheckpointLocation[] }> {
    for (const number of this.numbers()) {
      const entries: CheckpointLocation[] = [];
      for (let at = this.heads[number] as number; at !== NONE; at = this.rows.next(at)) {
        if (this.rows.column(at, ROW.segment) === segment) entries.push(this.rows.read(at));
      }
      if (entries.length > 0) yield { stream: this.names.name(number), entries };
    }
  }

  /** The numbers of all streams, in the order in which their newest entries lie in the log: good until it changes. */
  newestInOrder(): Int32Array {
    const bySegment = new Map<number, number[]>();
    let segment = Number.NaN;
    let numbers: number[] = [];
    for (let number = 0; number < this.names.numbersEnd; number++) {
      const head = this.heads[number] as number;
      if (head === NONE) continue;
      const own = this.rows.column(head, ROW.segment);
      // Streams that were first met together mostly lie together.
      if (own !== segment) {
        segment = own;
        numbers = bySegment.get(segment) ?? [];
        bySegment.set(segment, numbers);
      }
      numbers.push(number);
    }
    const inOrder = new Int32Array(this.names.size);
    let end = 0;
    for (const those of bySegment.values()) {
      sortByPosition(those, (number) => this.rows.column(this.heads[number] as number, ROW.position));
      inOrder.set(those, end);
      end += those.length;
    }
    return inOrder;
  }

  /** Fills `entry` with the newest one of the stream with the number. */
  readNewest(entry: NewestEntry, number: number): void {
    this.rows.readInto(entry, this.heads[number] as number);
  }

  name(number: number): string {
    return this.names.name(number);
  }

  /** The UTF-8 of the names of the streams with these numbers, one behind the other. */
  namesOf(numbers: Int32Array): PackedNames {
    let total = 0;
    const lengths = new Uint32Array(numbers.length);
    for (let i = 0; i < numbers.length; i++) {
      lengths[i] = this.names.byteLength(numbers[i] as number);
      total += lengths[i] as number;
    }
    const bytes = new Uint8Array(total);
    let end = 0;
    for (let i = 0; i < numbers.length; i++) end = this.names.copy(numbers[i] as number, bytes, end);
    return { bytes, lengths };
  }

  /** The sum over the entries in `segment` of what `weigh` gives for the bytes of their streams' names. */
  sumIn(segment: number, weigh: (nameBytes: number) => number): number {
    let sum = 0;
    for (let number = 0; number < this.names.numbersEnd; number++) {
      for (let at = this.heads[number] as number; at !== NONE; at = this.rows.next(at)) {
        if (this.rows.column(at, ROW.segment) === segment) sum += weigh(this.names.byteLength(number));
      }
    }
    return sum;
  }

  private removeWhere(stream: string, matches: (slot: number) => boolean): void {
    const number = this.names.find(stream);
    if (number === NO_NUMBER) return;
    let head = this.heads[number] as number;
    let before = NONE;
    for (let at = head; at !== NONE; ) {
      const after = this.rows.next(at);
      if (!matches(at)) {
        before = at;
        at = after;
        continue;
      }
      this.account(at, -1, before === NONE);
      this.rows.give(at);
      if (before === NONE) {
        head = after;
        if (after !== NONE) this.newestWeight += this.weigh(this.rows.footprint(after));
      } else {
        this.rows.link(before, after);
      }
      at = after;
    }
    this.heads[number] = head;
    if (head !== NONE) return;
    this.names.remove(number);
  }

  /** Gives up what is behind the `perStream` newest of a list. */
  private trim(head: number): void {
    let at = head;
    for (let count = 1; at !== NONE && count < this.perStream; count++) at = this.rows.next(at);
    if (at === NONE) return;
    let surplus = this.rows.next(at);
    this.rows.link(at, NONE);
    while (surplus !== NONE) {
      const after = this.rows.next(surplus);
      this.account(surplus, -1, false);
      this.rows.give(surplus);
      surplus = after;
    }
  }

  /** Adds the entry's bytes to the sums, or takes them off. */
  private account(slot: number, sign: 1 | -1, isHead: boolean): void {
    const bytes = this.rows.footprint(slot);
    const segment = this.rows.column(slot, ROW.segment);
    this.liveBytes += sign * bytes;
    if (isHead) this.newestWeight += sign * this.weigh(bytes);
    if (sign < 0) this.deaths += 1;
    this.addBytes(segment, sign * bytes);
  }

  private addBytes(segment: number, bytes: number): void {
    const sum = this.bySegment.get(segment);
    if (sum === undefined) this.bySegment.set(segment, { bytes });
    else if (sum.bytes + bytes === 0) this.bySegment.delete(segment);
    else sum.bytes += bytes;
  }

  /** The same number, which may be new; then its stream has no entries. */
  private withHead(number: number): number {
    if (number >= this.heads.length) {
      const heads = new Int32Array(2 * this.heads.length).fill(NONE);
      heads.set(this.heads);
      this.heads = heads;
    }
    return number;
  }

  private *numbers(): Generator<number, void> {
    for (let number = 0; number < this.names.numbersEnd; number++) if (this.names.has(number)) yield number;
  }

  private headOf(stream: string): number {
    const number = this.names.find(stream);
    return number === NO_NUMBER ? NONE : (this.heads[number] as number);
  }
}
