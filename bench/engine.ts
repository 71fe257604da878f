/**
 * The engine suite: events through a whole engine with its shards and its durable log, and through what a
 * service would write by hand instead. The clock runs from the first push until every event is applied
 * and every stream's newest checkpoint is durable. The cases and subjects take turns run by run, since
 * they are compared with each other.
 */
import { runChild } from './child.ts';
import { casesOf, type EngineCase } from './engine/cases.ts';
import type { RunOutcome, RunRequest } from './engine/run.ts';
import { subjectNames } from './engine/subject.ts';
import type { LoopDelay } from './engine/thread-watch.ts';
import { type Result, type Suite, summarize } from './suite.ts';

const ROUNDS = 3;
/** No round begins that could not end by then: a suite takes three minutes at most. */
const BUDGET_MS = 170_000;
const CONTROL_MS = 2_000;
const CONTROL_SMOKE_MS = 100;

interface Entry {
  readonly each: EngineCase;
  readonly subject: string;
  readonly runs: RunOutcome[];
}

export const suite: Suite = {
  name: 'engine',
  async *run({ isSmoke }) {
    const subjects = subjectNames();
    const entries = casesOf(isSmoke).flatMap((each) =>
      subjects
        .filter((subject) => each.hasRivals || subject === 'tidemark')
        .map((subject): Entry => ({ each, subject, runs: [] })),
    );
    const control = await runOnce<LoopDelay>({
      kind: 'control',
      ms: isSmoke ? CONTROL_SMOKE_MS : CONTROL_MS,
    });
    const start = performance.now();
    for (let round = 0; round < (isSmoke ? 1 : ROUNDS); round++) {
      const spent = performance.now() - start;
      if (spent + spent / Math.max(1, round) > BUDGET_MS) break;
      for (const { each, subject, runs } of entries) {
        runs.push(await runOnce<RunOutcome>({ kind: 'subject', subject, case: each.name, isSmoke }));
      }
    }
    for (const entry of Map.groupBy(entries, ({ each }) => each.name).values())
      yield entry.map((run) => resultOf(run, control));
  },
};

function runOnce<Outcome>(request: RunRequest): Promise<Outcome> {
  return runChild<RunRequest, Outcome>(new URL('./engine/run.ts', import.meta.url), request);
}

function resultOf({ each, subject, runs }: Entry, control: LoopDelay): Result {
  const { payloadBytes } = each.plan;
  const fastest = runs.toSorted((a, b) => a.cost.wallMs - b.cost.wallMs)[0];
  if (fastest === undefined) throw new Error('nothing was measured');
  const { cost, events, checkpoints, durableBytes, rssBytes } = fastest;
  const perSecond = (count: number): string =>
    ((count / cost.wallMs) * 1e3).toLocaleString('en-US', { maximumFractionDigits: 0 });
  const { longest } = cost;
  return {
    suite: 'engine',
    case: each.name,
    subject,
    bytesPerOp: payloadBytes,
    ...summarize(runs.map((run) => (run.cost.wallMs * 1e6) / run.events)),
    remarks: [
      ...(each.eventsPerSecond === undefined
        ? []
        : [
            `pushed at ${each.eventsPerSecond.toLocaleString('en-US')} events/s; ${perSecond((durableBytes ?? 0) / 1e6)} MB/s became durable`,
          ]),
      `${perSecond(events)} events/s, ${perSecond(checkpoints)} checkpoints/s (${checkpoints.toLocaleString('en-US')}, as configured)`,
      `main thread: ${((cost.threadMs * 1e6) / events).toFixed(0)} ns/event, longest section ${longest.withoutGcMs.toFixed(2)} ms of processor time, ${longest.threadMs.toFixed(2)} with garbage collections, ${longest.wallMs.toFixed(2)} by the clock`,
      `event-loop delay: ${delayText(cost.delay)}; control ${delayText(control)}`,
      `RSS +${(rssBytes / 2 ** 20).toFixed(0)} MiB`,
    ],
  };
}

function delayText({ p50Ms, p99Ms, greatestMs }: LoopDelay): string {
  return `p50 ${p50Ms.toFixed(2)}, p99 ${p99Ms.toFixed(2)}, greatest ${greatestMs.toFixed(2)} ms`;
}
