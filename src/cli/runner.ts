/**
 * Runs a job to the end of its source, its limit or a signal: open, restore, read, final checkpoints, summary.
 * `demo` and `run` are two ways to get here.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { CheckpointEngine } from '../engine/engine.ts';
import type { QuarantineEvent } from '../engine/metrics.ts';
import type { EngineOptions } from '../engine/options.ts';
import type { ExpiredPolicy, JobSource } from './job.ts';
import { errorLine, exitCodeOf, formatCount, printable, type Terminal, withCause } from './output.ts';
import { Progress, type ProgressFacts } from './progress.ts';
import { Pump } from './pump.ts';
import { type SourceStart, startOf } from './source-start.ts';
import { type FinalState, finalStates, StateDigest } from './state-digest.ts';
import { onStop, type SignalHost } from './stop.ts';
import { type RunSummary, summarize } from './summary.ts';

/** What a run needs of an engine. */
export type RunnableEngine = Pick<
  CheckpointEngine,
  | 'generation'
  | 'receipt'
  | 'position'
  | 'push'
  | 'checkpoint'
  | 'latest'
  | 'streams'
  | 'metrics'
  | 'quarantined'
  | 'retry'
  | 'close'
> & {
  on(event: 'frontier', listener: (frontier: { source: string; offset: bigint }) => void): unknown;
  on(event: 'quarantine', listener: (event: QuarantineEvent) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
};

export interface RunPlan {
  /** What is said at the start. */
  readonly title: string;
  readonly source: JobSource;
  readonly options: EngineOptions;
  readonly onExpired?: ExpiredPolicy | undefined;
  readonly limit: number | undefined;
  readonly crashAfter: number | undefined;
  /** Where the source ends, if that is known. */
  readonly end: number | undefined;
  /** What an offset of the source counts. */
  readonly unit: string;
  /** Gets every stream's final state, ascending by stream. */
  readonly onFinalState?: (final: FinalState) => void;
}

export interface RunPorts extends SignalHost {
  readonly terminal: Terminal;
  open(options: EngineOptions): Promise<RunnableEngine>;
  /** Ends this process as a crash would. */
  crash(): void;
}

export type RunOutcome =
  /** 1: streams are in quarantine, and all else was done. */
  | { readonly exitCode: 0 | 1; readonly summary: RunSummary }
  | { readonly exitCode: 1 | 2; readonly summary?: undefined };

/** The least delay that `monitorEventLoopDelay` can report at its finest resolution. */
const DELAY_RESOLUTION_MS = 1;

/** Errors are reported here, so that the exit code says whether the request or the run was at fault. */
export async function runJob(plan: RunPlan, ports: RunPorts): Promise<RunOutcome> {
  const { stderr } = ports.terminal;
  const stop = new AbortController();
  const release = onStop(ports, (signal) => {
    stderr.write(`\n${signal}: reading ends; final checkpoints are taken (once more: exit at once)\n`);
    stop.abort();
  });
  try {
    stderr.write(`${plan.title}\n`);
    let engine: RunnableEngine;
    try {
      engine = await ports.open(plan.options);
    } catch (error) {
      stderr.write(errorLine(error));
      return { exitCode: exitCodeOf(error) };
    }
    const run = new Run(plan, ports, engine, stop);
    try {
      const summary = await run.complete();
      return { exitCode: summary.quarantined.length === 0 ? 0 : 1, summary };
    } catch (error) {
      stderr.write(errorLine(error));
      // What was accepted before the failure is still worth keeping, if the engine is alive to keep it.
      await engine.close().catch(() => {});
      return { exitCode: run.hasBegun ? 1 : exitCodeOf(error) };
    }
  } finally {
    release();
  }
}

class Run {
  readonly #plan: RunPlan;
  readonly #ports: RunPorts;
  readonly #engine: RunnableEngine;
  readonly #stop: AbortController;
  #start: SourceStart;
  #pump: Pump | undefined;
  #frontier: bigint | undefined;
  #failure: Error | undefined;

  constructor(plan: RunPlan, ports: RunPorts, engine: RunnableEngine, stop: AbortController) {
    this.#plan = plan;
    this.#ports = ports;
    this.#engine = engine;
    this.#stop = stop;
    this.#start = { from: engine.position(plan.source.name), skipped: undefined };
    engine.on('frontier', ({ source, offset }) => {
      if (source === plan.source.name) this.#frontier = offset;
    });
    engine.on('quarantine', ({ stream, error }) => {
      ports.terminal.stderr.write(`stream ${printable(stream)} is set aside: ${withCause(error)}\n`);
    });
    engine.on('error', (error) => {
      // A source that waits for its next event would keep a failed engine waiting for ever.
      this.#failure ??= error;
      stop.abort();
    });
  }

  get hasBegun(): boolean {
    return this.#pump?.isReading === true;
  }

  async complete(): Promise<RunSummary> {
    const { source, limit, crashAfter, onExpired = 'fail' } = this.#plan;
    const { signal } = this.#stop;
    const restored = this.#engine.receipt.streams;
    this.#start = await startOf(source, { position: this.#start.from, policy: onExpired, signal });
    this.#say(restored);
    await this.#retryQuarantined();
    const pump = new Pump(
      {
        source,
        from: this.#start.from,
        limit,
        crashAfter,
        reached: restored.length === 0 ? undefined : await this.#reached(),
        signal,
      },
      { push: (events) => this.#engine.push(events), crash: () => this.#ports.crash() },
    );
    this.#pump = pump;
    const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
    delay.enable();
    const startMs = this.#ports.now();
    const progress = new Progress(this.#ports.terminal.stderr, () => this.#facts(pump));
    try {
      await pump.run();
      await this.#engine.checkpoint();
    } finally {
      progress.end();
      delay.disable();
    }
    if (this.#failure !== undefined) throw this.#failure;
    const seconds = (this.#ports.now() - startMs) / 1000;
    if (pump.pushed === 0) this.#sayNothingToDo();
    const final = await this.#final();
    const { shards, events, checkpoints } = this.#engine.metrics();
    const { quarantined } = await this.#engine.close();
    return summarize({
      ...final,
      shards: shards.length,
      checkpoints: checkpoints.stored,
      checkpointBytes: checkpoints.storedBytes,
      durable: checkpoints.durable,
      resumed: restored.length > 0,
      resumedFrom: this.#start.from,
      skipped: this.#start.skipped,
      quarantined,
      applied: events.applied,
      dropped: events.dropped,
      replayed: pump.replayed,
      seconds,
      eventLoopDelayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS),
    });
  }

  /** A job is run again when what was wrong with it is put right. What was held out comes again from its source. */
  async #retryQuarantined(): Promise<void> {
    for (const { stream } of this.#engine.quarantined()) {
      this.#ports.terminal.stderr.write(`stream ${printable(stream)} was set aside, and is tried again\n`);
      await this.#engine.retry(stream);
    }
  }

  /** The greatest offset of the source that any restored stream had come to. */
  async #reached(): Promise<bigint | undefined> {
    let reached: bigint | undefined;
    for await (const { state } of finalStates(this.#engine)) {
      const offset = state.sourceOffsets.get(this.#plan.source.name);
      if (offset !== undefined && (reached === undefined || offset > reached)) reached = offset;
    }
    return reached;
  }

  async #final() {
    const digest = new StateDigest();
    let streams = 0;
    let events = 0n;
    for await (const final of finalStates(this.#engine)) {
      digest.add(final);
      streams += 1;
      events += final.state.eventCount;
      this.#plan.onFinalState?.(final);
    }
    return { streams, events, stateDigest: digest.hex() };
  }

  #facts(pump: Pump): ProgressFacts {
    const { limit, unit } = this.#plan;
    const end = this.#plan.end === undefined ? limit : Math.min(this.#plan.end, limit ?? this.#plan.end);
    const position = pump.next ?? (end === undefined ? undefined : 0);
    const frontier = this.#frontier ?? this.#start.from ?? 0n;
    return {
      events: pump.pushed,
      position: position === undefined ? undefined : Number(position),
      end,
      checkpoints: this.#engine.metrics().checkpoints.stored,
      durableLag: position === undefined ? undefined : Math.max(0, Number(position) - Number(frontier)),
      unit,
    };
  }

  #say(restored: RunnableEngine['receipt']['streams']): void {
    const { stderr } = this.#ports.terminal;
    const { name } = this.#plan.source;
    if (restored.length === 0) {
      stderr.write(`nothing to restore; reading ${name} from the start\n`);
      return;
    }
    const { from, skipped } = this.#start;
    const where = from === undefined ? 'the start' : `offset ${formatCount(from)}`;
    stderr.write(`restored ${formatCount(restored.length)} streams; reading ${name} on from ${where}\n`);
    if (skipped !== undefined) {
      const [first, last] = [skipped.from, skipped.to - 1n].map(formatCount);
      stderr.write(`offsets ${first} to ${last} are skipped: ${name} no longer has them all\n`);
    }
    for (const { stream, reason } of this.#engine.receipt.lost) {
      stderr.write(`stream ${printable(stream)} begins anew: ${reason}\n`);
    }
    for (const { stream, fellBack, reason } of restored) {
      if (fellBack > 0)
        stderr.write(
          `stream ${printable(stream)} fell back ${fellBack} checkpoints: ${reason ?? 'damage'}\n`,
        );
    }
  }

  #sayNothingToDo(): void {
    const { from, skipped } = this.#start;
    const position =
      from === undefined || skipped !== undefined
        ? ''
        : `: everything below offset ${formatCount(from)} is applied and durable`;
    this.#ports.terminal.stderr.write(`nothing to do${position}\n`);
  }
}
