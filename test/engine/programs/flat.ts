/**
 * Takes a million checkpoints on a thousand streams and reports, on the way, how much memory the process has and
 * how much the directory holds. A push is awaited now and then only, as a service under load would.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointEngine } from '../../../src/index.ts';
import { OPERATORS } from '../support/operators.ts';
import { argument, report } from '../support/program.ts';

const STREAMS = 1_000;
const { checkpoints, every, directory, diskBytes } = argument<{
  checkpoints: number;
  /** Checkpoints between two reports. */
  every: number;
  directory?: string;
  diskBytes?: number;
}>();

const streams = Array.from({ length: STREAMS }, (_, n) => `stream-${n}`);
await using engine = await CheckpointEngine.open({
  operators: OPERATORS.counted,
  directory,
  checkpoint: { everyEvents: 1 },
  retain: { diskBytes },
});

function directoryBytes(): number {
  if (directory === undefined) return 0;
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

for (let n = 0; n < checkpoints; n += STREAMS) {
  await engine.push(streams.map((stream) => ({ stream, payload: 'x', source: 'all', offset: n })));
  if ((n + STREAMS) % every !== 0) continue;
  await engine.checkpoint();
  const { stored, durable } = engine.metrics().checkpoints;
  const { rss } = process.memoryUsage();
  report({ stored, durable, rss, disk: directoryBytes(), frames: engine.metrics().memory.frames });
}
