/**
 * A gate that operators of `operators/gated.ts` wait at, blocking their shard until the test opens it. It reaches
 * them as environment data, which worker threads inherit; so it is made before the engine is opened.
 */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

const KEY = 'tidemark test gate';
const REACHED = 0;
const OPEN = 1;
/** More than any passing test takes. */
const WAIT_MS_MAX = 20_000;

export class Gate {
  readonly #cells: Int32Array<SharedArrayBuffer>;

  private constructor(cells: Int32Array<SharedArrayBuffer>) {
    this.#cells = cells;
  }

  /** Closed, and the one that shards started from now on find. */
  static make(): Gate {
    const cells = new Int32Array(new SharedArrayBuffer(8));
    setEnvironmentData(KEY, cells);
    return new Gate(cells);
  }

  /** The gate that the thread was started with. */
  static inherited(): Gate {
    return new Gate(getEnvironmentData(KEY) as Int32Array<SharedArrayBuffer>);
  }

  open(): void {
    Atomics.store(this.#cells, OPEN, 1);
    Atomics.notify(this.#cells, OPEN);
  }

  /** Resolves when an operator stands at the gate. */
  async reached(): Promise<void> {
    const wait = Atomics.waitAsync(this.#cells, REACHED, 0, WAIT_MS_MAX);
    if ((await wait.value) === 'timed-out') throw new Error('no operator came to the gate');
  }

  /** Blocks the thread of the operator. */
  pass(): void {
    Atomics.store(this.#cells, REACHED, 1);
    Atomics.notify(this.#cells, REACHED);
    if (Atomics.wait(this.#cells, OPEN, 0, WAIT_MS_MAX) === 'timed-out')
      throw new Error('the gate was never opened');
  }
}
