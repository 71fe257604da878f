/** Puts what lies in one segment in the order in which it lies there. */
import { RECORD_ALIGN } from './layout.ts';

/** More than there are records in a segment, and so many segments of 4 GiB in records are still a safe integer. */
const ORDER = 2 ** 26;

/** Sorts `items`, of which each has another position in the segment, in place. */
export function sortByPosition(items: number[], positionOf: (item: number) => number): void {
  let last = -1;
  let isInOrder = true;
  for (const item of items) {
    const position = positionOf(item);
    isInOrder &&= position > last;
    last = position;
  }
  if (isInOrder) return;
  // Numbers sort many times faster than by a function, and a position in records leaves room for whose it is.
  const keys = Float64Array.from(items, (item, i) => (positionOf(item) / RECORD_ALIGN) * ORDER + i).sort();
  const unordered = items.slice();
  for (let i = 0; i < keys.length; i++) items[i] = unordered[(keys[i] as number) % ORDER] as number;
}
