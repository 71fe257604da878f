/** When streams are checkpointed, and that only those are looked at which may be due. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CheckpointPolicy, dueTrigger } from '../../src/checkpoint/schedule.ts';
import type { HostedOperators } from '../../src/shard/operator-host.ts';
import { ShardStream } from '../../src/shard/stream.ts';
import { StreamColumns } from '../../src/shard/stream-row.ts';
import { Triggers } from '../../src/shard/triggers.ts';

const NONE: HostedOperators = { inOrder: [], byName: [], hasHeap: false };

/** Streams whose facts are counted whenever somebody looks at them. */
class CountedStream extends ShardStream {
  static looks = 0;

  override get uncoveredEvents(): number {
    CountedStream.looks++;
    return super.uncoveredEvents;
  }

  override set uncoveredEvents(value: number) {
    super.uncoveredEvents = value;
  }
}

class Bench {
  readonly triggers: Triggers;
  readonly columns = new StreamColumns();
  readonly streams: ShardStream[];
  fired: number[] = [];
  now = 0;

  constructor(policy: CheckpointPolicy, streams: number) {
    this.triggers = new Triggers(policy);
    this.streams = Array.from(
      { length: streams },
      (_, index) => new ShardStream(this.columns, index, `${index}`, NONE),
    );
  }

  /** True if the event made its stream due, which is then checkpointed. */
  event(index: number, bytes = 1): boolean {
    const stream = this.streams[index] as ShardStream;
    const isDue = this.triggers.onEvent(stream, bytes, this.now);
    if (isDue) this.checkpoint(stream);
    return isDue;
  }

  readonly checkpoint = (stream: ShardStream): void => {
    this.fired.push(stream.index);
    this.triggers.onCheckpoint(stream, this.now);
  };

  /** What fires `ms` later. */
  after(ms: number): number[] {
    this.now += ms;
    this.fired = [];
    this.triggers.fireDue(this.now, this.checkpoint);
    return this.fired;
  }

  all(): number[] {
    this.fired = [];
    this.triggers.fireAll(this.checkpoint);
    return this.fired;
  }
}

describe('each limit on its own', () => {
  test('events: due by the last of so many', () => {
    const bench = new Bench({ everyEvents: 3 }, 1);
    expect([0, 0, 0, 0, 0, 0].map((stream) => bench.event(stream))).toEqual([
      false,
      false,
      true,
      false,
      false,
      true,
    ]);
    expect(bench.after(1e9)).toEqual([]);
  });

  test('bytes: due by the payload that reaches them', () => {
    const bench = new Bench({ everyBytes: 10 }, 1);
    expect([4, 5, 1, 30, 0].map((bytes) => bench.event(0, bytes))).toEqual([false, false, true, true, false]);
  });

  test('ms: counted from the first event that is not covered', () => {
    const bench = new Bench({ everyMs: 10 }, 2);
    bench.event(0);
    bench.after(6);
    bench.event(0);
    bench.event(1);
    expect(bench.after(3)).toEqual([]);
    expect(bench.after(1)).toEqual([0]);
    expect(bench.after(5)).toEqual([]);
    expect(bench.after(1)).toEqual([1]);
    expect(bench.after(1_000)).toEqual([]);
  });

  test('ms: due by an event, too, when nobody looked before', () => {
    const bench = new Bench({ everyMs: 10 }, 1);
    bench.event(0);
    bench.now = 10;
    expect(bench.event(0)).toBe(true);
  });

  test('idle: counted from the last event', () => {
    const bench = new Bench({ idleMs: 10 }, 2);
    bench.event(0);
    bench.event(1);
    bench.after(9);
    bench.event(0);
    expect(bench.after(1)).toEqual([1]);
    expect(bench.after(8)).toEqual([]);
    expect(bench.after(1)).toEqual([0]);
  });

  test('none: nothing is ever due, and everything on request', () => {
    const bench = new Bench({}, 3);
    bench.event(2);
    bench.event(0);
    expect(bench.after(1e12)).toEqual([]);
    expect(bench.triggers.msUntilDue(bench.now)).toBe(Number.POSITIVE_INFINITY);
    expect(bench.all()).toEqual([2, 0]);
    expect(bench.all()).toEqual([]);
  });
});

describe('the pause after a checkpoint', () => {
  test('holds back whatever is due, and its end lets it go', () => {
    for (const policy of [{ everyEvents: 1 }, { everyBytes: 1 }, { everyMs: 1 }, { idleMs: 1 }]) {
      const bench = new Bench({ ...policy, minPauseMs: 20 }, 1);
      bench.event(0);
      bench.after(1);
      const since = bench.now - (bench.streams[0] as ShardStream).lastCheckpointAt;
      expect(since).toBeLessThanOrEqual(1);
      bench.event(0);
      expect(bench.after(18)).toEqual([]);
      expect(bench.after(2)).toEqual([0]);
    }
  });

  test('does not hold back a stream that was never checkpointed', () => {
    const bench = new Bench({ everyEvents: 1, minPauseMs: 1e9 }, 1);
    expect(bench.event(0)).toBe(true);
  });

  test('does not hide from a request what is due but pausing', () => {
    const bench = new Bench({ everyMs: 5, idleMs: 3, minPauseMs: 100 }, 2);
    bench.event(0);
    bench.event(1);
    expect(bench.after(5).toSorted()).toEqual([0, 1]);
    bench.event(0);
    bench.event(1);
    expect(bench.after(10)).toEqual([]);
    expect(bench.all().toSorted()).toEqual([0, 1]);
    expect(bench.all()).toEqual([]);
  });

  test('begins anew with every checkpoint, also with one on request', () => {
    const bench = new Bench({ everyEvents: 1, minPauseMs: 10 }, 1);
    bench.event(0);
    bench.after(6);
    bench.event(0);
    expect(bench.all()).toEqual([0]);
    bench.event(0);
    expect(bench.after(4)).toEqual([]);
    expect(bench.after(5)).toEqual([]);
    expect(bench.after(1)).toEqual([0]);
  });

  test('ends in time for a stream checkpointed on request, before that of a later one', () => {
    const bench = new Bench({ everyEvents: 1, minPauseMs: 10 }, 2);
    bench.event(0);
    bench.after(6);
    bench.event(0);
    expect(bench.all()).toEqual([0]);
    bench.event(0);
    bench.after(2);
    expect(bench.event(1)).toBe(true);
    expect(bench.after(2)).toEqual([]);
    expect(bench.after(6)).toEqual([0]);
  });

  test('ends for thousands of streams in turn', () => {
    const bench = new Bench({ everyEvents: 1, minPauseMs: 10 }, 3_000);
    for (let round = 0; round < 3; round++) {
      for (let event = 0; event < 6_000; event++) bench.event(event % 3_000);
      expect(bench.after(9)).toEqual([]);
      expect(bench.after(1)).toHaveLength(3_000);
    }
  });

  test('of a fraction of a millisecond does not end here and go on there', () => {
    const bench = new Bench({ everyEvents: 1, minPauseMs: 0.1 }, 1);
    bench.now = 0.7;
    bench.event(0);
    expect(bench.event(0)).toBe(false);
    // 0.7 + 0.1 is a little less than 0.8, and 0.8 - 0.7 a little more than 0.1.
    bench.now = 0.7 + 0.1 - Number.EPSILON;
    expect(bench.after(0)).toEqual([]);
    bench.now = 0.7 + 0.1;
    expect(bench.triggers.msUntilDue(bench.now)).toBe(0);
    expect(bench.after(0)).toEqual([0]);
  });
});

describe('jitter', () => {
  const STREAMS = 10_000;

  /** How many of ten thousand streams that had an event at once are checkpointed in each of the ticks. */
  function perTick(bench: Bench, tickMs: number): number[] {
    for (let index = 0; index < STREAMS; index++) bench.event(index);
    return Array.from({ length: Math.ceil(1_000 / tickMs) }, () => bench.after(tickMs).length);
  }

  test.each<[string, CheckpointPolicy]>([
    ['by age', { everyMs: 1_000 }],
    ['by idleness', { idleMs: 1_000 }],
  ])('keeps streams that begin together from being due together %s, again and again', (_what, policy) => {
    const bench = new Bench({ ...policy, jitter: 0.5 }, STREAMS);
    for (let round = 0; round < 3; round++) {
      const ticks = perTick(bench, 50);
      expect(ticks.slice(0, 9)).toEqual(new Array(9).fill(0));
      for (const count of ticks.slice(10)) expect(Math.abs(count - STREAMS / 10)).toBeLessThan(200);
      // None is later than without jitter.
      expect(ticks.reduce((sum, count) => sum + count)).toBe(STREAMS);
    }
  });

  test('keeps streams with as many events from being due together by events', () => {
    const bench = new Bench({ everyEvents: 100, jitter: 0.5 }, 1_000);
    const rounds = Array.from({ length: 100 }, () => {
      let due = 0;
      for (let index = 0; index < 1_000; index++) due += bench.event(index) ? 1 : 0;
      return due;
    });
    expect(Math.max(...rounds)).toBeLessThan(60);
    expect(rounds.slice(0, 49).every((due) => due === 0)).toBe(true);
    expect(new Set(bench.fired).size).toBe(1_000);
  });
});

test('random events and times fire exactly the streams that a look at every stream finds due', () => {
  const limit = fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined });
  const policies = fc.record({
    everyEvents: limit,
    everyMs: limit,
    everyBytes: limit,
    idleMs: limit,
    minPauseMs: limit,
    jitter: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
  });
  const step = fc.oneof(
    fc.record({ stream: fc.nat(5), bytes: fc.nat(5) }),
    fc.record({ ms: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.double({ min: 0, max: 3, noNaN: true })) }),
    fc.constant({ all: true }),
  );
  fc.assert(
    fc.property(policies, fc.array(step, { maxLength: 80 }), (policy, steps) => {
      const bench = new Bench(policy, 6);
      const due = (): number[] =>
        bench.streams
          .filter((stream) => dueTrigger(policy, stream, bench.now) !== undefined)
          .map(({ index }) => index);
      for (const drawn of steps) {
        if ('stream' in drawn) {
          bench.event(drawn.stream, drawn.bytes);
        } else if ('ms' in drawn) {
          const wait = bench.triggers.msUntilDue(bench.now);
          bench.now += drawn.ms;
          const expected = due();
          // Nobody sleeps past the moment at which something is due; a rounding error is less than this.
          if (expected.length > 0) expect(wait).toBeLessThanOrEqual(drawn.ms + 1e-9);
          expect(bench.after(0).toSorted()).toEqual(expected);
        } else {
          const dirty = bench.streams.filter(({ uncoveredEvents }) => uncoveredEvents > 0);
          expect(bench.all().toSorted()).toEqual(dirty.map(({ index }) => index));
        }
        expect(due()).toEqual([]);
      }
    }),
    { numRuns: 500 },
  );
});

describe('of 100,000 dirty streams', () => {
  const STREAMS = 100_000;

  function dirty(policy: CheckpointPolicy): Bench {
    const bench = new Bench(policy, 0);
    for (let index = 0; index < STREAMS; index++) {
      bench.streams.push(new CountedStream(bench.columns, index, `${index}`, NONE));
      bench.now = index / 1_000;
      bench.event(index);
    }
    CountedStream.looks = 0;
    return bench;
  }

  test.each<[string, CheckpointPolicy]>([
    ['age', { everyMs: 1_000 }],
    ['idleness', { idleMs: 1_000 }],
    ['either', { everyMs: 1_000, idleMs: 1_000 }],
  ])('only the due ones are looked at when time makes them due by %s', (_what, policy) => {
    const bench = dirty(policy);
    bench.now = 0;
    expect(bench.after(1_000)).toHaveLength(1);
    expect(bench.after(0.01)).toHaveLength(10);
    expect(CountedStream.looks).toBeLessThan(200);
  });

  test('an idle turn looks at no more than the head of each list', () => {
    const bench = dirty({ everyMs: 1_000, idleMs: 500, minPauseMs: 10 });
    bench.triggers.msUntilDue(bench.now);
    bench.after(0);
    expect(CountedStream.looks).toBeLessThanOrEqual(4);
  });

  test('an event looks at its own stream alone', () => {
    const bench = dirty({ everyMs: 1_000, idleMs: 1_000, everyEvents: 10 });
    bench.event(50_000);
    expect(CountedStream.looks).toBeLessThanOrEqual(4);
  });

  test('the ones that are pausing are not looked at again in every turn', () => {
    const bench = dirty({ everyMs: 100, minPauseMs: 10_000 });
    bench.all();
    for (let index = 0; index < STREAMS; index++) bench.event(index);
    bench.after(200);
    CountedStream.looks = 0;
    for (let turn = 0; turn < 100; turn++) expect(bench.after(1)).toEqual([]);
    expect(CountedStream.looks).toBeLessThanOrEqual(400);
  });
});
