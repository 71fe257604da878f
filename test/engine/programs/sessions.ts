/**
 * Sessions come, have a few events, and are over: streams without number, of which few are there at a time. Reports, on
 * the way, how much memory the process has and how much the directory holds.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointEngine } from '../../../src/index.ts';
import { OPERATORS } from '../support/operators.ts';
import { argument, report } from '../support/program.ts';

/** At a time. */
const SESSIONS = 500;
const { sessions, every, directory, diskBytes } = argument<{
  sessions: number;
  /** Sessions between two reports. */
  every: number;
  directory?: string;
  diskBytes?: number;
}>();

await using engine = await CheckpointEngine.open({
  operators: OPERATORS.counted,
  directory,
  checkpoint: { everyEvents: 2 },
  retain: { diskBytes },
  maxStreams: 2 * SESSIONS,
});

function directoryBytes(): number {
  if (directory === undefined) return 0;
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

for (let n = 0; n < sessions; n += SESSIONS) {
  const names = Array.from({ length: SESSIONS }, (_, at) => `session-${n + at}`);
  const isReported = (n + SESSIONS) % every === 0;
  for (let offset = 3 * n; offset < 3 * n + 3; offset++) {
    await engine.push(names.map((stream) => ({ stream, payload: 'x', source: 'all', offset })));
    // Behind the second event all are clean, so this takes none more: it waits for those taken. The others may be
    // forgotten before the disk has them.
    if (isReported && offset === 3 * n + 1) await engine.checkpoint();
  }
  await Promise.all(names.map((stream) => engine.forget(stream)));
  if (!isReported) continue;
  const { memory, checkpoints } = engine.metrics();
  const { rss } = process.memoryUsage();
  const { stored, durable } = checkpoints;
  report({ stored, durable, rss, disk: directoryBytes(), frames: memory.frames });
}
