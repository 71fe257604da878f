/**
 * Requests to checkpoint every stream. They are numbered; a shard answers with the newest number that it
 * has seen, which answers all before it. A request is done when every shard has answered.
 */
import type { ShardHandle } from './shard-handle.ts';

interface Waiter {
  readonly request: number;
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class CheckpointRequests {
  readonly #shards: readonly ShardHandle[];
  #request = 0;
  #waiters: Waiter[] = [];

  constructor(shards: readonly ShardHandle[]) {
    this.#shards = shards;
  }

  /** Resolves when every stream's events pushed before are in stored frames. Its caller has waited since `since`. */
  request(since: number): Promise<void> {
    this.#request = (this.#request + 1) | 0;
    const request = this.#request;
    for (const shard of this.#shards) shard.requestCheckpoint(request);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ request, since, resolve, reject });
    });
  }

  onAnswer(shard: ShardHandle, request: number): void {
    shard.checkpointsDone = request;
    const isDone = (waiter: Waiter): boolean =>
      this.#shards.every((each) => ((each.checkpointsDone - waiter.request) | 0) >= 0);
    const done = this.#waiters.filter(isDone);
    if (done.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => !isDone(waiter));
    for (const waiter of done) waiter.resolve();
  }

  failAll(reason: () => Error): void {
    this.failLate(reason, Number.POSITIVE_INFINITY);
  }

  /** Rejects who has waited since `before`, or longer. */
  failLate(reason: () => Error, before: number): void {
    const late = this.#waiters.filter(({ since }) => since <= before);
    this.#waiters = this.#waiters.filter(({ since }) => since > before);
    for (const waiter of late) waiter.reject(reason());
  }
}
