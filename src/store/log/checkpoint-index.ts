/**
 * Where the checkpoints of each stream are in the log: at most `perStream` of each, the newest ones.
 *
 * Hundreds of thousands of entries: they live in columns of typed arrays, and the entries of a stream form a
 * list from the newest to the oldest. Newest is the greatest sequence, then the latest origin; there is one
 * entry for a sequence. Owned by the thread that writes the log (or by one inspection).
 */
import { readIndexEntry, type StoredEntries } from './index-entry.ts';
import { RECORD_ALIGN, recordFootprint } from './layout.ts';

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

export class CheckpointIndex {
  readonly perStream: number;
  readonly weigh: (recordBytes: number) => number;
  /** Bytes of the records of all entries. */
  liveBytes = 0;
  /** What the newest entries of all streams take when they are carried: the sum of `weigh`. */
  newestWeight = 0;
  /** Grows whenever a record dies, so that "nothing has become free since" can be told. */
  deaths = 0;
  private readonly heads = new Map<string, number>();
  private readonly bySegment = new Map<number, number>();
  private freeSlot = NONE;
  private used = 0;
  private sequences = new BigUint64Array(INITIAL_CAPACITY);
  private origins = new Float64Array(INITIAL_CAPACITY);
  private segments = new Float64Array(INITIAL_CAPACITY);
  private positions = new Float64Array(INITIAL_CAPACITY);
  private lengths = new Float64Array(INITIAL_CAPACITY);
  private generations = new Float64Array(INITIAL_CAPACITY);
  private next = new Int32Array(INITIAL_CAPACITY);

  /** `weigh` is given the bytes of a record. */
  constructor(perStream: number, weigh: (recordBytes: number) => number = (bytes) => bytes) {
    this.perStream = perStream;
    this.weigh = weigh;
  }

  streams(): IterableIterator<string> {
    return this.heads.keys();
  }

  has(stream: string): boolean {
    return this.heads.has(stream);
  }

  /** Bytes of the records that live in `segment`. */
  segmentBytes(segment: number): number {
    return this.bySegment.get(segment) ?? 0;
  }

  /** Adds an entry in its place, in place of one of the same sequence that is not of a later origin. */
  add(stream: string, entry: CheckpointLocation): void {
    const head = this.heads.get(stream) ?? NONE;
    let before = NONE;
    let at = head;
    while (at !== NONE && this.sequence(at) > entry.sequence) {
      before = at;
      at = this.next[at] as number;
    }
    if (at !== NONE && this.sequence(at) === entry.sequence) {
      if ((this.origins[at] as number) > entry.origin) return;
      const isHead = before === NONE;
      this.account(at, -1, isHead);
      this.write(at, entry);
      this.account(at, 1, isHead);
      return;
    }
    const slot = this.takeSlot();
    this.write(slot, entry);
    this.next[slot] = at;
    if (before === NONE) {
      if (head !== NONE) this.newestWeight -= this.weigh(this.footprint(head));
      this.heads.set(stream, slot);
    } else {
      this.next[before] = slot;
    }
    this.account(slot, 1, before === NONE);
    this.trim(this.heads.get(stream) ?? NONE);
  }

  /** Adds what an INDEX record lists of a stream. */
  load(stream: string, stored: StoredEntries): void {
    const { segment, count } = stored;
    const head = this.heads.get(stream) ?? NONE;
    const isNewer =
      head === NONE || (count > 0 && readIndexEntry(stored, count - 1).sequence > this.sequence(head));
    if (!isNewer) {
      for (let i = count - 1; i >= 0; i--) this.add(stream, readIndexEntry(stored, i));
      return;
    }
    // Nearly always they are newer than what earlier segments had, and go in front of it.
    let newest = head;
    let bytes = 0;
    for (let i = count - 1; i >= 0; i--) {
      const slot = this.takeSlot();
      this.write(slot, readIndexEntry(stored, i));
      this.next[slot] = newest;
      newest = slot;
      bytes += this.footprint(slot);
    }
    if (newest === head) return;
    if (head !== NONE) this.newestWeight -= this.weigh(this.footprint(head));
    this.newestWeight += this.weigh(this.footprint(newest));
    this.liveBytes += bytes;
    this.bySegment.set(segment, this.segmentBytes(segment) + bytes);
    this.heads.set(stream, newest);
    this.trim(newest);
  }

  newest(stream: string): CheckpointLocation | undefined {
    const head = this.heads.get(stream);
    return head === undefined ? undefined : this.read(head);
  }

  find(stream: string, sequence: bigint): CheckpointLocation | undefined {
    for (let at = this.heads.get(stream) ?? NONE; at !== NONE; at = this.next[at] as number) {
      if (this.sequence(at) === sequence) return this.read(at);
    }
    return undefined;
  }

  /** From the newest to the oldest. */
  entries(stream: string): CheckpointLocation[] {
    const entries: CheckpointLocation[] = [];
    for (let at = this.heads.get(stream) ?? NONE; at !== NONE; at = this.next[at] as number) {
      entries.push(this.read(at));
    }
    return entries;
  }

  remove(stream: string, removal: Removal): void {
    const { below, through } = removal;
    this.removeWhere(
      stream,
      (at) => (this.origins[at] as number) <= through && (below === undefined || this.sequence(at) < below),
    );
  }

  /** Removes the entry whose record is at `position` of `segment`. */
  removeAt(stream: string, segment: number, position: number): void {
    this.removeWhere(stream, (at) => this.positions[at] === position && this.segments[at] === segment);
  }

  /** The entries in `segment`. Looks at every stream. */
  inSegment(segment: number): { stream: string; position: number }[] {
    const found: { stream: string; position: number }[] = [];
    for (const [stream, head] of this.heads) {
      for (let at = head; at !== NONE; at = this.next[at] as number) {
        if (this.segments[at] === segment) found.push({ stream, position: this.positions[at] as number });
      }
    }
    return found;
  }

  /** The same by stream, from the newest to the oldest of each. */
  *streamsIn(segment: number): Generator<{ stream: string; entries: CheckpointLocation[] }> {
    for (const [stream, head] of this.heads) {
      const entries: CheckpointLocation[] = [];
      for (let at = head; at !== NONE; at = this.next[at] as number) {
        if (this.segments[at] === segment) entries.push(this.read(at));
      }
      if (entries.length > 0) yield { stream, entries };
    }
  }

  /** The newest entry of every stream that has it in one of `segments`, by segment and ascending by position. */
  *newestIn(segments: ReadonlySet<number>): Generator<CheckpointLocation> {
    const bySegment = new Map([...segments].map((segment) => [segment, [] as number[]]));
    for (const head of this.heads.values()) bySegment.get(this.segments[head] as number)?.push(head);
    for (const slots of bySegment.values()) {
      // Numbers sort many times faster than objects, and a position in records leaves room for which slot it is.
      for (let from = 0; from < slots.length; from += ORDER) {
        const part = slots.slice(from, from + ORDER);
        const records = (slot: number): number => (this.positions[slot] as number) / RECORD_ALIGN;
        const keys = Float64Array.from(part, (slot, i) => records(slot) * ORDER + i).sort();
        for (const key of keys) yield this.read(part[key % ORDER] as number);
      }
    }
  }

  private removeWhere(stream: string, matches: (slot: number) => boolean): void {
    let head = this.heads.get(stream) ?? NONE;
    let before = NONE;
    for (let at = head; at !== NONE; ) {
      const after = this.next[at] as number;
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
        this.next[before] = after;
      }
      at = after;
    }
    if (head === NONE) this.heads.delete(stream);
    else this.heads.set(stream, head);
  }

  /** Gives up what is behind the `perStream` newest of a list. */
  private trim(head: number): void {
    let at = head;
    for (let count = 1; at !== NONE && count < this.perStream; count++) at = this.next[at] as number;
    if (at === NONE) return;
    let surplus = this.next[at] as number;
    this.next[at] = NONE;
    while (surplus !== NONE) {
      const after = this.next[surplus] as number;
      this.account(surplus, -1, false);
      this.giveSlot(surplus);
      surplus = after;
    }
  }

  /** Adds the entry's bytes to the sums, or takes them off. */
  private account(slot: number, sign: 1 | -1, isHead: boolean): void {
    const bytes = this.footprint(slot);
    const segment = this.segments[slot] as number;
    this.liveBytes += sign * bytes;
    if (isHead) this.newestWeight += sign * this.weigh(bytes);
    if (sign < 0) this.deaths += 1;
    const inSegment = this.segmentBytes(segment) + sign * bytes;
    if (inSegment === 0) this.bySegment.delete(segment);
    else this.bySegment.set(segment, inSegment);
  }

  private footprint(slot: number): number {
    return recordFootprint(this.lengths[slot] as number);
  }

  private sequence(slot: number): bigint {
    return this.sequences[slot] as bigint;
  }

  private read(slot: number): CheckpointLocation {
    return {
      sequence: this.sequence(slot),
      origin: this.origins[slot] as number,
      segment: this.segments[slot] as number,
      position: this.positions[slot] as number,
      length: this.lengths[slot] as number,
      generation: this.generations[slot] as number,
    };
  }

  private write(slot: number, entry: CheckpointLocation): void {
    this.sequences[slot] = entry.sequence;
    this.origins[slot] = entry.origin;
    this.segments[slot] = entry.segment;
    this.positions[slot] = entry.position;
    this.lengths[slot] = entry.length;
    this.generations[slot] = entry.generation;
  }

  private takeSlot(): number {
    if (this.freeSlot !== NONE) {
      const slot = this.freeSlot;
      this.freeSlot = this.next[slot] as number;
      return slot;
    }
    if (this.used === this.next.length) this.grow();
    this.used += 1;
    return this.used - 1;
  }

  private giveSlot(slot: number): void {
    this.next[slot] = this.freeSlot;
    this.freeSlot = slot;
  }

  private grow(): void {
    const capacity = 2 * this.next.length;
    const grown = (column: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
      const copy = new Float64Array(capacity);
      copy.set(column);
      return copy;
    };
    const sequences = new BigUint64Array(capacity);
    sequences.set(this.sequences);
    const next = new Int32Array(capacity);
    next.set(this.next);
    this.sequences = sequences;
    this.origins = grown(this.origins);
    this.segments = grown(this.segments);
    this.positions = grown(this.positions);
    this.lengths = grown(this.lengths);
    this.generations = grown(this.generations);
    this.next = next;
  }
}
