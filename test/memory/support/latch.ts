/** A gate between two threads: closed until one side opens it; it stays open. */

/** More than any passing test takes; a latch that is waited for longer than this was forgotten. */
const WAIT_MS_MAX = 20_000;

export class Latch {
  readonly cell: Int32Array<SharedArrayBuffer>;

  constructor(cell: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(4))) {
    this.cell = cell;
  }

  open(): void {
    Atomics.store(this.cell, 0, 1);
    Atomics.notify(this.cell, 0);
  }

  get isOpen(): boolean {
    return Atomics.load(this.cell, 0) === 1;
  }

  /** Blocks this thread, also the main one: nothing else is to happen there meanwhile. */
  wait(): void {
    if (Atomics.wait(this.cell, 0, 0, WAIT_MS_MAX) === 'timed-out')
      throw new Error('a latch was never opened');
  }
}
