import { expect, test } from 'vitest';
import { WaitingLows } from '../../src/store/waiting-lows.ts';
import { seeded } from '../support/random.ts';

function leastOf(lows: WaitingLows): Map<number, bigint> {
  return new Map([...lows.least()].map(({ source, offset }) => [source, offset]));
}

test(
  'the least low of each source is that of all that wait, whatever is replaced and taken',
  seeded((random) => {
    const lows = new WaitingLows();
    /** Number, source, offset. */
    let waiting: [number: number, source: number, offset: bigint][] = [];
    let first = 1;
    let last = 0;
    // Of little spread, most lows matter and lists are long; of much, many are outdone.
    const spread = random.pick([2, 200]);
    for (let round = 0; round < 5_000; round++) {
      const isReplacement = last >= first && random.chance(0.3);
      const number = isReplacement ? random.between(first, last) : ++last;
      const frame = Array.from({ length: random.below(3) }, (_, source) => ({
        source,
        offset: BigInt(number + random.below(spread)),
      }));
      lows.add(number, frame);
      for (const { source, offset } of frame) waiting.push([number, source, offset]);
      // Now and then all are taken, else few, or up to what was just put in its place: lists grow long and are cut.
      if (random.chance(0.05)) {
        const few = isReplacement && random.chance(0.5) ? number : first + random.below(40);
        const through = random.chance(0.1) ? last : Math.min(last, few);
        lows.takeThrough(through);
        waiting = waiting.filter(([taken]) => taken > through);
        first = through + 1;
      }
      const expected = new Map<number, bigint>();
      for (const [, source, offset] of waiting) {
        const known = expected.get(source);
        if (known === undefined || offset < known) expected.set(source, offset);
      }
      expect(leastOf(lows)).toEqual(expected);
    }
  }),
);

/** A number that counts how often it is compared. */
class Counted {
  static looks = 0;
  readonly #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  valueOf(): number {
    Counted.looks++;
    return this.#number;
  }
}

test('the place of a frame that replaces one is found in few looks, however many wait', () => {
  const lows = new WaitingLows();
  const add = (number: number, offset: number): void =>
    lows.add(new Counted(number) as unknown as number, [{ source: 0, offset: BigInt(offset) }]);
  for (let number = 1; number <= 10_000; number++) add(number, 10 * number);
  for (const number of [1, 2, 4_321, 5_000, 9_999]) {
    Counted.looks = 0;
    add(number, 10 * number + 1);
    add(number, 10 * number - 1);
    expect(Counted.looks).toBeLessThan(100);
  }
  expect(leastOf(lows)).toEqual(new Map([[0, 9n]]));
});
