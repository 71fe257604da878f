/**
 * The rows of an index of checkpoints: eight numbers an entry, a cache line, in one typed array that grows. A row that is
 * given up is taken again.
 */
import type { CheckpointLocation } from './checkpoint-index.ts';
import { INDEX_ENTRY } from './index-entry.ts';
import { getCounter, RECORD_ALIGN, recordFootprint } from './layout.ts';

/** No row: the end of a list. */
export const NONE = -1;
/** Columns of a row; a sequence is eight bytes of it, and `next` links the rows of a stream. */
export const ROW = {
  sequence: 0,
  origin: 1,
  segment: 2,
  position: 3,
  length: 4,
  generation: 5,
  next: 6,
  columns: 8,
} as const;
const INITIAL_CAPACITY = 256;

/** An entry, the sequence in words, that can be filled again and again. */
export interface NewestEntry {
  sequenceLow: number;
  sequenceHigh: number;
  origin: number;
  segment: number;
  generation: number;
  position: number;
  length: number;
}

export class EntryRows {
  private freeSlot = NONE;
  private used = 0;
  private rows = new Float64Array(ROW.columns * INITIAL_CAPACITY);
  /** The same bytes. */
  private sequences = new BigUint64Array(this.rows.buffer);
  private words = new Uint32Array(this.rows.buffer);

  column(slot: number, column: number): number {
    return this.rows[ROW.columns * slot + column] as number;
  }

  next(slot: number): number {
    return this.rows[ROW.columns * slot + ROW.next] as number;
  }

  link(slot: number, next: number): void {
    this.rows[ROW.columns * slot + ROW.next] = next;
  }

  footprint(slot: number): number {
    return recordFootprint(this.rows[ROW.columns * slot + ROW.length] as number);
  }

  sequence(slot: number): bigint {
    return this.sequences[ROW.columns * slot + ROW.sequence] as bigint;
  }

  /** Whether a sequence, in words, is greater than that of an entry. */
  isNewer(high: number, low: number, slot: number): boolean {
    const word = 2 * ROW.columns * slot;
    const otherHigh = this.words[word + 1] as number;
    return high > otherHigh || (high === otherHigh && low > (this.words[word] as number));
  }

  read(slot: number): CheckpointLocation {
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

  /** As `read`, without making an object. */
  readInto(entry: NewestEntry, slot: number): void {
    const row = ROW.columns * slot;
    entry.sequenceLow = this.words[2 * row] as number;
    entry.sequenceHigh = this.words[2 * row + 1] as number;
    entry.origin = this.rows[row + ROW.origin] as number;
    entry.segment = this.rows[row + ROW.segment] as number;
    entry.generation = this.rows[row + ROW.generation] as number;
    entry.position = this.rows[row + ROW.position] as number;
    entry.length = this.rows[row + ROW.length] as number;
  }

  write(slot: number, entry: CheckpointLocation): void {
    this.sequences[ROW.columns * slot + ROW.sequence] = entry.sequence;
    this.writeRest(slot, entry);
  }

  /** In words. */
  writeSequence(slot: number, high: number, low: number): void {
    const word = 2 * ROW.columns * slot;
    this.words[word] = low;
    this.words[word + 1] = high;
  }

  /** As `write` of all but the sequence. */
  writeRest(slot: number, entry: Omit<CheckpointLocation, 'sequence'>): void {
    const row = ROW.columns * slot;
    this.rows[row + ROW.origin] = entry.origin;
    this.rows[row + ROW.segment] = entry.segment;
    this.rows[row + ROW.position] = entry.position;
    this.rows[row + ROW.length] = entry.length;
    this.rows[row + ROW.generation] = entry.generation;
  }

  /** As `write` of the entry of an INDEX record at `at` of `view`, without making an object of it. */
  copy(slot: number, segment: number, view: DataView, at: number): void {
    const row = ROW.columns * slot;
    this.words[2 * row] = view.getUint32(at + INDEX_ENTRY.sequence, true);
    this.words[2 * row + 1] = view.getUint32(at + INDEX_ENTRY.sequence + 4, true);
    this.rows[row + ROW.origin] = getCounter(view, at + INDEX_ENTRY.origin);
    this.rows[row + ROW.segment] = segment;
    this.rows[row + ROW.position] = view.getUint32(at + INDEX_ENTRY.position, true) * RECORD_ALIGN;
    this.rows[row + ROW.length] = view.getUint32(at + INDEX_ENTRY.length, true);
    this.rows[row + ROW.generation] = getCounter(view, at + INDEX_ENTRY.generation);
  }

  take(): number {
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
  reserve(entries: number): void {
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

  give(slot: number): void {
    this.link(slot, this.freeSlot);
    this.freeSlot = slot;
  }
}
