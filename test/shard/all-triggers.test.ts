/**
 * All triggers at once, on a simulated clock: a shard that sleeps until something may be due checkpoints the same streams
 * at the same milliseconds as a plain list of streams, all of which are asked in each of them.
 */
import { expect, test } from 'vitest';
import {
  type CheckpointPolicy,
  type CheckpointTrigger,
  dueTrigger,
  limitShare,
} from '../../src/checkpoint/schedule.ts';
import type { HostedOperators } from '../../src/shard/operator-host.ts';
import { ShardStream } from '../../src/shard/stream.ts';
import { StreamColumns } from '../../src/shard/stream-row.ts';
import { Triggers } from '../../src/shard/triggers.ts';
import { WantedStreams } from '../../src/shard/wanted-streams.ts';
import { type Random, seeded } from '../support/random.ts';

const NONE: HostedOperators = { inOrder: [], byName: [], hasHeap: false };
const LIVES = 150;
const LIFE_MS = 400;

type Call =
  | { readonly kind: 'event'; readonly stream: number; readonly bytes: number }
  | { readonly kind: 'want'; readonly stream: number }
  | { readonly kind: 'forget'; readonly stream: number }
  | { readonly kind: 'all' };

/** What is checkpointed in one turn, by number, in the order of the steps of a turn and in any order within one. */
type Turn = readonly (readonly number[])[];

const ascending = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);

/** Triggers as a shard has them, with its turns and its sleep. */
class Sleeper {
  readonly streams: ShardStream[];
  readonly #columns = new StreamColumns();
  readonly #triggers: Triggers;
  readonly #wanted = new WantedStreams();
  #wakeAt = 0;
  turns = 0;

  constructor(policy: CheckpointPolicy, handed: readonly number[]) {
    this.#triggers = new Triggers(policy);
    this.streams = handed.map((_events, index) => new ShardStream(this.#columns, index, `${index}`, NONE));
    for (const [index, events] of handed.entries())
      if (events > 0) this.#triggers.reopen(this.streams[index] as ShardStream, events, 0);
  }

  millisecond(now: number, calls: readonly Call[]): Turn {
    if (calls.length === 0 && now < this.#wakeAt) return [[], [], [], []];
    this.turns++;
    const steps: number[][] = [[], [], [], []];
    const at = (step: number) => (stream: ShardStream) => {
      steps[step]?.push(stream.index);
      this.#triggers.onCheckpoint(stream, now);
    };
    let isAll = false;
    for (const call of calls) {
      if (call.kind === 'all') {
        isAll = true;
        continue;
      }
      const stream = this.streams[call.stream] as ShardStream;
      if (call.kind === 'want') this.#wanted.add(stream);
      else if (call.kind === 'forget') {
        this.#triggers.forget(stream);
        this.#wanted.remove(stream);
        this.streams[call.stream] = new ShardStream(this.#columns, call.stream, `${call.stream}`, NONE);
      } else {
        if (this.#triggers.onEvent(stream, call.bytes, now)) at(0)(stream);
        this.#triggers.fireDebt(at(0));
      }
    }
    this.#triggers.fireDue(now, at(1));
    for (const stream of this.#wanted.take()) if (stream.uncoveredEvents > 0) at(2)(stream);
    if (isAll) this.#triggers.fireAll(at(3));
    this.#wakeAt = now + this.#triggers.msUntilDue(now);
    return steps;
  }
}

class Plain {
  uncoveredEvents = 0;
  uncoveredBytes = 0;
  firstUncoveredAt = 0;
  lastEventAt = 0;
  lastCheckpointAt = Number.NEGATIVE_INFINITY;
  limitShare = 1;
  checkpoints = 0;
  /** Ordinal of its first uncovered event. */
  dirtied = 0;
  isWanted = false;
}

/** A list of streams, each of which is asked in each millisecond. */
class List {
  readonly streams: Plain[];
  readonly fired = new Map<CheckpointTrigger | 'wanted' | 'all', number>();
  readonly #policy: CheckpointPolicy;
  #dirtied = 0;

  constructor(policy: CheckpointPolicy, handed: readonly number[]) {
    this.#policy = policy;
    this.streams = handed.map(() => new Plain());
    for (const [index, events] of handed.entries())
      if (events > 0) this.#note(index, { now: 0, events, bytes: 0 });
  }

  get debt(): number {
    return this.streams.reduce((sum, { uncoveredEvents }) => sum + uncoveredEvents, 0);
  }

  millisecond(now: number, calls: readonly Call[]): Turn {
    const steps: number[][] = [[], [], [], []];
    for (const call of calls) {
      if (call.kind === 'all') continue;
      const stream = this.streams[call.stream] as Plain;
      if (call.kind === 'want') stream.isWanted = true;
      else if (call.kind === 'forget') this.streams[call.stream] = new Plain();
      else {
        this.#note(call.stream, { now, events: 1, bytes: call.bytes });
        this.#ask([call.stream], now, steps[0]);
        this.#askOldest(now, steps[0]);
      }
    }
    // What a thread takes over may be too much before the first event.
    this.#askOldest(now, steps[1]);
    this.#ask(this.streams.keys(), now, steps[1]);
    for (const [index, stream] of this.streams.entries()) {
      if (stream.isWanted && stream.uncoveredEvents > 0) this.#take(index, now, 'wanted', steps[2]);
      stream.isWanted = false;
    }
    if (calls.some(({ kind }) => kind === 'all'))
      for (const [index, { uncoveredEvents }] of this.streams.entries())
        if (uncoveredEvents > 0) this.#take(index, now, 'all', steps[3]);
    return steps;
  }

  #note(index: number, what: { now: number; events: number; bytes: number }): void {
    const stream = this.streams[index] as Plain;
    if (stream.uncoveredEvents === 0) {
      stream.firstUncoveredAt = what.now;
      stream.dirtied = ++this.#dirtied;
      stream.limitShare = limitShare(this.#policy, index, stream.checkpoints);
    }
    stream.uncoveredEvents += what.events;
    stream.uncoveredBytes += what.bytes;
    stream.lastEventAt = what.now;
  }

  #ask(indexes: Iterable<number>, now: number, step: number[] | undefined): void {
    for (const index of indexes) {
      const trigger = dueTrigger(this.#policy, this.streams[index] as Plain, now);
      if (trigger !== undefined) this.#take(index, now, trigger, step);
    }
  }

  #askOldest(now: number, step: number[] | undefined): void {
    for (;;) {
      const dirty = this.streams.filter(({ uncoveredEvents }) => uncoveredEvents > 0);
      const oldest = dirty.sort((a, b) => a.dirtied - b.dirtied)[0];
      if (oldest === undefined || dueTrigger(this.#policy, oldest, now, this.debt) !== 'debt') return;
      this.#take(this.streams.indexOf(oldest), now, 'debt', step);
    }
  }

  #take(
    index: number,
    now: number,
    why: CheckpointTrigger | 'wanted' | 'all',
    step: number[] | undefined,
  ): void {
    const stream = this.streams[index] as Plain;
    stream.uncoveredEvents = 0;
    stream.uncoveredBytes = 0;
    stream.lastCheckpointAt = now;
    stream.checkpoints++;
    step?.push(index);
    this.fired.set(why, (this.fired.get(why) ?? 0) + 1);
  }
}

function drawPolicy(random: Random): CheckpointPolicy {
  const limit = (greatest: number): number | undefined =>
    random.chance(0.5) ? random.between(1, greatest) : undefined;
  return {
    everyEvents: limit(40),
    everyMs: limit(120),
    everyBytes: limit(200),
    idleMs: limit(60),
    minPauseMs: limit(90),
    maxReplayEvents: limit(60),
    jitter: random.chance(0.5) ? random.below(101) / 100 : undefined,
  };
}

function drawCalls(random: Random, streams: number): Call[] {
  // Pauses, in which only time makes streams due.
  if (random.chance(0.8)) return [];
  return Array.from({ length: random.magnitude(12) }, (): Call => {
    const stream = random.below(streams);
    const draw = random.below(100);
    if (draw < 92) return { kind: 'event', stream, bytes: random.below(20) };
    if (draw < 95) return { kind: 'want', stream };
    return draw < 98 ? { kind: 'forget', stream } : { kind: 'all' };
  });
}

test(
  'whatever mix of limits and requests: the same streams at the same times as by asking all in every millisecond',
  seeded((random) => {
    const fired = new Map<string, number>();
    let milliseconds = 0;
    let turns = 0;
    for (let life = 0; life < LIVES; life++) {
      const policy = drawPolicy(random);
      const handed = Array.from({ length: random.between(1, 12) }, () =>
        random.chance(0.2) ? random.between(1, 9) : 0,
      );
      const sleeper = new Sleeper(policy, handed);
      const list = new List(policy, handed);
      for (let now = 0; now < LIFE_MS; now++) {
        const calls = drawCalls(random, handed.length);
        const expected = list.millisecond(now, calls);
        const turn = sleeper.millisecond(now, calls);
        const said = `life ${life} at ${now} ms under ${JSON.stringify(policy)}`;
        // By events, one after the other; the rest in any order.
        expect([turn[0], ...turn.slice(1).map(ascending)], said).toEqual([
          expected[0],
          ...expected.slice(1).map(ascending),
        ]);
        expect(list.debt, said).toBeLessThanOrEqual(policy.maxReplayEvents ?? Number.POSITIVE_INFINITY);
      }
      for (const [why, times] of list.fired) fired.set(why, (fired.get(why) ?? 0) + times);
      milliseconds += LIFE_MS;
      turns += sleeper.turns;
    }
    // Otherwise the lives never came to what is tested.
    for (const why of ['events', 'ms', 'bytes', 'idle', 'debt', 'wanted', 'all'])
      expect(fired.get(why) ?? 0, why).toBeGreaterThan(50);
    expect(turns).toBeLessThan(milliseconds / 2);
  }),
);
