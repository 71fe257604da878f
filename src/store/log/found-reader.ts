/** Reads what an opening has found, one checkpoint after the other, out of the columns in which it crossed the threads. */
import type { FoundCheckpoint } from '../contract.ts';
import { NameReader } from './packed-names.ts';
import type { FoundCheckpoints } from './writer-protocol.ts';

export class FoundReader {
  readonly #found: FoundCheckpoints;
  readonly #names: NameReader;
  #i = 0;
  /** Most are of the same one, and a bigint is an object. */
  #generation = 0n;

  constructor(found: FoundCheckpoints) {
    this.#found = found;
    this.#names = new NameReader(found.names);
  }

  next(): FoundCheckpoint {
    const { sequences, generations, fellBack } = this.#found;
    const i = this.#i;
    this.#i += 1;
    const stream = this.#names.next();
    const sequence = sequences[i] as bigint;
    if (i === 0 || generations[i] !== generations[i - 1]) this.#generation = BigInt(generations[i] as number);
    const generation = this.#generation;
    const behind = fellBack.get(i);
    if (behind === undefined) return { stream, sequence, generation, fellBack: 0 };
    return { stream, sequence, generation, fellBack: behind.count, reason: behind.reason };
  }
}
