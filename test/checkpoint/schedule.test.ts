import { describe, expect, test } from 'vitest';
import { type CheckpointFacts, type CheckpointPolicy, dueTrigger } from '../../src/checkpoint/schedule.ts';

const NOW = 10_000;
const dirty: CheckpointFacts = {
  uncoveredEvents: 5,
  uncoveredBytes: 500,
  firstUncoveredAt: NOW - 100,
  lastEventAt: NOW - 10,
  lastCheckpointAt: Number.NEGATIVE_INFINITY,
};

describe('dueTrigger', () => {
  test.each<[CheckpointPolicy, ReturnType<typeof dueTrigger>]>([
    [{}, undefined],
    [{ everyEvents: 5 }, 'events'],
    [{ everyEvents: 5n }, 'events'],
    [{ everyEvents: 6 }, undefined],
    [{ everyBytes: 500 }, 'bytes'],
    [{ everyBytes: 501 }, undefined],
    [{ everyMs: 100 }, 'ms'],
    [{ everyMs: 101 }, undefined],
    [{ idleMs: 10 }, 'idle'],
    [{ idleMs: 11 }, undefined],
    [{ everyEvents: 6, everyBytes: 501, everyMs: 101, idleMs: 10 }, 'idle'],
    [{ everyEvents: undefined, everyMs: 100 }, 'ms'],
  ])('under the policy %o it is %s', (policy, expected) => {
    expect(dueTrigger(policy, dirty, NOW)).toBe(expected);
  });

  test('counts beyond the safe integers when events are bigints', () => {
    const facts = { ...dirty, uncoveredEvents: 2n ** 60n };
    expect(dueTrigger({ everyEvents: 2n ** 60n }, facts, NOW)).toBe('events');
    expect(dueTrigger({ everyEvents: 2n ** 60n + 1n }, facts, NOW)).toBeUndefined();
  });

  test.each([0, 0n])('a stream with %s uncovered events is never due', (uncoveredEvents) => {
    const facts = { ...dirty, uncoveredEvents };
    expect(dueTrigger({ everyMs: 1, idleMs: 1, everyBytes: 1, everyEvents: 1 }, facts, NOW)).toBeUndefined();
  });

  test('nothing is due within the pause after a checkpoint', () => {
    const facts = { ...dirty, lastCheckpointAt: NOW - 49 };
    expect(dueTrigger({ everyEvents: 1, minPauseMs: 50 }, facts, NOW)).toBeUndefined();
    expect(dueTrigger({ everyEvents: 1, minPauseMs: 50 }, facts, NOW + 1)).toBe('events');
  });

  test('a stream that never had a checkpoint has no pause to wait for', () => {
    expect(dueTrigger({ everyEvents: 1, minPauseMs: 1e9 }, dirty, NOW)).toBe('events');
  });
});
