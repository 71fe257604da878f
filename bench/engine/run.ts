/**
 * One run of the engine suite in a process of its own: no run inherits another's memory or its compiled
 * code. Started by `bench/engine.ts`; takes a request, sends an outcome, ends.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answerRequest } from '../child.ts';
import { type EngineCase, findCase } from './cases.ts';
import { measureControl } from './control.ts';
import { Load, type LoadEvent, requireState } from './load.ts';
import { Pace } from './pace.ts';
import { type EngineSubject, openSubject, type Totals } from './subject.ts';
import { type LoopDelay, type ThreadCost, watchThread } from './thread-watch.ts';

export type RunRequest =
  | { readonly kind: 'control'; readonly ms: number }
  | { readonly kind: 'subject'; readonly subject: string; readonly case: string; readonly isSmoke: boolean };

export interface RunOutcome {
  readonly cost: ThreadCost;
  /** Pushed while it was measured. */
  readonly events: number;
  readonly checkpoints: number;
  readonly durableBytes: number | undefined;
  /** What the subject added to the process with its load. */
  readonly rssBytes: number;
}

/** Streams whose final states are checked. */
const CHECKED_STREAMS = 100;

async function runSubject(name: string, each: EngineCase): Promise<RunOutcome> {
  const load = new Load(each.plan);
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  try {
    const rssBefore = process.memoryUsage.rss();
    const subject = await openSubject(name, each, directory);
    // At least one batch: the first push of a process takes four milliseconds, in which its code is compiled.
    const { warmUpEvents = 1 } = each;
    const batches = load.batches();
    const pace = new Pace(each.eventsPerSecond);
    let pushed = 0;
    const pushNext = async (batch: readonly LoadEvent[]): Promise<void> => {
      await pace.wait(batch.length);
      await subject.push(batch);
      pushed += batch.length;
    };
    while (pushed < warmUpEvents) await pushNext(batches.next().value ?? []);
    const events = each.plan.events - pushed;
    const cost = await watchThread(async (exclude) => {
      for (;;) {
        const batch = exclude(() => batches.next().value);
        if (batch === undefined) break;
        await pushNext(batch);
      }
      await subject.finish();
    });
    const rssBytes = process.memoryUsage.rss() - rssBefore;
    const { checkpoints, durableBytes } = await requireResult(subject, each, load);
    await subject.close();
    return { cost, events, checkpoints, durableBytes, rssBytes };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Every event applied once, as many checkpoints as configured, every state what its events make of it. */
async function requireResult(subject: EngineSubject, each: EngineCase, load: Load): Promise<Totals> {
  const totals = await subject.totals();
  const { events, checkpoints } = totals;
  const { due, final } = load.checkpoints(each.everyEvents);
  if (events !== each.plan.events) throw new Error(`${events} events were applied, not ${each.plan.events}`);
  if (checkpoints !== due + final) throw new Error(`${checkpoints} checkpoints, not ${due + final}`);
  const histories = load.historyOf(Math.min(CHECKED_STREAMS, each.plan.streams));
  for (const [i, history] of histories.entries())
    requireState(each.plan.kind, await subject.stateOf(load.names[i] as string), history);
  return totals;
}

function run(request: RunRequest): Promise<RunOutcome | LoopDelay> {
  if (request.kind === 'control') return measureControl(request.ms);
  return runSubject(request.subject, findCase(request.case, request.isSmoke));
}

answerRequest(run);
