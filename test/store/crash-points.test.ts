/**
 * Crash: the power fails before every single operation of the disk in a workload that has everything a log does, and the
 * process dies there. Of what was not synced nothing survives, all of it, or any sectors. Lost would be a checkpoint
 * that was acknowledged before it was durable, or whose place was used again before its successor was durable.
 */
import { expect, test } from 'vitest';
import { seeded } from '../support/random.ts';
import { HARMLESS, survivalOf } from './support/crash-run.ts';
import { LogUser, openCrashed, verifyCrashed } from './support/log-user.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';
import { everyKindOfWork } from './support/workloads.ts';

/** Runs the workload and calls back before each operation that changes the disk, and once more at the end. */
function atEveryOperation(visit: (user: LogUser) => void): number {
  const user = new LogUser(new SimulatedDisk());
  let count = 0;
  const look = (what: string): void => {
    count += 1;
    try {
      visit(user);
    } catch (error) {
      if (error instanceof Error) error.message += `\nat operation ${count}, ${what}`;
      throw error;
    }
  };
  user.disk.before = (operation, path) => {
    if (!HARMLESS.has(operation)) look(`${operation} ${path}`);
  };
  user.open();
  for (const task of everyKindOfWork()) user.perform(task);
  look('the end');
  return count;
}

const nothing = (): boolean => false;

test(
  'a power failure at any operation leaves what was acknowledged',
  seeded((random) => {
    const count = atEveryOperation((user) => {
      const expectation = user.expectation();
      openCrashed(user.disk.crash(nothing), expectation);
      const check = random.chance(0.3) ? verifyCrashed : openCrashed;
      check(user.disk.crash(survivalOf(random)), expectation);
    });
    expect(count).toBeGreaterThan(500);
  }),
  180_000,
);

/**
 * What a process wrote and never synced is still there for the next one, which believes it and tells its user. So from
 * its opening on it must survive a power failure too.
 */
test('what a process that was killed at any operation leaves is durable once the next one has opened it', () => {
  atEveryOperation((killed) => {
    const user = killed.successor();
    user.open();
    openCrashed(user.disk.crash(nothing), user.expectation());
    user.perform({ kind: 'commit', frames: [{ stream: 'a', stateBytes: 20_000 }] });
    openCrashed(user.disk.crash(nothing), user.expectation());
  });
}, 180_000);
