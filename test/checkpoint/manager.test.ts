import { describe, expect, test } from 'vitest';
import { InMemoryCheckpointStore } from '../../src/checkpoint/in-memory-store.ts';
import { CheckpointManager } from '../../src/checkpoint/manager.ts';

const invalid = expect.objectContaining({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' });

function manager(interval: bigint | number): CheckpointManager {
  return new CheckpointManager(new InMemoryCheckpointStore(10), interval);
}

/** The sequences from `first` to `last` at which a checkpoint was taken. */
function checkpointsOf(target: CheckpointManager, streamId: string, first: number, last: number): number[] {
  const taken: number[] = [];
  for (let sequence = first; sequence <= last; sequence++) {
    if (target.onEvent(streamId, sequence, 0)) taken.push(sequence);
  }
  return taken;
}

describe('CheckpointManager', () => {
  test('takes the first checkpoint when the sequence reaches the interval', () => {
    const target = manager(40);
    expect(checkpointsOf(target, 'harbour', 0, 39)).toEqual([]);
    expect(target.onEvent('harbour', 40, 0)).toBe(true);
    expect(target.totalCheckpoints).toBe(1n);
  });

  test('takes one checkpoint an interval', () => {
    const target = manager(8);
    expect(checkpointsOf(target, 'harbour', 0, 32)).toEqual([8, 16, 24, 32]);
    expect(target.totalCheckpoints).toBe(4n);
  });

  test('counts the next interval from the sequence of the checkpoint, whatever was skipped', () => {
    const target = manager(10);
    expect(target.onEvent('harbour', 1007, 0)).toBe(true);
    expect(checkpointsOf(target, 'harbour', 1008, 1020)).toEqual([1017]);
  });

  test('saves the sequence as the event count, and the watermark', () => {
    const target = manager(1);
    target.onEvent('harbour', 5, 77n);
    const saved = target.store.latest('harbour');
    expect(saved?.id.sequence).toBe(5n);
    expect(saved?.eventCount).toBe(5n);
    expect(saved?.watermarkNs).toBe(77n);
  });

  test('recovers the sequence of the newest checkpoint', () => {
    const target = manager(20);
    target.onEvent('harbour', 20, 0);
    target.onEvent('harbour', 41, 0);
    expect(target.recover('harbour')).toBe(41n);
  });

  test('recovers nothing before the first checkpoint', () => {
    const target = manager(20);
    target.onEvent('harbour', 19, 0);
    expect(target.recover('harbour')).toBeUndefined();
  });

  test('a stream far ahead does not keep another from being checkpointed', () => {
    const target = manager(10);
    expect(target.onEvent('fast', 1_000_000, 0)).toBe(true);
    expect(checkpointsOf(target, 'slow', 0, 30)).toEqual([10, 20, 30]);
    expect(target.totalCheckpoints).toBe(4n);
  });

  test('a sequence that goes back takes no checkpoint', () => {
    const target = manager(10);
    target.onEvent('harbour', 100, 0);
    expect(checkpointsOf(target, 'harbour', 0, 109)).toEqual([]);
  });

  test('does not wrap at the end of the sequences', () => {
    const target = manager(2n ** 63n);
    expect(target.onEvent('harbour', 2n ** 64n - 1n, 0)).toBe(true);
    expect(target.onEvent('harbour', 2n ** 64n - 1n, 0)).toBe(false);
  });

  test.each([0, 0n, -1, 0.5])('refuses the interval %s', (interval) => {
    expect(() => manager(interval)).toThrow(invalid);
  });

  test('refuses malformed events even when no checkpoint is due', () => {
    const target = manager(10);
    expect(() => target.onEvent('\ud800', 1, 0)).toThrow(invalid);
    expect(() => target.onEvent('harbour', -1, 0)).toThrow(invalid);
    expect(() => target.onEvent('harbour', 1, 0.5)).toThrow(invalid);
  });
});
