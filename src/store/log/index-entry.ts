/** Where a checkpoint is, as an INDEX record says it. See FORMINDEX_ENTRY.md. */
import type { CheckpointLocation } from './checkpoint-index.ts';
import { getCounter, putCounter, RECORD_ALIGN } from './layout.ts';

export const INDEX_ENTRY_BYTES = 32;
export const INDEX_ENTRY = { sequence: 0, origin: 8, generation: 16, position: 24, length: 28 } as const;

/** Entries of one stream in one segment, from the newest to the oldest. */
export interface StoredEntries {
  readonly view: DataView;
  /** Where in `view` the first one is. */
  readonly start: number;
  readonly count: number;
}

export function writeIndexEntry(view: DataView, at: number, entry: CheckpointLocation): void {
  view.setBigUint64(at + INDEX_ENTRY.sequence, entry.sequence, true);
  putCounter(view, at + INDEX_ENTRY.origin, entry.origin);
  putCounter(view, at + INDEX_ENTRY.generation, entry.generation);
  view.setUint32(at + INDEX_ENTRY.position, entry.position / RECORD_ALIGN, true);
  view.setUint32(at + INDEX_ENTRY.length, entry.length, true);
}

export function readIndexEntry(
  { view, start }: StoredEntries,
  segment: number,
  i: number,
): CheckpointLocation {
  const at = start + INDEX_ENTRY_BYTES * i;
  return {
    sequence: view.getBigUint64(at + INDEX_ENTRY.sequence, true),
    origin: getCounter(view, at + INDEX_ENTRY.origin),
    segment,
    position: view.getUint32(at + INDEX_ENTRY.position, true) * RECORD_ALIGN,
    length: view.getUint32(at + INDEX_ENTRY.length, true),
    generation: getCounter(view, at + INDEX_ENTRY.generation),
  };
}
