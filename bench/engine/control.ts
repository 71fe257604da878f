/**
 * The control for event-loop delays: the same load on the machine without an engine. As many threads as
 * there are shards never rest, and the main thread makes the same events for as long as a turn of the
 * engine's may take, turn after turn. What delay there is comes from the machine and the bench.
 */
import { availableParallelism } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Load } from './load.ts';
import { type LoopDelay, watchThread } from './thread-watch.ts';

/** As many events as the engine accepts in one turn. */
const BATCHES_PER_TURN = 4;

export async function measureControl(ms: number): Promise<LoopDelay> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const spinners = Array.from(
    { length: Math.max(1, availableParallelism() - 1) },
    () => new Worker(new URL('./spin.ts', import.meta.url), { workerData: stop }),
  );
  await Promise.all(spinners.map((spinner) => new Promise((resolve) => spinner.once('message', resolve))));
  const load = new Load({ kind: 'slots', streams: 10_000, events: 1_000_000, payloadBytes: 100 });
  const { delay } = await watchThread(async () => {
    const end = performance.now() + ms;
    let batches = load.batches();
    while (performance.now() < end) {
      for (let i = 0; i < BATCHES_PER_TURN; i++) {
        if (batches.next().done === true) batches = load.batches();
      }
      await nextTurn();
    }
  });
  Atomics.store(stop, 0, 1);
  await Promise.all(spinners.map((spinner) => new Promise((resolve) => spinner.once('exit', resolve))));
  return delay;
}
