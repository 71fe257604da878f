/** Ten good events, then one that meets the fault of the variable FAULT. */
import { defineJob, type Event } from '../../../src/index.ts';

const fault = process.env['FAULT'];

export default defineJob({
  source: {
    name: 'numbers',
    async *read(from) {
      for (let offset = Number(from ?? 0n); offset < 10; offset += 1)
        yield { stream: 'a', payload: 'good', offset };
      if (fault === 'source') throw new Error('connection lost');
      if (fault === 'event') yield { stream: 5, payload: 'x', offset: 10 } as unknown as Event;
      if (fault === 'large-payload') yield { stream: 'a', payload: new Uint8Array(2 ** 17), offset: 10 };
      yield { stream: 'a', payload: 'faulty', offset: 10 };
    },
  },
  operators: new URL('./operators.ts', import.meta.url),
  shards: 1,
  memory: { bytes: 2 ** 23, ringBytes: 2 ** 16 },
});
