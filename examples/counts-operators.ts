import type { Operator } from '../src/index.ts';

/** Counts the events of a stream in eight bytes of shared memory. */
const count: Operator = {
  kind: 'slot',
  name: 'count',
  version: 1,
  bytes: 8,
  process(_event, { view }) {
    view.setBigUint64(0, view.getBigUint64(0, true) + 1n, true);
  },
};

export default () => [count];
