/** What users do with a log: once everything in order, and at random. */
import type { Random } from '../../support/random.ts';
import type { LogUser, Task } from './log-user.ts';

function commit(stateBytes: number, ...streams: string[]): Task {
  return { kind: 'commit', frames: streams.map((stream) => ({ stream, stateBytes })) };
}

function idle(times: number, isBusy = false): Task[] {
  return Array.from({ length: times }, () => ({ kind: 'idle', isBusy }));
}

/** Every kind of work that a log does, on a disk of 1 MiB: grown, full, gone around, killed and reopened. */
export function* everyKindOfWork(): Generator<Task, void> {
  // A young log: small commits, replaced and removed checkpoints.
  yield commit(300, 'a', 'b', 'c');
  yield commit(300, 'a');
  yield { kind: 'commit', frames: [{ stream: 'a', stateBytes: 700, again: true }] };
  yield commit(4000, 'b', 'd', 'e');
  yield { kind: 'delete before', stream: 'a' };
  yield { kind: 'forget', stream: 'c' };
  yield { kind: 'commit', frames: [] };
  yield { kind: 'kill' };
  yield commit(300, 'c', 'a');
  yield* idle(3);
  yield { kind: 'reopen' };
  // New segments: one is ready, or one is made while the commit waits for it, filled or not.
  for (let i = 0; i < 5; i++) yield commit(14_000, 'a', 'd');
  yield { kind: 'leave', bytes: 4_000_000 };
  for (let i = 0; i < 3; i++) yield commit(14_000, 'b', 'e');
  yield { kind: 'kill' };
  // A batch and a frame that are larger than a segment.
  yield commit(13_000, 'f', 'g', 'h', 'i', 'j', 'k');
  yield commit(90_000, 'large');
  yield commit(300, 'large');
  // Nearly full: older checkpoints are given up, then commits are refused.
  for (let i = 0; i < 8; i++) {
    yield commit(20_000, `full-${i}`, `full-${i + 1}`);
    if (i % 3 === 0) yield* idle(2, i % 2 === 0);
  }
  for (let i = 0; i < 6; i++) yield commit(45_000, `fuller-${i}`);
  yield { kind: 'reopen' };
  // Others take the rest of the disk: commits find no blocks, also in their midst.
  for (const bytes of [0, 4096, 20_480]) {
    yield { kind: 'leave', bytes };
    yield commit(9000, 'a', 'b', 'c');
    yield commit(300, 'd');
  }
  yield { kind: 'leave', bytes: 4_000_000 };
  // Room again, and around it goes.
  for (let i = 0; i < 6; i++) yield { kind: 'forget', stream: `fuller-${i}` };
  for (let i = 0; i < 12; i++) {
    yield commit(18_000, `round-${i % 3}`, 'b');
    if (i % 4 === 1) yield* idle(2);
  }
  yield { kind: 'kill' };
  yield commit(300, 'a');
  yield { kind: 'reopen' };
}

/** The habits of one user. */
export interface Habits {
  readonly streams: number;
  readonly stateBytesMax: number;
  readonly isDiskShort: boolean;
}

export function randomHabits(random: Random): Habits {
  return {
    streams: random.between(2, 30),
    stateBytesMax: random.pick([600, 9000, 30_000, 90_000]),
    isDiskShort: random.chance(0.3),
  };
}

export function randomTask(random: Random, user: LogUser, habits: Habits): Task {
  const { streams, stateBytesMax, isDiskShort } = habits;
  const kind = random.u32() / 2 ** 32;
  const { streams: known } = user;
  if (kind < 0.05 && known.length > 0) return { kind: 'forget', stream: random.pick(known) };
  if (kind < 0.1 && known.length > 0) return { kind: 'delete before', stream: random.pick(known) };
  if (kind < 0.35) return { kind: 'idle', isBusy: random.chance(0.5) };
  if (kind < 0.38) return { kind: 'reopen' };
  if (kind < 0.41) return { kind: 'kill' };
  if (kind < 0.5) {
    const isShort = isDiskShort && random.chance(0.7);
    return { kind: 'leave', bytes: isShort ? random.magnitude(200_000) : 2 ** 30 };
  }
  const stateBytes = (): number => random.magnitude(stateBytesMax);
  const stream = (): string => `stream-${random.below(streams)}`;
  if (kind < 0.55) {
    return {
      kind: 'commit',
      frames: [{ stream: stream(), stateBytes: random.magnitude(9000), again: true }],
    };
  }
  const frames = Array.from({ length: random.below(6) }, () => ({
    stream: stream(),
    stateBytes: stateBytes(),
  }));
  return { kind: 'commit', frames };
}
