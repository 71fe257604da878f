/** A random user of one directory over a few lives, each of which ends at a random operation of the disk. */
import { TidemarkError } from '../../../src/error.ts';
import { Random } from '../../support/random.ts';
import { LogUser, verifyCrashed } from './log-user.ts';
import { type Operation, SimulatedDisk } from './simulated-disk.ts';
import { type Habits, randomHabits, randomTask } from './workloads.ts';

/** They leave the disk as it is: a machine that stops before them stops before the next one too. */
export const HARMLESS: ReadonlySet<Operation> = new Set(['open', 'read']);

const STOP = new Error('everything stops here');
const LIVES_MAX = 3;
const OPERATIONS_MAX = 500;
const TASKS_MAX = 120;

/**
 * The same for every run with the same seed.
 * @throws AssertionError when something was lost, or found that must not be
 */
export function runCrashSeed(seed: number): void {
  const random = new Random(seed);
  const habits = randomHabits(random);
  const user = new LogUser(new SimulatedDisk());
  for (let lives = random.between(1, LIVES_MAX); lives > 0; lives--) {
    live(user, random, habits);
    if (random.chance(0.3)) {
      user.die();
    } else {
      const crashed = user.disk.crash(survivalOf(random));
      if (random.chance(0.3)) verifyCrashed(crashed.fork(), user.expectation());
      user.die(crashed);
    }
  }
  verifyCrashed(user.disk.crash(survivalOf(random)), user.expectation());
}

/** Of what is not synced, whether the next piece survives: nothing does, or some share. */
export function survivalOf(random: Random): () => boolean {
  const share = random.pick([0, 0.1, 0.5, 0.9]);
  return () => random.chance(share);
}

function live(user: LogUser, random: Random, habits: Habits): void {
  const { disk } = user;
  let operationsLeft = random.magnitude(OPERATIONS_MAX);
  disk.tellsFreeBytes = random.chance(0.5);
  disk.before = (operation) => {
    if (HARMLESS.has(operation)) return;
    operationsLeft -= 1;
    if (operationsLeft < 0) throw STOP;
  };
  try {
    user.open();
    for (let tasks = random.magnitude(TASKS_MAX); tasks > 0; tasks--) {
      user.perform(randomTask(random, user, habits));
    }
  } catch (error) {
    if ((error instanceof TidemarkError ? error.cause : error) !== STOP) throw error;
  }
  disk.before = () => undefined;
}
