/** An engine that fails, or cannot be opened, and is then left alone: nothing of it may keep the process. */
import { CheckpointEngine, type EngineOptions, TidemarkError } from '../../../src/index.ts';
import { argument, report } from '../support/program.ts';

interface Fault {
  readonly options: EngineOptions;
  /** Payload that makes the operator fail; none: opening fails. */
  readonly payload?: string;
}

const { options, payload } = argument<Fault>();

function codeOf(error: unknown): string {
  return error instanceof TidemarkError ? error.code : String(error);
}

try {
  const engine = await CheckpointEngine.open(options);
  await engine.push({ stream: 'a', payload: 'fine' });
  await engine.checkpoint();
  // No listener for its errors: that must not throw.
  await engine.push({ stream: 'a', payload: payload ?? '' });
  // Until it has failed: some faults come later.
  for (;;) await engine.push({ stream: 'a', payload: 'fine' });
} catch (error) {
  report({ code: codeOf(error) });
}
