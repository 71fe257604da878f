/**
 * Shards die at random calls of operators and between turns, processes between any two acts, and events are poison: two
 * thousand seeds of it.
 * Checked: at every commit, that each event before a frontier is durable, or delivered as a dead letter; at the end, that
 * every stream has each of its events once, in order, that each which was skipped was delivered by some life, that every
 * call about a quarantine has ended, and that
 * nothing is left of the memory of streams that are forgotten.
 */
import { expect, test } from 'vitest';
import { ACTS, fewestActs, runDeaths, type Tested } from './support/deaths-run.ts';

const RUNS = 2_000;

test('whatever dies or fails, every event counts once and no frontier passes one that is not durable', {
  timeout: 240_000,
}, async () => {
  const given = process.env['TIDEMARK_SEED'];
  const first = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  const tested: Tested[] = [];
  for (let run = 0; run < (given === undefined ? RUNS : 1); run++) {
    const seed = first + run;
    try {
      tested.push(await runDeaths(seed, ACTS));
    } catch (cause) {
      const acts = await fewestActs(seed);
      throw new Error(`with TIDEMARK_SEED=${seed}, after ${acts} acts: ${(cause as Error).message}`, {
        cause,
      });
    }
  }
  if (given !== undefined) return;
  // Otherwise the worlds never came to what is tested.
  const sum = (what: keyof Tested): number => tested.reduce((total, run) => total + run[what], 0);
  expect(sum('lives')).toBeGreaterThan(2 * RUNS);
  expect(sum('restarts')).toBeGreaterThan(5 * RUNS);
  expect(sum('replayed')).toBeGreaterThan(10 * RUNS);
  expect(sum('covers')).toBeGreaterThan(RUNS / 2);
  expect(sum('asides')).toBeGreaterThan(RUNS);
  expect(sum('skips')).toBeGreaterThan(RUNS);
  expect(sum('heals')).toBeGreaterThan(RUNS / 20);
  expect(sum('overflows')).toBeGreaterThan(RUNS / 50);
});
