/** One world of a seed, from its begin to the comparison with what it should have come to. */
import { PAGE_BYTES } from '../../../src/memory/size-classes.ts';
import { Random } from '../../support/random.ts';
import { begin, World } from './world.ts';

export const ACTS = 150;

/** Acts after which the process is killed, on the average. */
const CRASH_EVERY = 75;

/** What each world counts. */
const COUNTED = ['restarts', 'replayed', 'covers', 'asides', 'skips', 'heals', 'overflows'] as const;

/** What came to be tested. */
export type Tested = Record<'lives' | (typeof COUNTED)[number], number>;

/** @throws with what is wrong */
export async function runDeaths(seed: number, acts: number): Promise<Tested> {
  const random = new Random(seed);
  const tested = { lives: 0, ...Object.fromEntries(COUNTED.map((what) => [what, 0])) } as Tested;
  let world = await World.open(begin(random));
  const end = (): void => {
    tested.lives++;
    for (const what of COUNTED) tested[what] += world[what];
  };
  for (let act = 0; act < acts; act++) {
    await world.act();
    if (!random.chance(1 / CRASH_EVERY)) continue;
    end();
    world = await World.open(world.crash());
  }
  await world.settle();
  await world.expectNothingLeaks(PAGE_BYTES);
  end();
  return tested;
}

/** The least number of acts after which a seed that fails does so. */
export async function fewestActs(seed: number): Promise<number> {
  for (let acts = 0; acts < ACTS; acts++) {
    try {
      await runDeaths(seed, acts);
    } catch {
      // It fails, as it is to.
      return acts;
    }
  }
  return ACTS;
}
