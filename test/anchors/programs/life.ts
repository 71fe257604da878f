/** One life of an engine on a directory: does what it is told, says so, and then holds the directory until it is killed. */
import { CheckpointEngine, TidemarkError } from '../../../src/index.ts';
import { OPERATORS } from '../../engine/support/operators.ts';
import { argument, report } from '../../engine/support/program.ts';
import type { Life } from '../support/lives.ts';

const { directory, steps } = argument<Life>();

/** Accepted events are on their shards, where no trigger takes a checkpoint. */
async function untilApplied(engine: CheckpointEngine): Promise<void> {
  for (;;) {
    const { accepted, applied, dropped } = engine.metrics().events;
    if (applied + dropped === accepted) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

try {
  const engine = await CheckpointEngine.open({
    operators: OPERATORS.tally,
    directory,
    shards: 2,
    checkpoint: { everyEvents: 1_000_000 },
    memory: { bytes: 2 ** 25, ringBytes: 2 ** 16 },
  });
  report({ opened: engine.generation });
  for (const step of steps) {
    if ('push' in step) await engine.push(step.push);
    else if ('forget' in step) await engine.forget(step.forget);
    else await engine.checkpoint(step.checkpoint ?? undefined);
  }
  await untilApplied(engine);
  report({ done: true });
} catch (error) {
  report({ refused: error instanceof TidemarkError ? error.code : String(error) });
}
