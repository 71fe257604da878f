/** Where the checkpoints of streams are, as an INDEX record says it. See FORMAT.md. */
import type { CheckpointLocation } from './checkpoint-index.ts';
import { getCounter, putCounter, RECORD_ALIGN } from './layout.ts';

export const INDEX_ENTRY_BYTES = 32;
export const INDEX_ENTRY = { sequence: 0, origin: 8, generation: 16, position: 24, length: 28 } as const;

/**
 * What an INDEX record lists, stream by stream: `next` goes on to one and says whether there was any. The checksum over
 * the record was right, so it is what was written.
 */
export class StoredStreams {
  readonly bytes: Uint8Array;
  /** Of the same bytes. */
  readonly view: DataView;
  /** There are at most so many entries of all streams. */
  readonly entriesMax: number;
  /** The UTF-8 of the stream's name runs from here up to `nameEnd`. */
  nameStart = 0;
  nameEnd = 0;
  /** Its entries, from the newest to the oldest. */
  entryCount = 0;
  private streamsLeft: number;
  private end: number;

  /** Of `streams` streams, which begin at `start`. */
  constructor(bytes: Uint8Array, view: DataView, { start, streams }: { start: number; streams: number }) {
    this.bytes = bytes;
    this.view = view;
    this.entriesMax = Math.floor((bytes.length - start) / INDEX_ENTRY_BYTES);
    this.streamsLeft = streams;
    this.end = start;
  }

  next(): boolean {
    if (this.streamsLeft === 0) return false;
    this.streamsLeft -= 1;
    this.entryCount = this.view.getUint32(this.end, true);
    this.nameStart = this.end + 8;
    this.nameEnd = this.nameStart + this.view.getUint32(this.end + 4, true);
    this.end = this.nameEnd + INDEX_ENTRY_BYTES * this.entryCount;
    return true;
  }

  /** Where in `bytes` an entry of the stream is. */
  entryAt(i: number): number {
    return this.nameEnd + INDEX_ENTRY_BYTES * i;
  }
}

export function writeIndexEntry(view: DataView, at: number, entry: CheckpointLocation): void {
  view.setBigUint64(at + INDEX_ENTRY.sequence, entry.sequence, true);
  putCounter(view, at + INDEX_ENTRY.origin, entry.origin);
  putCounter(view, at + INDEX_ENTRY.generation, entry.generation);
  view.setUint32(at + INDEX_ENTRY.position, entry.position / RECORD_ALIGN, true);
  view.setUint32(at + INDEX_ENTRY.length, entry.length, true);
}

export function readIndexEntry(view: DataView, at: number, segment: number): CheckpointLocation {
  return {
    sequence: view.getBigUint64(at + INDEX_ENTRY.sequence, true),
    origin: getCounter(view, at + INDEX_ENTRY.origin),
    segment,
    position: view.getUint32(at + INDEX_ENTRY.position, true) * RECORD_ALIGN,
    length: view.getUint32(at + INDEX_ENTRY.length, true),
    generation: getCounter(view, at + INDEX_ENTRY.generation),
  };
}
