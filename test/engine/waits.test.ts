/**
 * For how long one call waits while the store is full, whatever it waits for in turn, and until when a stream that goes on
 * holds its frontiers. Time is the test's.
 */
import { describe, expect, test } from 'vitest';
import { Aside } from '../../src/engine/aside.ts';
import { CheckpointRequests } from '../../src/engine/checkpoint-requests.ts';
import type { CommitPipeline } from '../../src/engine/commit-pipeline.ts';
import { Durability } from '../../src/engine/durability.ts';
import { EngineState } from '../../src/engine/engine-state.ts';
import { Forgets } from '../../src/engine/forgets.ts';
import type { Ingest } from '../../src/engine/ingest.ts';
import { quarantined } from '../../src/engine/quarantine.ts';
import { HELD_OUT, type Marks } from '../../src/engine/queued-push.ts';
import { RoutedStream } from '../../src/engine/router.ts';
import type { ShardHandle } from '../../src/engine/shard-handle.ts';
import { Waits } from '../../src/engine/waits.ts';
import { TidemarkError } from '../../src/error.ts';
import type { CentralStore } from '../../src/store/central-store.ts';

const FULL = new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'for too long', { retryable: true });
/** Of each step, and one fewer than a caller waits. */
const STEP_MS = 99;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Waits whose steps end when the test says so. */
class Bench {
  ms = 1_000;
  readonly stream = new RoutedStream('a', 0, 0);
  readonly waits: Waits;
  /** Of the accepted queue, and of the frontiers, in the order in which they were asked for. */
  #accept: () => void = () => undefined;
  #frontier: { since: number; reject: (error: Error) => void } | undefined;
  readonly durability = new Durability({ now: () => this.ms, wallMs: () => 0 });
  /** What is said of the events pushed to the stream. */
  mark = 1;
  readonly #shard = { checkpointsDone: 0, requestCheckpoint: () => undefined } as unknown as ShardHandle;
  readonly #requests = new CheckpointRequests([this.#shard]);

  constructor() {
    const state = new EngineState();
    state.phase = 'open';
    const accepted = (): Promise<void> =>
      new Promise((resolve) => {
        this.#accept = resolve;
      });
    const mark = (marks: Marks | undefined): Promise<void> => {
      marks?.set(this.stream, this.mark);
      return accepted();
    };
    const ingest = {
      accept: (_: unknown, marks: Marks | undefined) => mark(marks),
      requestCheckpoint: (_: unknown, marks: Marks) => mark(marks),
      requestResume: (_: unknown, take: () => unknown, __: unknown, marks: Marks) => {
        take();
        return mark(marks);
      },
      failLate: () => undefined,
    };
    const commits = {
      kick: () => undefined,
      commitFrontiers: (since: number) =>
        new Promise<void>((_, reject) => {
          this.#frontier = { since, reject };
        }),
      failLate: (reason: () => Error, before: number) => {
        if (this.#frontier !== undefined && this.#frontier.since <= before) this.#frontier.reject(reason());
      },
    };
    this.waits = new Waits({
      state,
      ingest: ingest as unknown as Ingest,
      requests: this.#requests,
      durability: this.durability,
      forgets: new Forgets(),
      central: { enqueued: 1 } as CentralStore,
      commits: commits as unknown as CommitPipeline,
      clock: { now: () => this.ms, wallMs: () => 0 },
    });
  }

  /** Each takes a while to come. */
  readonly steps = {
    accepted: () => this.#accept(),
    answered: () => this.#requests.onAnswer(this.#shard, 1),
    through: () => this.durability.settleThrough(1),
    settled: () => this.durability.settle(this.stream, 1),
  };
}

describe('a stream that goes on holds its frontiers', () => {
  async function resumed(bench: Bench) {
    const told = { isDurable: false, error: undefined as unknown };
    const onDurable = (): void => void (told.isDurable = true);
    const ended = bench.waits.untilResumed(bench.stream, () => [], [], onDurable);
    ended.catch((error: unknown) => void (told.error = error));
    bench.steps.accepted();
    await nextTurn();
    return told;
  }

  test('until that is durable', async () => {
    const bench = new Bench();
    bench.mark = 3;
    const told = await resumed(bench);
    expect(told.isDurable).toBe(false);
    bench.durability.settle(bench.stream, 3);
    await nextTurn();
    expect(told.isDurable).toBe(true);
  });

  test.each([3, HELD_OUT])(
    'when it is set aside anew, until that is durable: events before that may be in no checkpoint yet (%s)',
    async (pushed) => {
      const bench = new Bench();
      bench.mark = pushed;
      bench.durability.settle(bench.stream, 1);
      const fault = {
        sequence: 3n,
        source: undefined,
        offset: undefined,
        attempts: 3,
        error: new Error('bad'),
      };
      const setAside = (): void => {
        const aside = new Aside(fault, 2, false, { max: 0, used: 0 });
        Object.assign(bench.stream, { aside, lastAside: aside });
        bench.durability.failBeyond(bench.stream, 2, () => quarantined('a', aside));
      };
      // Before the rest of what was held out is, if it is held out again.
      if (pushed === HELD_OUT) setAside();
      const told = await resumed(bench);
      if (pushed !== HELD_OUT) setAside();
      await nextTurn();
      expect(told).toMatchObject({ error: { code: 'ERR_TIDEMARK_QUARANTINED' }, isDurable: false });
      bench.durability.settle(bench.stream, 2);
      await nextTurn();
      expect(told.isDurable).toBe(true);
    },
  );
});

describe('a full store keeps waiting no longer than once, however many steps were done', () => {
  type Step = keyof Bench['steps'];
  const calls: [string, (bench: Bench) => Promise<void>, Step[]][] = [
    ['checkpoint()', ({ waits }) => waits.untilAllCheckpointed(), ['accepted', 'answered', 'through']],
    ['checkpoint(stream)', ({ waits, stream }) => waits.untilCheckpointed(stream), ['accepted', 'settled']],
    [
      'a push until durable',
      ({ waits }) => waits.untilAccepted({ events: [], streams: [] }, true),
      ['accepted'],
    ],
  ];
  const cases = calls.flatMap(([name, call, steps]) =>
    // The queue itself is asked by the time of the push.
    steps.map((_, at) => ({ name, call, done: steps.slice(0, at + 1) })),
  );

  test.each(cases)('$name after $done', async ({ call, done }) => {
    const bench = new Bench();
    const began = bench.ms;
    let outcome: unknown;
    const ended = call(bench).then(
      () => {
        outcome = 'resolved';
      },
      (error: unknown) => {
        outcome = error;
      },
    );
    for (const step of done) {
      bench.ms += STEP_MS;
      bench.steps[step]();
      await new Promise((resolve) => setImmediate(resolve));
    }
    bench.waits.failLate(() => FULL, began - 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(outcome).toBeUndefined();
    bench.waits.failLate(() => FULL, began);
    await ended;
    expect(outcome).toBe(FULL);
  });
});
