/** Events until it is told to stop, so that tests can choose the moment. */
import { setTimeout as wait } from 'node:timers/promises';
import { defineJob } from '../../../src/index.ts';

export default defineJob({
  source: {
    name: 'numbers',
    async *read(from) {
      for (let offset = Number(from ?? 0n); ; offset += 1) {
        yield { stream: `s${offset % 7}`, payload: 'x', offset };
        if (offset % 100 === 0) await wait(1);
      }
    },
  },
  operators: new URL('./operators.ts', import.meta.url),
  shards: 1,
  checkpoint: { everyEvents: 50, everyMs: 20 },
});
