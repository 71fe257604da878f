/** Which events a shard takes for duplicates, one rule a test. */
import { describe, expect, test } from 'vitest';
import { U64_MAX } from '../../src/codec/u64.ts';
import { viewFrame } from '../../src/codec/view.ts';
import { WORD } from '../../src/memory/layout.ts';
import { type Pushed, ShardHarness, storedIn } from '../support/shard-harness.ts';
import { counter } from '../support/shard-operators.ts';

/** Pushes `events` to one stream; the sequences that were applied, and the frame they led to. */
function applied(events: readonly Omit<Pushed, 'stream'>[], restored?: Uint8Array) {
  const sequences: bigint[] = [];
  const harness = ShardHarness.started({
    factory: () => [counter('count', (event) => void sequences.push(event.sequence))],
    restored: restored === undefined ? [] : [{ stream: 's', frame: restored }],
  });
  for (const event of events) harness.push({ stream: 's', ...event });
  harness.requestAll(1);
  const frame = storedIn(harness.run()).at(-1)?.frame;
  return {
    sequences,
    frame: frame as Uint8Array,
    dropped: harness.words.get(WORD.droppedLow),
    applied: harness.words.get(WORD.appliedLow),
  };
}

describe('events that bring their sequence', () => {
  test('are duplicates at or below the last one', () => {
    const { sequences, dropped } = applied([5n, 5n, 4n, 6n, 6n, 100n, 99n].map((sequence) => ({ sequence })));
    expect(sequences).toEqual([5n, 6n, 100n]);
    expect(dropped).toBe(4);
  });

  test('are accepted at 0 on a stream without events, and once only', () => {
    expect(applied([{ sequence: 0n }, { sequence: 0n }, { sequence: 1n }]).sequences).toEqual([0n, 1n]);
  });

  test('are duplicates of one that was skipped, also where nothing was applied before', () => {
    const tried: bigint[] = [];
    const harness = ShardHarness.started({
      poison: { onPoison: 'skip', attemptsMax: 1 },
      factory: () => [
        counter('count', ({ sequence }) => {
          tried.push(sequence);
          if (sequence === 5n) throw new Error('on purpose');
        }),
      ],
    });
    for (const sequence of [5n, 5n, 4n, 6n]) harness.push({ stream: 's', sequence });
    harness.run();
    expect(tried).toEqual([5n, 6n]);
  });

  test('are compared as u64, high half first', () => {
    const ascending = [1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n, 2n ** 33n, U64_MAX];
    const between = ascending.flatMap((sequence) => [{ sequence }, { sequence: sequence - 1n }]);
    expect(applied(between).sequences).toEqual(ascending);
    expect(applied([{ sequence: U64_MAX }, { sequence: U64_MAX }, { sequence: 1n }]).sequences).toEqual([
      U64_MAX,
    ]);
  });

  test('are duplicates by sequence alone, whatever their offsets say', () => {
    const { sequences, frame } = applied([
      { sequence: 1n, source: 'x', offset: 10n },
      { sequence: 2n, source: 'x', offset: 3n },
      { sequence: 2n, source: 'y', offset: 70n },
    ]);
    expect(sequences).toEqual([1n, 2n]);
    // The duplicate has no part in the state, so its source is not in it either.
    expect([...viewFrame(frame).sources()]).toEqual([['x', 11n]]);
  });

  test('are duplicates after a restore as they were before', () => {
    const { frame } = applied([{ sequence: 0n }]);
    const resumed = applied([{ sequence: 0n }, { sequence: 1n }], frame);
    expect(resumed.sequences).toEqual([1n]);
    expect(viewFrame(resumed.frame).eventCount).toBe(2n);
  });
});

describe('events that bring no sequence', () => {
  test('get the last one plus 1, from 1 on', () => {
    expect(applied([{}, {}, {}]).sequences).toEqual([1n, 2n, 3n]);
  });

  test('carry into the high half', () => {
    const { frame } = applied([{ sequence: 2n ** 32n - 2n }]);
    expect(applied([{}, {}, {}], frame).sequences).toEqual([2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n]);
  });

  test('are never duplicates without a source', () => {
    expect(applied([{ payload: 'same' }, { payload: 'same' }]).dropped).toBe(0);
  });

  test('are duplicates below the next offset of the stream in their source', () => {
    const { sequences, frame, dropped } = applied([
      { source: 'x', offset: 0n },
      { source: 'x', offset: 0n },
      { source: 'x', offset: 5n, nextOffset: 20n },
      { source: 'x', offset: 19n },
      { source: 'x', offset: 20n },
      { source: 'y', offset: 0n },
    ]);
    expect(sequences).toEqual([1n, 2n, 3n, 4n]);
    expect(dropped).toBe(2);
    expect([...viewFrame(frame).sources()]).toEqual([
      ['x', 21n],
      ['y', 1n],
    ]);
  });

  test('are compared by offset as u64, high half first', () => {
    const ascending = [2n ** 32n - 1n, 2n ** 32n, 2n ** 33n, U64_MAX - 1n];
    const events = ascending.flatMap((offset) => [
      { source: 'x', offset },
      { source: 'x', offset: offset - 1n },
      { source: 'x', offset },
    ]);
    const { sequences, dropped, frame } = applied(events);
    expect(sequences).toEqual([1n, 2n, 3n, 4n]);
    expect(dropped).toBe(8);
    expect(viewFrame(frame).sourceOffset('x')).toBe(U64_MAX);
  });

  test('are duplicates after a restore below the restored offset', () => {
    const { frame } = applied([{ source: 'x', offset: 6n, nextOffset: 9n }]);
    const events = [8n, 9n].map((offset) => ({ source: 'x', offset }));
    expect(applied(events, frame).sequences).toEqual([2n]);
  });

  test('of one record for several streams are one event each', () => {
    const harness = ShardHarness.started({ factory: () => [counter()] });
    for (const stream of ['a', 'b', 'a', 'b']) harness.push({ stream, source: 'x', offset: 3n });
    harness.run();
    expect(harness.words.get(WORD.appliedLow)).toBe(2);
    expect(harness.words.get(WORD.droppedLow)).toBe(2);
  });
});

describe('a duplicate', () => {
  test('that waits for durability is answered as covered once its stream is clean', () => {
    const harness = ShardHarness.started({ factory: () => [counter()] });
    harness.push({ stream: 's', sequence: 1n, isDurable: true });
    expect(harness.run().map(({ kind }) => kind)).toEqual(['stored']);
    harness.push({ stream: 's', sequence: 1n, isDurable: true });
    expect(harness.run()).toEqual([{ kind: 'covered', stream: 's', seen: 2 }]);
  });

  test('that waits for durability has the stream checkpointed if it is dirty', () => {
    const harness = ShardHarness.started({ factory: () => [counter()] });
    harness.push({ stream: 's', sequence: 1n });
    harness.push({ stream: 's', sequence: 1n, isDurable: true });
    expect(harness.run()).toMatchObject([{ kind: 'stored', sequence: 1n, seen: 2 }]);
  });

  test('moves on what its source has read, and makes no stream dirty', () => {
    const harness = ShardHarness.started({ factory: () => [counter()] });
    harness.push({ stream: 's', source: 'x', offset: 4n });
    harness.requestAll(1);
    harness.run();
    harness.push({ stream: 's', source: 'x', offset: 4n });
    harness.requestAll(2);
    expect(harness.run()).toEqual([
      { kind: 'source', source: 'x', read: 2, lastOffset: 4n, openLow: undefined },
      { kind: 'checkpointed', request: 2 },
    ]);
  });
});
