/** `maxReplayEvents`: how many events of a shard no checkpoint covers, and what brings them down. */

import { describe, expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { encodeFrame } from '../../src/codec/frame.ts';
import { ImageDirectory } from '../../src/memory/image-directory.ts';
import { type HarnessOptions, type RestoredFrame, ShardHarness } from '../support/shard-harness.ts';
import { counter, history } from '../support/shard-operators.ts';

function started(options: Partial<HarnessOptions> = {}): ShardHarness {
  return ShardHarness.started({ factory: () => [counter()], ...options });
}

/** What is stored, as stream and sequence, when the shard has read events of these streams. */
function stored(harness: ShardHarness, streams = ''): string[] {
  for (const stream of streams) harness.push({ stream });
  return harness
    .run()
    .filter((completion) => completion.kind === 'stored')
    .map(({ stream, sequence }) => `${stream}${sequence}`);
}

/** A stream that a thread before this one has left so many events of which no checkpoint covers. */
function handed(stream: string, uncovered: number, readTo?: number): RestoredFrame {
  const state = new CheckpointState(new CheckpointId(stream, 50n));
  state.eventCount = 50n;
  return { stream, frame: encodeFrame(state, { generation: 1n }), uncovered, ...(readTo && { readTo }) };
}

describe('an event that makes it too many', () => {
  test('has the stream checkpointed whose first uncovered event is the oldest, whoever had it', () => {
    const harness = started({ policy: { maxReplayEvents: 4 } });
    expect(stored(harness, 'abab')).toEqual([]);
    expect(stored(harness, 'b')).toEqual(['a2']);
    expect(stored(harness, 'c')).toEqual([]);
    expect(stored(harness, 'c')).toEqual(['b3']);
  });

  test('has the next ones checkpointed, too, until the rest is few enough', () => {
    const harness = started({
      policy: { maxReplayEvents: 6 },
      restored: [handed('a', 1), handed('b', 1), handed('c', 10)],
    });
    expect(stored(harness)).toEqual(['a50', 'b50', 'c50']);
    expect(stored(harness, 'abcabc')).toEqual([]);
  });

  test('is not held back by a pause, which begins anew', () => {
    const harness = started({ policy: { maxReplayEvents: 2, everyEvents: 2, minPauseMs: 1_000 } });
    expect(stored(harness, 'aa')).toEqual(['a2']);
    expect(stored(harness, 'aaa')).toEqual(['a5']);
    harness.clock.ms += 999;
    expect(stored(harness, 'aa')).toEqual([]);
    harness.clock.ms += 1;
    expect(stored(harness)).toEqual(['a7']);
  });

  test('finds the oldest among streams that only their pauses hold back', () => {
    const harness = started({ policy: { maxReplayEvents: 2, everyMs: 1, minPauseMs: 1_000 } });
    expect(stored(harness, 'a')).toEqual([]);
    harness.clock.ms += 1;
    expect(stored(harness)).toEqual(['a1']);
    expect(stored(harness, 'a')).toEqual([]);
    harness.clock.ms += 5;
    expect(stored(harness, 'b')).toEqual([]);
    expect(stored(harness, 'b')).toEqual(['a2']);
  });
});

test('what is checkpointed or forgotten counts no more', () => {
  const harness = started({ policy: { maxReplayEvents: 4 } });
  expect(stored(harness, 'aaa')).toEqual([]);
  harness.forget('a');
  expect(stored(harness, 'bbbb')).toEqual([]);
  harness.requestStream('b');
  expect(stored(harness)).toEqual(['b4']);
  expect(stored(harness, 'aacc')).toEqual([]);
  harness.requestAll(1);
  expect(stored(harness)).toEqual(['a2', 'c2']);
  expect(stored(harness, 'aaaa')).toEqual([]);
  expect(stored(harness, 'a')).toEqual(['a7']);
});

test('duplicates do not count', () => {
  const harness = started({ policy: { maxReplayEvents: 1 } });
  for (let i = 0; i < 5; i++) harness.push({ stream: 'a', sequence: 1n });
  expect(stored(harness)).toEqual([]);
});

test('a cover is no checkpoint: its events go on counting', () => {
  const EVENTS = 100;
  const harness = started({
    factory: () => [history('lines', 3).operator],
    policy: { maxReplayEvents: EVENTS },
    ringBytes: 2 ** 12,
  });
  const directory = new ImageDirectory(harness.memory, harness.arena);
  const covers = new Set<number | undefined>();
  for (let i = 0; i < EVENTS; i++) {
    harness.push({ stream: 'a' });
    expect(harness.run().map(({ kind }) => kind)).not.toContain('stored');
    covers.add(directory.cover(0)?.position);
  }
  // None at first, then several.
  expect(covers.size).toBeGreaterThan(2);
  expect(stored(harness, 'a')).toEqual([`a${EVENTS + 1}`]);
});

describe('a shard that takes over', () => {
  test('goes on from what the thread before it had uncovered', () => {
    const harness = started({ policy: { maxReplayEvents: 10 }, restored: [handed('a', 5), handed('b', 4)] });
    expect(stored(harness, 'c')).toEqual([]);
    expect(stored(harness, 'c')).toEqual(['a50']);
    expect(stored(harness, 'cccc')).toEqual([]);
    expect(stored(harness, 'c')).toEqual(['b50']);
  });

  test('does not wait for an event where it is too much', () => {
    const harness = started({ policy: { maxReplayEvents: 10 }, restored: [handed('a', 5), handed('b', 7)] });
    expect(stored(harness)).toEqual(['a50']);
  });

  test('does not wait for an event where it is enough for everyEvents, either', () => {
    const harness = started({ policy: { everyEvents: 6 }, restored: [handed('a', 5), handed('b', 7)] });
    expect(stored(harness)).toEqual(['b50']);
  });

  test('says of a checkpoint that it has what the stream had been handed, though the ring is not yet read to there', () => {
    const READ_TO = 5_000;
    const restored = [handed('a', 5, READ_TO)];
    const harness = started({ policy: { maxReplayEvents: 4 }, restored });
    // Otherwise a thread that follows this one would apply the events before that position to it again.
    expect(harness.run()).toMatchObject([{ kind: 'stored', stream: 'a', position: READ_TO }]);
  });
});
