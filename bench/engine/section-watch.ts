/**
 * How long the main thread is kept busy without a break. Every callback is timed by hooks on its way in
 * and out; the continuations of promises that follow a callback belong to the same section, because the
 * event loop gets no turn between them.
 *
 * What cannot be told apart counts as one section, so the longest is an upper bound. Time that the bench
 * spends on making events is taken out.
 */
import { createHook, executionAsyncResource } from 'node:async_hooks';
import { type PerformanceEntry, PerformanceObserver, performance } from 'node:perf_hooks';

export interface Longest {
  /** By the clock, in which the machine may run something else. */
  readonly wallMs: number;
  /** By the processor time of the thread. */
  readonly threadMs: number;
  /** By processor time, less the garbage collections that fell into it. */
  readonly withoutGcMs: number;
}

/** Callbacks that ran without a turn of the event loop between them. */
interface Section {
  wallMs: number;
  threadMs: number;
  readonly parts: { readonly startMs: number; readonly endMs: number }[];
}

/** Only sections this long are kept: the longest is among them, or is shorter than anybody cares. */
const KEPT_MS = 0.5;

export class SectionWatch {
  /** Processor time taken out. */
  excludedMs = 0;
  readonly #hook = createHook({ before: () => this.#enter(), after: () => this.#leave() });
  readonly #collections: PerformanceEntry[] = [];
  readonly #observer = new PerformanceObserver((list) => void this.#collections.push(...list.getEntries()));
  readonly #kept: Section[] = [];
  #section: Section = { wallMs: 0, threadMs: 0, parts: [] };
  #depth = 0;
  #startMs = 0;
  #startThreadMs = 0;
  #loop = -1;

  start(): void {
    this.#observer.observe({ entryTypes: ['gc'] });
    this.#hook.enable();
  }

  stop(): Longest {
    this.#hook.disable();
    this.#collections.push(...this.#observer.takeRecords());
    this.#observer.disconnect();
    this.#keep();
    const most = (length: (section: Section) => number): number => Math.max(0, ...this.#kept.map(length));
    return {
      wallMs: most(({ wallMs }) => wallMs),
      threadMs: most(({ threadMs }) => threadMs),
      withoutGcMs: most((section) => section.threadMs - this.#collectionMs(section)),
    };
  }

  /** Runs what is the bench's own. */
  exclude<Value>(work: () => Value): Value {
    const startMs = performance.now();
    const startThreadMs = threadMs();
    const value = work();
    const usedMs = threadMs() - startThreadMs;
    this.excludedMs += usedMs;
    this.#section.threadMs -= usedMs;
    this.#section.wallMs -= performance.now() - startMs;
    return value;
  }

  #enter(): void {
    if (this.#depth++ > 0) return;
    const loop = performance.nodeTiming.uvMetricsInfo.loopCount;
    const continues = loop === this.#loop && executionAsyncResource() instanceof Promise;
    if (!continues) {
      this.#keep();
      this.#section = { wallMs: 0, threadMs: 0, parts: [] };
    }
    this.#loop = loop;
    this.#startThreadMs = threadMs();
    this.#startMs = performance.now();
  }

  #leave(): void {
    // The callback that started the watch was not seen going in.
    if (this.#depth === 0 || --this.#depth > 0) return;
    const endMs = performance.now();
    this.#section.wallMs += endMs - this.#startMs;
    this.#section.threadMs += threadMs() - this.#startThreadMs;
    this.#section.parts.push({ startMs: this.#startMs, endMs });
  }

  #keep(): void {
    if (this.#section.wallMs >= KEPT_MS) this.#kept.push(this.#section);
  }

  /** What garbage collections took of a section by the clock, of which little goes by while the machine runs something else. */
  #collectionMs({ parts }: Section): number {
    let ms = 0;
    for (const { startTime, duration } of this.#collections) {
      for (const { startMs, endMs } of parts)
        ms += Math.max(0, Math.min(endMs, startTime + duration) - Math.max(startMs, startTime));
    }
    return ms;
  }
}

/** To the microsecond: Linux brings the account of a thread up to date only when that of its process is read. */
function threadMs(): number {
  process.cpuUsage();
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e3;
}
