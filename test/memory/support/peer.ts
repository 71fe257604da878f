/** Starts a worker on an engine's memory and waits for what it reports. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { EngineMemory } from '../../../src/memory/engine-memory.ts';
import type { ArenaLayout } from '../../../src/memory/layout.ts';
import type { SmallEngine } from './arena.ts';

export interface PeerData<Task> {
  readonly memory: WebAssembly.Memory;
  readonly arena: ArenaLayout;
  readonly task: Task;
}

export class Peer<Task> implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #report: Promise<unknown>;

  constructor(file: URL, engine: SmallEngine, task: Task) {
    const workerData: PeerData<Task> = { memory: engine.memory.memory, arena: engine.arena, task };
    this.#worker = new Worker(file, { workerData });
    this.#report = once(this.#worker, 'message').then(([message]: unknown[]) => message);
    // Whoever does not ask for the report learns of a failure by its latches.
    this.#report.catch(() => undefined);
  }

  /** The message that the worker posts; rejects with what it throws before. */
  report(): Promise<unknown> {
    return this.#report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

export function engineOf(data: PeerData<unknown>): SmallEngine {
  return { memory: new EngineMemory(data.memory), arena: data.arena };
}
