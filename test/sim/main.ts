/**
 * `npm run sim -- --seconds 3600` looks for deaths of shards that an engine does not survive, for as long as it is given.
 * Prints every seed that fails, with the fewest acts after which it does, and ends with 1 then; `--seed` runs one again.
 */
import { parseArgs } from 'node:util';
import { secondsOf } from '../support/seconds.ts';
import { ACTS, fewestActs, runDeaths } from './support/deaths-run.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } });

if (values.seed !== undefined) {
  await runDeaths(Number(values.seed), ACTS);
  console.log(`seed ${values.seed}: every event counted once`);
} else {
  const seconds = secondsOf(values.seconds, 60);
  const until = performance.now() + 1000 * seconds;
  let failures = 0;
  let runs = 0;
  for (let seed = Math.floor(Math.random() * 2 ** 31); performance.now() < until; seed++, runs++) {
    try {
      await runDeaths(seed, ACTS);
    } catch (error) {
      failures++;
      console.log(
        `seed ${seed} fails after ${await fewestActs(seed)} acts; again with: npm run sim -- --seed ${seed}`,
        error,
      );
    }
  }
  console.log(`${runs} seeds, ${failures} failures`);
  process.exitCode = failures === 0 ? 0 : 1;
}
