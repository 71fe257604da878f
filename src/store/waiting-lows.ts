/**
 * The least low of each source among the frames that wait, known without looking at them all: ten thousand may
 * wait when a commit begins.
 *
 * Frames leave in the order of their numbers, so a low matters only until a lesser one of a later frame comes.
 * What matters of a source is a list that ascends in number and in low; its head is the least ("sliding window
 * minimum", the ascending minima algorithm).
 */
import type { SourceLow } from './stored-frame.ts';

interface Low {
  readonly number: number;
  readonly offset: bigint;
}

/** Taken lows may stay in front of a list until they are this many, and most of it. */
const TRIM_MIN = 64;

class SourceLows {
  #lows: Low[] = [];
  /** Those before it are taken. */
  #first = 0;

  add(number: number, offset: bigint): void {
    const lows = this.#lows;
    const at = this.#placeBehind(number);
    const later = lows[at];
    if (later !== undefined && later.offset <= offset) return;
    // Each step but the last finds a low that is removed below.
    let from = at;
    while (from > this.#first && (lows[from - 1] as Low).offset >= offset) from--;
    const before = from === this.#first ? undefined : lows[from - 1];
    // It leaves with this one and is less. A frame that replaces one mostly has a greater low than that had.
    if (before?.number === number) return;
    if (from === lows.length) lows.push({ number, offset });
    else lows.splice(from, at - from, { number, offset });
  }

  /** Where the first of a greater number is. */
  #placeBehind(number: number): number {
    const lows = this.#lows;
    let behind = lows.length;
    // Mostly at the end: only a frame that replaces one goes to its place.
    if (behind === this.#first || (lows[behind - 1] as Low).number <= number) return behind;
    let from = this.#first;
    while (from < behind) {
      const middle = (from + behind) >>> 1;
      if ((lows[middle] as Low).number > number) behind = middle;
      else from = middle + 1;
    }
    return from;
  }

  takeThrough(number: number): void {
    while (this.#first < this.#lows.length && (this.#lows[this.#first] as Low).number <= number)
      this.#first++;
    const isEmpty = this.#first === this.#lows.length;
    if (!isEmpty && (this.#first < TRIM_MIN || this.#first * 2 < this.#lows.length)) return;
    this.#lows = this.#lows.slice(this.#first);
    this.#first = 0;
  }

  get least(): bigint | undefined {
    return this.#lows[this.#first]?.offset;
  }
}

export class WaitingLows {
  readonly #bySource = new Map<number, SourceLows>();

  /** Lows of the frame that waits under `number`, or of one that was replaced there. */
  add(number: number, lows: readonly SourceLow[]): void {
    for (const { source, offset } of lows) {
      let list = this.#bySource.get(source);
      if (list === undefined) {
        list = new SourceLows();
        this.#bySource.set(source, list);
      }
      list.add(number, offset);
    }
  }

  /** Frames up to `number` wait no more. */
  takeThrough(number: number): void {
    for (const list of this.#bySource.values()) list.takeThrough(number);
  }

  /** Of each source that has one, in no order. */
  *least(): Generator<SourceLow> {
    for (const [source, list] of this.#bySource) {
      const offset = list.least;
      if (offset !== undefined) yield { source, offset };
    }
  }
}
