/** As little as an operator can do: eight bytes that count. */
import type { Operator } from '../../../src/index.ts';

const count: Operator = {
  kind: 'slot',
  name: 'count',
  version: 1,
  bytes: 8,
  process(_event, { view }) {
    view.setUint32(0, view.getUint32(0, true) + 1, true);
  },
};

export default (): readonly Operator[] => [count];
