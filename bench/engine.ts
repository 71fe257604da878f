/**
 * The engine suite: events through a whole engine with its shards and its durable log. The clock runs
 * from the first push until every event is applied and every stream's newest checkpoint is durable. The
 * cases take turns run by run, since they are compared with each other.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CheckpointEngine } from '../src/index.ts';
import { Load, type LoadPlan, requireState } from './engine-load.ts';
import { type Result, type RunOptions, type Suite, summarize } from './suite.ts';
import { type ThreadCost, watchThread } from './thread-watch.ts';

interface EngineCase {
  readonly name: string;
  readonly plan: LoadPlan;
  readonly everyEvents: number;
}

interface Run {
  readonly cost: ThreadCost;
  readonly checkpoints: number;
  readonly rssBytes: number;
}

/** More events than any stream gets. */
const NEVER = Number.MAX_SAFE_INTEGER;
const RUNS = 3;
/** Streams whose final states are checked. */
const CHECKED_STREAMS = 100;

export const suite: Suite = {
  name: 'engine',
  async *run(options) {
    const cases = casesOf(options);
    const runs = new Map<EngineCase, Run[]>(cases.map((each) => [each, []]));
    for (let round = 0; round < (options.isSmoke ? 1 : RUNS); round++) {
      for (const each of cases) runs.get(each)?.push(await runOnce(each));
    }
    for (const each of cases) yield [resultOf(each, runs.get(each) ?? [])];
  },
};

function casesOf({ isSmoke }: RunOptions): EngineCase[] {
  const streams = isSmoke ? 100 : 10_000;
  const slots: LoadPlan = { kind: 'slots', streams, events: streams * 1_500, payloadBytes: 100 };
  const json: LoadPlan = { kind: 'json', streams, events: streams * 200, payloadBytes: 200 };
  const large: LoadPlan = isSmoke
    ? { kind: 'large', streams: 20, events: 4_000, payloadBytes: 100 }
    : { kind: 'large', streams: 1_000, events: 400_000, payloadBytes: 100 };
  return [
    { name: 'ingest/slots', plan: slots, everyEvents: 1_000 },
    { name: 'ingest/no-checkpoints', plan: slots, everyEvents: NEVER },
    { name: 'ingest/json', plan: json, everyEvents: 100 },
    { name: 'ingest/large-state', plan: large, everyEvents: 50 },
  ];
}

async function runOnce(each: EngineCase): Promise<Run> {
  const load = new Load(each.plan);
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  try {
    const engine = await CheckpointEngine.open({
      operators: new URL('./engine-operators.ts', import.meta.url),
      directory,
      checkpoint: { everyEvents: each.everyEvents },
    });
    try {
      const cost = await watchThread(async () => {
        for (const batch of load.batches()) await engine.push(batch);
        await engine.checkpoint();
      });
      const rssBytes = process.memoryUsage.rss();
      await requireResult(engine, each, load);
      return { cost, rssBytes, checkpoints: engine.metrics().checkpoints.stored };
    } finally {
      await engine.close();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Every event applied once, as many checkpoints as configured, every state what its events make of it. */
async function requireResult(engine: CheckpointEngine, each: EngineCase, load: Load): Promise<void> {
  const { events, checkpoints } = engine.metrics();
  requireEqual('events applied', events.applied, each.plan.events);
  requireEqual('events dropped', events.dropped, 0);
  const { due, final } = load.checkpoints(each.everyEvents);
  requireEqual('checkpoints', checkpoints.stored, due + final);
  requireEqual('position', Number(engine.position('bench') ?? 0n), each.plan.events);
  const payloads = load.payloadsOf(Math.min(CHECKED_STREAMS, each.plan.streams));
  for (const [i, numbers] of payloads.entries()) {
    const state = await engine.latest(load.names[i] as string);
    requireEqual('events counted', Number(state?.eventCount ?? 0n), numbers.length);
    const [bytes] = state?.operatorStates.values() ?? [];
    requireState(each.plan.kind, bytes, numbers);
  }
}

function requireEqual(what: string, found: number, expected: number): void {
  if (found !== expected) throw new Error(`${what}: ${found}, not ${expected}`);
}

function resultOf(each: EngineCase, runs: readonly Run[]): Result {
  const { events, payloadBytes } = each.plan;
  const fastest = runs.toSorted((a, b) => a.cost.wallMs - b.cost.wallMs)[0];
  if (fastest === undefined) throw new Error('nothing was measured');
  const { cost, checkpoints, rssBytes } = fastest;
  const perSecond = (count: number): string =>
    ((count / cost.wallMs) * 1e3).toLocaleString('en-US', { maximumFractionDigits: 0 });
  return {
    suite: 'engine',
    case: each.name,
    subject: 'tidemark',
    bytesPerOp: payloadBytes,
    ...summarize(runs.map((run) => (run.cost.wallMs * 1e6) / events)),
    remarks: [
      `${perSecond(events)} events/s, ${perSecond(checkpoints)} checkpoints/s (${checkpoints} as configured)`,
      `main thread ${((cost.threadMs * 1e6) / events).toFixed(0)} ns/event, event-loop delay p50 ${cost.delayP50Ms.toFixed(2)}, p99 ${cost.delayP99Ms.toFixed(2)}, greatest ${cost.delayMaxMs.toFixed(2)} ms; RSS ${(rssBytes / 2 ** 20).toFixed(0)} MiB`,
    ],
  };
}
