/**
 * How long the main thread is kept busy without a break. Every callback is timed by hooks on its way in
 * and out; the continuations of promises that follow a callback belong to the same section, because the
 * event loop gets no turn between them.
 *
 * What cannot be told apart counts as one section, so the longest is an upper bound. Time that the bench
 * spends on making events is taken out.
 */
import { createHook, executionAsyncResource } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';

/** The longest section by the clock, and the longest by processor time: the machine may run something else. */
export interface Longest {
  wallMs: number;
  threadMs: number;
}

export class SectionWatch {
  readonly longest: Longest = { wallMs: 0, threadMs: 0 };
  /** Processor time taken out. */
  excludedMs = 0;
  readonly #hook = createHook({ before: () => this.#enter(), after: () => this.#leave() });
  #depth = 0;
  #startMs = 0;
  #startThreadMs = 0;
  #loop = -1;
  /** Of the present section, its callbacks that have ended. */
  #wallMs = 0;
  #threadMs = 0;

  start(): void {
    this.#hook.enable();
  }

  stop(): void {
    this.#hook.disable();
  }

  /** Runs what is the bench's own. */
  exclude<Value>(work: () => Value): Value {
    const startMs = performance.now();
    const startThreadMs = threadMs();
    const value = work();
    const usedMs = threadMs() - startThreadMs;
    this.excludedMs += usedMs;
    this.#threadMs -= usedMs;
    this.#wallMs -= performance.now() - startMs;
    return value;
  }

  #enter(): void {
    if (this.#depth++ > 0) return;
    const loop = performance.nodeTiming.uvMetricsInfo.loopCount;
    const continues = loop === this.#loop && executionAsyncResource() instanceof Promise;
    if (!continues) {
      this.#wallMs = 0;
      this.#threadMs = 0;
    }
    this.#loop = loop;
    this.#startThreadMs = threadMs();
    this.#startMs = performance.now();
  }

  #leave(): void {
    // The callback that started the watch was not seen going in.
    if (this.#depth === 0 || --this.#depth > 0) return;
    this.#wallMs += performance.now() - this.#startMs;
    this.#threadMs += threadMs() - this.#startThreadMs;
    this.longest.wallMs = Math.max(this.longest.wallMs, this.#wallMs);
    this.longest.threadMs = Math.max(this.longest.threadMs, this.#threadMs);
  }
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e3;
}
