/** An engine whose opening is aborted while its shards load, and is then left alone: nothing of it may keep the process. */
import { CheckpointEngine, type EngineOptions } from '../../../src/index.ts';
import { argument, report } from '../support/program.ts';

const { options } = argument<{ readonly options: EngineOptions }>();
const controller = new AbortController();
setTimeout(() => controller.abort(), 200);
try {
  await CheckpointEngine.open({ ...options, signal: controller.signal });
  report({ name: 'opened' });
} catch (error) {
  report({ name: (error as Error).name });
}
