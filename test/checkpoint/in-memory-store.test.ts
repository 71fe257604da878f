import { describe, expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { InMemoryCheckpointStore } from '../../src/checkpoint/in-memory-store.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';

const invalid = expect.objectContaining({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' });

function filled(
  maxPerStream: number,
  streamId: string,
  sequences: readonly number[],
): InMemoryCheckpointStore {
  const store = new InMemoryCheckpointStore(maxPerStream);
  for (const sequence of sequences) store.save(new CheckpointState(new CheckpointId(streamId, sequence)));
  return store;
}

const sequences = (store: InMemoryCheckpointStore, streamId: string) =>
  store.list(streamId).map((state) => state.id.sequence);

describe('InMemoryCheckpointStore', () => {
  test('gives back the checkpoint that was saved', () => {
    const store = new InMemoryCheckpointStore(2);
    const state = new CheckpointState(new CheckpointId('harbour', 3));
    store.save(state);
    expect(store.latest('harbour')).toBe(state);
  });

  test('has nothing of a stream it was never given', () => {
    const store = filled(2, 'harbour', [1]);
    expect(store.latest('lighthouse')).toBeUndefined();
    expect(store.list('lighthouse')).toEqual([]);
    expect(store.checkpointCount('lighthouse')).toBe(0);
  });

  test('keeps the newest checkpoints up to its limit', () => {
    const store = filled(2, 'harbour', [1, 2, 3, 4, 5]);
    expect(store.checkpointCount('harbour')).toBe(2);
    expect(sequences(store, 'harbour')).toEqual([4n, 5n]);
  });

  test('orders by sequence, not by arrival, and drops the lowest even if it came last', () => {
    const store = filled(3, 'harbour', [30, 10, 20]);
    expect(sequences(store, 'harbour')).toEqual([10n, 20n, 30n]);
    expect(store.latest('harbour')?.id.sequence).toBe(30n);
    store.save(new CheckpointState(new CheckpointId('harbour', 5)));
    expect(sequences(store, 'harbour')).toEqual([10n, 20n, 30n]);
  });

  test('replaces the checkpoint of the same stream and sequence', () => {
    const store = filled(3, 'harbour', [1, 2, 3]);
    const again = new CheckpointState(new CheckpointId('harbour', 2));
    again.eventCount = 99;
    store.save(again);
    expect(sequences(store, 'harbour')).toEqual([1n, 2n, 3n]);
    expect(store.list('harbour')[1]).toBe(again);
  });

  test('deletes what is before a sequence and keeps that sequence', () => {
    const store = filled(9, 'harbour', [10, 20, 30, 40]);
    store.deleteBefore('harbour', 30);
    expect(sequences(store, 'harbour')).toEqual([30n, 40n]);
    store.deleteBefore('harbour', 2n ** 64n - 1n);
    expect(store.latest('harbour')).toBeUndefined();
    store.deleteBefore('lighthouse', 1);
  });

  test('keeps streams apart', () => {
    const store = filled(2, 'harbour', [1, 2, 3]);
    store.save(new CheckpointState(new CheckpointId('lighthouse', 700)));
    store.deleteBefore('harbour', 3);
    expect(store.checkpointCount('harbour')).toBe(1);
    expect(store.latest('harbour')?.id.sequence).toBe(3n);
    expect(store.latest('lighthouse')?.id.sequence).toBe(700n);
  });

  test('forgets a stream and knows which are left', () => {
    const store = filled(2, 'harbour', [1, 2]);
    store.save(new CheckpointState(new CheckpointId('lighthouse', 700)));
    expect(store.streamIds().sort()).toEqual(['harbour', 'lighthouse']);
    store.forget('harbour');
    store.forget('pier');
    expect(store.latest('harbour')).toBeUndefined();
    expect(store.streamIds()).toEqual(['lighthouse']);
    store.save(new CheckpointState(new CheckpointId('harbour', 1)));
    expect(sequences(store, 'harbour')).toEqual([1n]);
  });

  test('hands out a list that can be changed without changing the store', () => {
    const store = filled(2, 'harbour', [1, 2]);
    store.list('harbour').length = 0;
    expect(store.checkpointCount('harbour')).toBe(2);
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3'])('refuses the limit %s', (limit) => {
    expect(() => new InMemoryCheckpointStore(limit as number)).toThrow(invalid);
  });

  test('refuses to save what is not a state and to delete before what is not a sequence', () => {
    const store = filled(2, 'harbour', [1]);
    expect(() => store.save({ id: new CheckpointId('harbour', 1) } as CheckpointState)).toThrow(invalid);
    expect(() => store.deleteBefore('harbour', -1)).toThrow(invalid);
  });
});
