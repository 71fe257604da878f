/** One world of a seed, from its begin to the comparison with what it should have come to. */
import { PAGE_BYTES } from '../../../src/memory/size-classes.ts';
import { Random } from '../../support/random.ts';
import { World } from './world.ts';

export const ACTS = 150;

/** What came to be tested. @throws with what is wrong */
export async function runDeaths(seed: number, acts: number): Promise<World> {
  const world = new World(new Random(seed));
  for (let act = 0; act < acts; act++) await world.act();
  await world.settle();
  await world.expectNothingLeaks(PAGE_BYTES);
  return world;
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
