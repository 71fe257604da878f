/**
 * Reads ahead in the ring, so that what the next events need is on its way from memory before they are processed.
 *
 * Of many streams none is in the nearer caches, and an event would wait for its stream, then for what the
 * stream points to, then for what that points to. Here the loads of several events are issued together, one level
 * at a time, and the processor waits for them side by side ("group prefetching": Chen, Ailamaki, Gibbons, Mowry,
 * Improving Hash Join Performance through Prefetching, 2004). Nothing is decided by what is read.
 */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT, type IngestReader, RECORD } from '../memory/ingest-ring.ts';
import { type StreamColumns, StreamRow } from './stream-row.ts';

/** Records to a group: enough to keep the processor's misses overlapping, few enough to stay in its nearest cache. */
export const GROUP_RECORDS = 16;

export class LookAhead {
  readonly #u32: Uint32Array<SharedArrayBuffer>;
  readonly #ring: IngestReader;
  readonly #row: StreamRow;
  readonly #addresses: number[] = new Array<number>(GROUP_RECORDS).fill(0);
  readonly #indexes: number[] = new Array<number>(GROUP_RECORDS).fill(0);
  /** u32 index of a word that takes what was read: a load whose value goes nowhere may be left out. */
  readonly #sink: number;

  constructor(memory: EngineMemory, ring: IngestReader, columns: StreamColumns) {
    this.#u32 = memory.u32;
    this.#ring = ring;
    this.#row = new StreamRow(columns, 0);
    this.#sink = memory.scratch >>> 2;
  }

  /** Fetches what the next records of the ring need. */
  fetch(): void {
    const u32 = this.#u32;
    const indexes = this.#indexes;
    const row = this.#row;
    const { slots, heaps } = row.columns;
    const records = this.#ring.ahead(this.#addresses);
    let read = 0;
    let size = 0;
    for (let i = 0; i < records; i++) {
      const word = (this.#addresses[i] as number) >>> 2;
      if (((u32[word + AT.kind / 4] as number) & 0xffff) !== RECORD.event) continue;
      const index = u32[word + AT.index / 4] as number;
      // A new one, which is defined by a record in between.
      if (index >= slots.length) continue;
      indexes[size++] = index;
      row.index = index;
      read ^= row.fetched;
    }
    for (let i = 0; i < size; i++) {
      const index = indexes[i] as number;
      row.index = index;
      read ^= (u32[row.image >>> 2] as number) ^ (u32[row.offsetAddress >>> 2] as number);
      const slot = slots[index];
      if (slot !== undefined) read ^= slot.fetched;
      else read ^= heaps[index]?.version ?? 0;
    }
    u32[this.#sink] = read;
  }
}
