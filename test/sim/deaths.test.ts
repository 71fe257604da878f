/**
 * Shards die at random calls of operators and between turns, and events are poison, a thousand seeds of it.
 * Checked: at every commit, that each event before a frontier is durable, or delivered as a dead letter; at the end, that every stream has each of its
 * events once, in order, and that nothing is left of the memory of streams that are forgotten.
 */
import { expect, test } from 'vitest';
import { ACTS, fewestActs, runDeaths } from './support/deaths-run.ts';

const RUNS = 1_000;

test('whatever dies or fails, every event counts once and no frontier passes one that is not durable', {
  timeout: 120_000,
}, async () => {
  const given = process.env['TIDEMARK_SEED'];
  const first = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  let restarts = 0;
  let replayed = 0;
  let covers = 0;
  let asides = 0;
  let skips = 0;
  for (let run = 0; run < (given === undefined ? RUNS : 1); run++) {
    const seed = first + run;
    try {
      const world = await runDeaths(seed, ACTS);
      restarts += world.restarts;
      replayed += world.replayed;
      covers += world.covers;
      asides += world.asides;
      skips += world.skips;
    } catch (cause) {
      const acts = await fewestActs(seed);
      throw new Error(`with TIDEMARK_SEED=${seed}, after ${acts} acts: ${(cause as Error).message}`, {
        cause,
      });
    }
  }
  if (given !== undefined) return;
  // Otherwise the worlds never came to what is tested.
  expect(restarts).toBeGreaterThan(5 * RUNS);
  expect(replayed).toBeGreaterThan(10 * RUNS);
  expect(covers).toBeGreaterThan(RUNS);
  expect(asides).toBeGreaterThan(RUNS);
  expect(skips).toBeGreaterThan(RUNS);
});
