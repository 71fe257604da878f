import { describe, expect, test } from 'vitest';
import {
  askAgainAt,
  type CheckpointFacts,
  type CheckpointPolicy,
  dueTrigger,
  limitShare,
  shardPolicy,
} from '../../src/checkpoint/schedule.ts';

const NOW = 10_000;
const dirty: CheckpointFacts = {
  uncoveredEvents: 5,
  uncoveredBytes: 500,
  firstUncoveredAt: NOW - 100,
  lastEventAt: NOW - 10,
  lastCheckpointAt: Number.NEGATIVE_INFINITY,
  limitShare: 1,
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

describe('the debt', () => {
  const policy: CheckpointPolicy = { maxReplayEvents: 7, minPauseMs: 50 };

  test('is due when it is exceeded, also in a pause, but never by a clean stream', () => {
    const pausing = { ...dirty, lastCheckpointAt: NOW };
    expect(dueTrigger(policy, pausing, NOW, 7)).toBeUndefined();
    expect(dueTrigger(policy, pausing, NOW, 8)).toBe('debt');
    expect(dueTrigger(policy, { ...dirty, uncoveredEvents: 0 }, NOW, 8)).toBeUndefined();
    expect(dueTrigger({}, dirty, NOW, 1e9)).toBeUndefined();
  });

  test.each([
    [100, 4, 25],
    [103, 4, 25],
    [3, 4, 1],
    [1, 1, 1],
  ])('of %d events is for each of %d shards %d', (maxReplayEvents, shards, each) => {
    expect(shardPolicy({ everyMs: 5, maxReplayEvents }, shards)).toEqual({
      everyMs: 5,
      maxReplayEvents: each,
    });
  });

  test('leaves a policy without it as it is', () => {
    expect(shardPolicy({ everyMs: 5 }, 4)).toEqual({ everyMs: 5 });
  });
});

describe('jitter', () => {
  test('brings events, age and idleness forward by its part, and neither bytes nor the pause', () => {
    const facts = { ...dirty, limitShare: 0.5 };
    const asked = (policy: CheckpointPolicy): unknown => dueTrigger({ ...policy, jitter: 0.9 }, facts, NOW);
    expect([asked({ everyEvents: 10 }), asked({ everyEvents: 11 })]).toEqual(['events', undefined]);
    expect([asked({ everyEvents: 10n }), asked({ everyEvents: 11n })]).toEqual(['events', undefined]);
    expect([asked({ everyMs: 200 }), asked({ everyMs: 201 })]).toEqual(['ms', undefined]);
    expect([asked({ idleMs: 20 }), asked({ idleMs: 21 })]).toEqual(['idle', undefined]);
    expect(asked({ everyBytes: 501 })).toBeUndefined();
    const paused = { ...facts, lastCheckpointAt: NOW - 49 };
    expect(dueTrigger({ everyEvents: 1, minPauseMs: 50, jitter: 1 }, paused, NOW)).toBeUndefined();
  });

  test('leaves a stream between all of a limit and what is not jitter, the same part for the same checkpoint', () => {
    for (const jitter of [0.25, 1]) {
      for (let stream = 0; stream < 1_000; stream++) {
        const part = limitShare({ jitter }, stream, 3);
        expect(part).toBeGreaterThan(1 - jitter);
        expect(part).toBeLessThanOrEqual(1);
        expect(limitShare({ jitter }, stream, 3)).toBe(part);
      }
    }
    expect(limitShare({}, 5, 5)).toBe(1);
  });

  test.each([
    ['streams at the same checkpoint', (i: number) => limitShare({ jitter: 1 }, i, 0)],
    ['checkpoints of the same stream', (i: number) => limitShare({ jitter: 1 }, 7, i)],
    ['streams of one checkpoint more each', (i: number) => limitShare({ jitter: 1 }, i, i)],
  ])('spreads %s evenly', (_what, partOf) => {
    const tenths = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) tenths[Math.ceil(partOf(i) * 10) - 1]!++;
    for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });
});

describe('askAgainAt', () => {
  test.each<[CheckpointPolicy, number]>([
    [{ everyEvents: 9, everyBytes: 900 }, Number.POSITIVE_INFINITY],
    [{ everyMs: 101 }, NOW + 1],
    [{ idleMs: 12 }, NOW + 2],
    [{ everyMs: 103, idleMs: 12 }, NOW + 2],
    [{ everyMs: 200, jitter: 0.8 }, NOW + 20],
    [{ everyMs: 1, minPauseMs: 60 }, NOW + 20],
    [{ everyEvents: 1, minPauseMs: 60 }, NOW + 20],
    [{ everyMs: 150, minPauseMs: 40 }, NOW + 50],
  ])('under %o is at %d', (policy, at) => {
    const facts = { ...dirty, lastCheckpointAt: NOW - 40, limitShare: 0.6 };
    expect(askAgainAt(policy, facts, NOW)).toBe(at);
  });
});
