/** Thread entry of a shard. Piscina runs its default export once, for as long as the shard lives. */
import { isMainThread } from 'node:worker_threads';
import { runShard } from '../src/shard/run.ts';
import type { ShardOutcome, ShardTask } from '../src/shard/task.ts';

if (isMainThread) throw new Error('workers/shard is the entry of a worker thread, not a module to import');

export default function shard(task: ShardTask): Promise<ShardOutcome> {
  return runShard(task);
}
