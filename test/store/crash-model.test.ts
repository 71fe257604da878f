/**
 * Crash: power failures and deaths of the process at random operations of random workloads, life after life of one
 * directory. Lost would be what `crash-points` does not come to: what only some order of work and crashes brings about.
 */
import { test } from 'vitest';
import { runCrashSeed } from './support/crash-run.ts';

const SEEDS = 1000;

test('random work, crashes and openings lose nothing acknowledged and half-believe nothing', () => {
  const given = process.env['TIDEMARK_SEED'];
  const first = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  for (let seed = first; seed < first + (given === undefined ? SEEDS : 1); seed++) {
    try {
      runCrashSeed(seed);
    } catch (error) {
      if (error instanceof Error) error.message += `\n(replay with TIDEMARK_SEED=${seed})`;
      throw error;
    }
  }
}, 180_000);
