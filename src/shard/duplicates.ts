/** Whether a stream has an event already. */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT, FLAG } from '../memory/ingest-ring.ts';

/**
 * The event of the record at `address`: by its sequence if it brings one, else by the offset in its source, up to which
 * the u64 at `offsetAddress` says what the stream has; 0: nothing.
 */
export function isDuplicate(
  memory: EngineMemory,
  address: number,
  image: number,
  flags: number,
  offsetAddress: number,
): boolean {
  const { u32 } = memory;
  if ((flags & FLAG.sequence) !== 0) {
    const word = image >>> 2;
    // Without an event a sequence may be one that was skipped or given up; 0 is none, and may be that of the first event.
    const hasCount = (u32[word + 4] as number) !== 0 || (u32[word + 5] as number) !== 0;
    const isNew = !hasCount && (u32[word] as number) === 0 && (u32[word + 1] as number) === 0;
    return !isNew && !isLess(u32, word, (address + AT.sequence) >>> 2);
  }
  if (offsetAddress === 0) return false;
  const { view } = memory;
  const high = u32[(address + AT.offset + 4) >>> 2] as number;
  const nextHigh = view.getUint32(offsetAddress + 4, true);
  if (high !== nextHigh) return high < nextHigh;
  return (u32[(address + AT.offset) >>> 2] as number) < view.getUint32(offsetAddress, true);
}

/** u64 at word `a` < u64 at word `b`, low half first. */
export function isLess(u32: Uint32Array, a: number, b: number): boolean {
  const highA = u32[a + 1] as number;
  const highB = u32[b + 1] as number;
  return highA === highB ? (u32[a] as number) < (u32[b] as number) : highA < highB;
}
