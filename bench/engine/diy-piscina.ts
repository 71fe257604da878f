/**
 * Piscina as most would use it for this: a task for each batch, whose events are cloned to the worker,
 * which holds the states and writes checkpoints. Streams stay where they are, so every worker is a pool
 * of its own, and a batch is split among them.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { deserialize } from 'node:v8';
import { Piscina } from 'piscina';
import type { EngineCase } from './cases.ts';
import { type DiyCheckpoint, foundIn, LmdbLog } from './diy.ts';
import type { LoadEvent } from './load.ts';
import type { PiscinaSettings, PiscinaTask } from './piscina-task.ts';
import type { EngineSubject, Totals } from './subject.ts';

/** Tasks that a worker is given before it has answered the first, so that it never waits for work. */
const TASKS_AHEAD = 4;

export async function openDiyPiscina(each: EngineCase, directory: string): Promise<EngineSubject> {
  // As many workers as the engine has shards.
  const workers = Array.from(
    { length: Math.max(1, availableParallelism() - 1) },
    (_, index) => new Worker(each, join(directory, String(index))),
  );
  await Promise.all(workers.map((worker) => worker.run({ kind: 'open' })));
  const homes = new Map<string, number>();
  const homeOf = (stream: string): Worker => {
    let home = homes.get(stream);
    if (home === undefined) {
      home = homes.size % workers.length;
      homes.set(stream, home);
    }
    return workers[home] as Worker;
  };
  return {
    async push(batch) {
      if (workers.length === 1) return (workers[0] as Worker).apply(batch);
      const parts = Map.groupBy(batch, (event) => homeOf(event.stream));
      await Promise.all([...parts].map(([worker, part]) => worker.apply(part)));
    },
    async finish() {
      await Promise.all(workers.map((worker) => worker.finish()));
    },
    async totals() {
      const totals = await Promise.all(workers.map((worker) => worker.run({ kind: 'totals' })));
      return {
        events: totals.reduce((sum, { events }) => sum + events, 0),
        checkpoints: totals.reduce((sum, { checkpoints }) => sum + checkpoints, 0),
      };
    },
    stateOf: (stream) => (workers.length === 1 ? (workers[0] as Worker) : homeOf(stream)).stateOf(stream),
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
}

class Worker {
  readonly #pool: Piscina<PiscinaTask, Totals>;
  readonly #directory: string;
  #log: LmdbLog | undefined;
  #batches = 0;
  /** Tasks that are not answered, oldest first. */
  readonly #pending: Promise<Totals>[] = [];

  constructor(each: EngineCase, directory: string) {
    const workerData: PiscinaSettings = { kind: each.plan.kind, everyEvents: each.everyEvents, directory };
    this.#directory = directory;
    this.#pool = new Piscina({
      filename: new URL('./piscina-task.ts', import.meta.url).href,
      minThreads: 1,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      concurrentTasksPerWorker: TASKS_AHEAD,
      workerData,
    });
  }

  run(task: PiscinaTask): Promise<Totals> {
    return this.#pool.run(task);
  }

  /** Clones the batch at once: with a place free, Piscina posts a task within the call. */
  async apply(events: readonly LoadEvent[]): Promise<void> {
    while (this.#pending.length >= TASKS_AHEAD) await this.#pending.shift();
    this.#pending.push(this.#pool.run({ kind: 'batch', number: this.#batches++, events }));
  }

  async finish(): Promise<void> {
    await Promise.all(this.#pending.splice(0));
    await this.run({ kind: 'finish' });
  }

  async stateOf(stream: string) {
    this.#log ??= await LmdbLog.open(this.#directory);
    const bytes = this.#log.get(stream);
    return bytes && foundIn(deserialize(bytes) as DiyCheckpoint);
  }

  async close(): Promise<void> {
    await this.#log?.close();
    await this.run({ kind: 'close' });
    await this.#pool.destroy();
  }
}
