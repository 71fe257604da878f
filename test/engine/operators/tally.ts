/**
 * The operators of most tests. What they compute from the payloads is repeated independently in `support/model.ts`.
 * Streams whose name begins with `bag` get only those for which the order of events makes no difference.
 */
import type { HeapOperator, Operator, SlotOperator } from '../../../src/index.ts';

/** How many events, and the sum of all bytes of their payloads. */
export const tally: SlotOperator = {
  kind: 'slot',
  name: 'tally',
  version: 1,
  bytes: 16,
  process({ payload }, { view }) {
    view.setBigUint64(0, view.getBigUint64(0, true) + 1n, true);
    let sum = view.getBigUint64(8, true);
    for (const byte of payload) sum += BigInt(byte);
    view.setBigUint64(8, sum, true);
  },
};

/** A hash of all payloads in their order. */
const fold: SlotOperator = {
  kind: 'slot',
  name: 'fold',
  version: 1,
  bytes: 4,
  process({ payload }, { view }) {
    let hash = view.getUint32(0, true);
    for (const byte of payload) hash = (Math.imul(hash, 31) + byte) >>> 0;
    view.setUint32(0, hash, true);
  },
};

/** How often each payload was seen, on the heap. */
export const words: HeapOperator<Map<string, number>> = {
  kind: 'heap',
  name: 'words',
  version: 1,
  create: () => new Map(),
  process(event, counts) {
    const word = event.text();
    counts.set(word, (counts.get(word) ?? 0) + 1);
  },
  snapshot: (counts) => Buffer.from(JSON.stringify([...counts].sort(([a], [b]) => (a < b ? -1 : 1)))),
  restore: (bytes) => new Map(JSON.parse(Buffer.from(bytes).toString()) as [string, number][]),
};

export default (stream: string): readonly Operator[] =>
  stream.startsWith('bag') ? [tally, words] : [tally, words, fold];
