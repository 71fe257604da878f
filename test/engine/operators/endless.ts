/** An operator that does not return from the event with the payload `stay`. */
import type { Operator } from '../../../src/index.ts';

const endless: Operator = {
  kind: 'slot',
  name: 'endless',
  version: 1,
  bytes: 8,
  process(event) {
    while (event.payload.length === 4);
  },
};

export default () => [endless];
