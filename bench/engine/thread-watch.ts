/** What a run costs the thread that it is started on, and how long that thread keeps others waiting. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface ThreadCost {
  readonly wallMs: number;
  /** Processor time of this thread alone. */
  readonly threadMs: number;
  readonly delayP50Ms: number;
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
}

/** The monitor's own timer: an idle loop is late by this much. */
const RESOLUTION_MS = 1;

export async function watchThread(work: () => Promise<void>): Promise<ThreadCost> {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const before = process.threadCpuUsage();
  const start = performance.now();
  await work();
  const wallMs = performance.now() - start;
  const { user, system } = process.threadCpuUsage(before);
  delay.disable();
  const late = (ns: number): number => Math.max(0, ns / 1e6 - RESOLUTION_MS);
  return {
    wallMs,
    threadMs: (user + system) / 1e3,
    delayP50Ms: late(delay.percentile(50)),
    delayP99Ms: late(delay.percentile(99)),
    delayMaxMs: late(delay.max),
  };
}
