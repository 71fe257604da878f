/** Counts events; at the event `faulty` it does what the variable FAULT says. */
import type { Operator } from '../../../src/index.ts';

const fault = process.env['FAULT'];
if (fault === 'module') throw new Error('no such table');

const count: Operator = {
  kind: 'slot',
  name: 'count',
  version: 1,
  bytes: fault === 'small-memory' ? 2 ** 24 : 8,
  process(event, { view }) {
    view.setBigUint64(0, view.getBigUint64(0, true) + 1n, true);
    if (event.text() !== 'faulty') return undefined;
    if (fault === 'operator') throw new Error('cannot divide');
    // A job in plain JavaScript can do what the types forbid.
    return (fault === 'async' ? Promise.resolve() : undefined) as undefined;
  },
};

export default () => [count];
