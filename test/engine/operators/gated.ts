/** Counts events; at a payload `wait` it stands at the test's gate first, at `wait and throw` it throws behind it. */
import type { Operator } from '../../../src/index.ts';
import { Gate } from '../support/gate.ts';

const gate = Gate.inherited();

const count: Operator = {
  kind: 'slot',
  name: 'count',
  version: 1,
  bytes: 8,
  process(event, { view }) {
    view.setBigUint64(0, view.getBigUint64(0, true) + 1n, true);
    const payload = event.text();
    if (payload.startsWith('wait')) gate.pass();
    if (payload === 'wait and throw') throw new Error('broken on purpose');
  },
};

export default (): readonly Operator[] => [count];
