/** How many events a shard has applied and dropped, for metrics: those that are read again count once. */
import type { ControlWords } from '../memory/doorbells.ts';
import { WORD, type Word } from '../memory/layout.ts';
import type { HandedRing } from './task.ts';

const U32 = 2 ** 32;

export class EventCounts {
  applied: number;
  dropped: number;
  readonly #words: ControlWords;

  constructor(words: ControlWords, { applied, dropped }: HandedRing) {
    this.#words = words;
    this.applied = applied;
    this.dropped = dropped;
  }

  /** They hold for all records before `position` of the ring. */
  publish(position: number): void {
    this.#set(WORD.appliedLow, WORD.appliedHigh, this.applied);
    this.#set(WORD.droppedLow, WORD.droppedHigh, this.dropped);
    this.#set(WORD.countedLow, WORD.countedHigh, position);
  }

  #set(low: Word, high: Word, value: number): void {
    this.#words.set(low, value | 0);
    this.#words.set(high, Math.floor(value / U32));
  }
}
