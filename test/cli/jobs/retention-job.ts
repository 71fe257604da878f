/** A source that keeps the offsets from EARLIEST up to LATEST only; ON_EXPIRED is the job's policy. */
import { defineJob, type ExpiredPolicy } from '../../../src/index.ts';

const earliest = Number(process.env['EARLIEST'] ?? 0);
const latest = Number(process.env['LATEST'] ?? 10);

export default defineJob({
  source: {
    name: 'numbers',
    range: () => ({ earliest, latest }),
    async *read(from) {
      for (let offset = Math.max(earliest, Number(from ?? 0n)); offset < latest; offset += 1)
        yield { stream: `s${offset % 2}`, payload: 'x', offset };
    },
  },
  operators: new URL('./operators.ts', import.meta.url),
  onExpired: process.env['ON_EXPIRED'] as ExpiredPolicy | undefined,
  shards: 1,
});
