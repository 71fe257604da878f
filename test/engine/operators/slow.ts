/** The operators of `tally.ts`, of which the first takes its time: busy, as one that computes much would be. */
import type { Operator, SlotOperator } from '../../../src/index.ts';
import operators, { tally } from './tally.ts';

const BUSY_MS = 0.05;

const slowTally: SlotOperator = {
  ...tally,
  process(event, slot) {
    const until = performance.now() + BUSY_MS;
    while (performance.now() < until);
    tally.process(event, slot);
  },
};

export default (stream: string): readonly Operator[] =>
  operators(stream).map((operator) => (operator === tally ? slowTally : operator));
