/**
 * One thread that runs one long-lived task: a Piscina pool of exactly one worker. Piscina supervises
 * the worker; everything else goes through shared memory or a port that the task is given.
 *
 * The pool never queues: a second task would wait for the first one, which never ends by itself.
 */
import type { TransferListItem } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { TidemarkError } from '../error.ts';

export class TaskThread<Outcome> {
  /** Settles when the task has ended, however it did. Always handled. */
  readonly outcome: Promise<Outcome>;
  readonly #pool: Piscina;
  /** Resolves when the thread is gone: after its task has ended it may still run for a moment. */
  readonly #exited: Promise<void>;
  #destroyed: Promise<void> | undefined;

  /** `task` is cloned to the thread, except for what is in `transfer`. */
  constructor(thread: {
    file: string;
    task: unknown;
    transfer?: readonly TransferListItem[];
    execArgv?: readonly string[];
  }) {
    this.#pool = new Piscina({
      filename: thread.file,
      minThreads: 1,
      maxThreads: 1,
      // The task does its own waiting; Piscina's would freeze the timers of an idle worker.
      atomics: 'disabled',
      idleTimeout: Number.POSITIVE_INFINITY,
      recordTiming: false,
      ...(thread.execArgv === undefined ? {} : { execArgv: [...thread.execArgv] }),
    });
    // A throw outside of the task is reported here; the task's own promise says what follows from it.
    let late: unknown;
    this.#pool.on('error', (error: unknown) => {
      late ??= error;
    });
    const [worker] = this.#pool.threads;
    this.#exited = new Promise((resolve) => {
      worker?.once('exit', () => resolve());
    });
    const options = thread.transfer === undefined ? {} : { transferList: [...thread.transfer] };
    this.outcome = this.#pool.run(thread.task, options).catch((error: unknown) => {
      throw late ?? error;
    });
    // Whoever needs the outcome awaits it; nobody doing so yet must not end the process.
    this.outcome.catch(() => undefined);
  }

  /** Ends the thread, whatever it is doing, and resolves when it is gone. */
  destroy(): Promise<void> {
    // Once: a second call would not wait, and the pool would replace the worker that ends meanwhile. The pool knows
    // nothing any more of a thread that has thrown, and may have begun another one.
    this.#destroyed ??= Promise.all([this.#pool.destroy(), this.#exited]).then(() => undefined);
    return this.#destroyed;
  }
}

/** A thread that ended without being told to. */
export function threadExited(what: string, cause: unknown): TidemarkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TidemarkError('ERR_TIDEMARK_SHARD_EXITED', `${what} ended unexpectedly: ${reason}`, { cause });
}
