/**
 * The operators of `tally.ts`, before which a payload that begins with `wait` stands at the test's gate. `wait and
 * throw` throws once it is through.
 */
import type { Operator, SlotOperator } from '../../../src/index.ts';
import { Gate } from '../support/gate.ts';
import operators, { tally } from './tally.ts';

const gate = Gate.inherited();

const gatedTally: SlotOperator = {
  ...tally,
  process(event, slot) {
    const payload = event.text();
    if (payload.startsWith('wait')) gate.pass();
    if (payload === 'wait and throw') throw new Error('broken on purpose');
    tally.process(event, slot);
  },
};

export default (stream: string): readonly Operator[] =>
  operators(stream).map((operator) => (operator === tally ? gatedTally : operator));
