/** What a run costs the thread that it is started on, and how long that thread keeps others waiting. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Longest, SectionWatch } from './section-watch.ts';

export interface LoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly greatestMs: number;
}

export interface ThreadCost {
  readonly wallMs: number;
  /** Processor time of this thread, without what the bench took to make events. */
  readonly threadMs: number;
  readonly delay: LoopDelay;
  readonly longest: Longest;
}

/** The monitor's own timer: an idle loop is late by this much. */
const RESOLUTION_MS = 1;

/** What `work` runs in `exclude` is the bench's own. */
export async function watchThread(
  work: (exclude: <Value>(own: () => Value) => Value) => Promise<void>,
): Promise<ThreadCost> {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const sections = new SectionWatch();
  sections.start();
  delay.enable();
  const before = process.threadCpuUsage();
  const start = performance.now();
  await work((own) => sections.exclude(own));
  const wallMs = performance.now() - start;
  const { user, system } = process.threadCpuUsage(before);
  delay.disable();
  const longest = sections.stop();
  const late = (ns: number): number => Math.max(0, ns / 1e6 - RESOLUTION_MS);
  return {
    wallMs,
    threadMs: Math.max(0, (user + system) / 1e3 - sections.excludedMs),
    delay: {
      p50Ms: late(delay.percentile(50)),
      p99Ms: late(delay.percentile(99)),
      greatestMs: late(delay.max),
    },
    longest,
  };
}
