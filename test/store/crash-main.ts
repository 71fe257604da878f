/**
 * `npm run crash -- --seconds 3600` looks for crashes that a log does not survive, for as long as it is given: random
 * lives on the simulated disk, and now and then a real process that is killed. Prints every seed that fails and ends
 * with 1 then; `--seed` runs one life on the simulated disk again.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Random } from '../support/random.ts';
import { secondsOf } from '../support/seconds.ts';
import { runCrashSeed } from './support/crash-run.ts';
import { KilledLives } from './support/killed-lives.ts';

/** Lives on the simulated disk for each real process: they cost a hundredth of it. */
const SEEDS_PER_KILL = 100;
/** Then the real directory begins anew. */
const KILLS_PER_DIRECTORY = 20;

const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } });

if (values.seed !== undefined) {
  runCrashSeed(Number(values.seed));
  console.log(`seed ${values.seed}: nothing lost`);
} else {
  const seconds = secondsOf(values.seconds, 60);
  process.exitCode = (await search(performance.now() + 1000 * seconds)) ? 0 : 1;
}

async function search(untilMs: number): Promise<boolean> {
  let seed = Math.floor(Math.random() * 2 ** 31);
  let failures = 0;
  let runs = 0;
  let kills = 0;
  let directory = newDirectory();
  while (performance.now() < untilMs) {
    for (let i = 0; i < SEEDS_PER_KILL; i++, seed++, runs++) {
      try {
        runCrashSeed(seed);
      } catch (error) {
        failures += 1;
        console.log(`seed ${seed} fails; again with: npm run crash -- --seed ${seed}`, error);
      }
    }
    try {
      await directory.lives.live(new Random(seed));
      kills += 1;
    } catch (error) {
      failures += 1;
      console.log(`a killed process fails; what it left is in ${directory.path}`, error);
      directory = newDirectory();
    }
    if (kills % KILLS_PER_DIRECTORY === 0) {
      fs.rmSync(directory.path, { recursive: true, force: true });
      directory = newDirectory();
    }
  }
  fs.rmSync(directory.path, { recursive: true, force: true });
  console.log(`${runs} seeds and ${kills} killed processes, ${failures} failures`);
  return failures === 0;
}

function newDirectory(): { path: string; lives: KilledLives } {
  const path = fs.mkdtempSync(join(os.tmpdir(), 'tidemark-crash-'));
  return { path, lives: new KilledLives(join(path, 'checkpoints')) };
}
