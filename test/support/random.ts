/**
 * Seeded randomness for tests. A failure names its seed; `TIDEMARK_SEED=<seed>` runs it again.
 *
 * The generator is sfc32: fast enough to check millions of records, and the same on every thread.
 */

export class Random {
  readonly seed: number;
  #a: number;
  #b: number;
  #c = 0x9e37_79b9 | 0;
  #counter = 1;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#a = this.seed | 0;
    this.#b = ~this.seed;
    // The first outputs of similar seeds are similar.
    for (let i = 0; i < 12; i++) this.u32();
  }

  u32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** An integer from 0 up to, not including, `limit` ≤ 2^32. */
  below(limit: number): number {
    return Math.floor((this.u32() / 2 ** 32) * limit);
  }

  /** An integer from `least` up to and including `greatest`. */
  between(least: number, greatest: number): number {
    return least + this.below(greatest - least + 1);
  }

  /** Of all magnitudes alike: as many values from 1 to 10 as from 1,000 to 10,000. */
  magnitude(greatest: number): number {
    return Math.min(greatest, Math.floor(2 ** ((this.u32() / 2 ** 32) * Math.log2(greatest + 1))));
  }

  chance(probability: number): boolean {
    return this.u32() < probability * 2 ** 32;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  pick<Value>(values: readonly Value[]): Value {
    if (values.length === 0) throw new RangeError('nothing to pick from');
    return values[this.below(values.length)] as Value;
  }

  shuffle<Value>(values: readonly Value[]): Value[] {
    const shuffled = [...values];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j] as Value, shuffled[i] as Value];
    }
    return shuffled;
  }
}

/** A test body with a fresh seed, or that of `TIDEMARK_SEED`; what it throws names the seed. */
export function seeded(body: (random: Random) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const given = process.env['TIDEMARK_SEED'];
    const seed = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
    if (!Number.isInteger(seed)) throw new Error(`TIDEMARK_SEED must be an integer, got ${given}`);
    try {
      await body(new Random(seed));
    } catch (error) {
      if (error instanceof Error) error.message += `\n(replay with TIDEMARK_SEED=${seed})`;
      throw error;
    }
  };
}
