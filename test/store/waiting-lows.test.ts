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
    for (let round = 0; round < 5_000; round++) {
      const isReplacement = last >= first && random.chance(0.3);
      const number = isReplacement ? random.between(first, last) : ++last;
      const frame = Array.from({ length: random.below(3) }, (_, source) => ({
        source,
        offset: BigInt(round + random.below(200)),
      }));
      lows.add(number, frame);
      for (const { source, offset } of frame) waiting.push([number, source, offset]);
      // Now and then nearly all are taken, else few: lists grow long and are cut.
      if (random.chance(0.05)) {
        const through = random.chance(0.1) ? last : Math.min(last, first + random.below(40));
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
