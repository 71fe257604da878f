/** What both sides of the traffic test know beforehand: every record and every entry. */
import { Random } from '../../support/random.ts';
import type { NumberedRecord } from './record.ts';

export interface TrafficTask {
  readonly seed: number;
  readonly records: number;
}

export interface TrafficReport {
  /** The first thing that was wrong, or undefined. */
  readonly failure: string | undefined;
  readonly records: number;
  readonly returns: number;
  /** How often the shard found nothing to do. */
  readonly sleeps: number;
}

/** The records in their order: mostly short, now and then of up to the greatest size. */
export class RecordSequence {
  readonly #sizes: Random;
  readonly #seed: number;
  readonly #contentBytesMax: number;
  #number = 0;

  constructor(seed: number, contentBytesMax: number) {
    this.#sizes = new Random(seed);
    this.#seed = seed;
    this.#contentBytesMax = contentBytesMax;
  }

  next(): NumberedRecord {
    const long = this.#sizes.chance(0.01);
    const contentBytes = this.#sizes.below(long ? this.#contentBytesMax + 1 : 100);
    return { seed: this.#seed, number: this.#number++, contentBytes };
  }
}

/** Word `word` of completion or return number `number`. */
export function entryWord(seed: number, number: number, word: number): number {
  return Math.imul(number ^ seed, 0x85eb_ca6b + word) >>> 0;
}
