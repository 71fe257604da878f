/** Keeps a load at a rate, by the clock since its first event: what came late is made up for. */
import { setTimeout as sleep } from 'node:timers/promises';

export class Pace {
  readonly #perSecond: number | undefined;
  #startMs: number | undefined;
  #events = 0;

  /** Undefined: no wait at all. */
  constructor(perSecond: number | undefined) {
    this.#perSecond = perSecond;
  }

  /** Resolves when the next `events` are due. */
  async wait(events: number): Promise<void> {
    if (this.#perSecond === undefined) return;
    this.#startMs ??= performance.now();
    const dueMs = this.#startMs + (this.#events / this.#perSecond) * 1e3;
    this.#events += events;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
  }
}
