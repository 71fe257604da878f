/**
 * Puts the parts of an engine together: what the shards publish goes to who is concerned, and what is due goes on from
 * there. Main thread only. Nothing runs yet when it returns.
 */
import type { EventEmitter } from 'node:events';
import { systemClock } from '../clock.ts';
import { CentralStore } from '../store/central-store.ts';
import type { StoredFrame } from '../store/stored-frame.ts';
import { CheckpointRequests } from './checkpoint-requests.ts';
import { CommitPipeline } from './commit-pipeline.ts';
import { CompletionReader, type CompletionSink } from './completion-reader.ts';
import { Durability } from './durability.ts';
import type { EngineState } from './engine-state.ts';
import { Forgets } from './forgets.ts';
import { FullStore } from './full-store.ts';
import { Ingest } from './ingest.ts';
import { MainLoop } from './main-loop.ts';
import { type EngineEvents, emitSafely } from './metrics.ts';
import type { ResolvedOptions } from './options.ts';
import { Quarantine } from './quarantine.ts';
import type { ShardHandle } from './shard-handle.ts';
import { partsOf, type Startup } from './startup.ts';
import { StreamReports } from './stream-reports.ts';
import { Supervisor } from './supervisor.ts';
import { Waits } from './waits.ts';

export interface EngineParts {
  readonly central: CentralStore;
  readonly commits: CommitPipeline | undefined;
  readonly ingest: Ingest;
  readonly forgets: Forgets;
  readonly full: FullStore;
  readonly quarantine: Quarantine;
  readonly waits: Waits;
  readonly reports: StreamReports;
  readonly loop: MainLoop;
  readonly supervisor: Supervisor;
}

export interface EngineHooks {
  readonly engine: EventEmitter<EngineEvents>;
  readonly state: EngineState;
  /** A shard has taken over, and the supervisor knows. */
  readonly onReady: () => void;
  /** The engine cannot go on. */
  readonly onError: (error: unknown) => void;
}

export function wireEngine(options: ResolvedOptions, startup: Startup, hooks: EngineHooks): EngineParts {
  const { engine, onError, onReady, state } = hooks;
  const { connection, frames, isTransient, memory, receipt, router, shards } = startup;
  const durability = new Durability();
  const forgets = new Forgets();
  const central = new CentralStore({
    shards: shards.length,
    perStream: options.perStream,
    isDurable: connection !== undefined,
    release: (frame) => shardOf(frame, shards).returnFrame(frame.address, frame.bytes),
  });
  for (const frame of frames) {
    if (isTransient[frame.stream.shard] !== true) central.addDurable(frame);
  }
  connection?.onRestart((restart) => emitSafely(engine, 'restart', restart));
  const quarantine: Quarantine = new Quarantine({
    memory,
    router,
    durability,
    bytesMax: options.quarantineBytes,
    onDeadLetter: options.onDeadLetter,
    onQuarantine: (event) => emitSafely(engine, 'quarantine', event),
    resume: (stream, take, givenUp, onDurable) => waits.untilResumed(stream, take, givenUp, onDurable),
    tellDelivered: (stream, sequence) => waits.tellDelivered(stream, sequence),
    onError,
  });
  const hasStore = connection !== undefined;
  const reports = new StreamReports({ engine, central, durability, forgets, quarantine, hasStore });
  const full = new FullStore({
    timeoutMs: options.storeFullTimeoutMs,
    onBegin: () => queueMicrotask(() => emitSafely(engine, 'pressure', { shard: undefined, what: 'store' })),
    onLate: (reason, before) => waits.failLate(reason, before),
  });
  const commits =
    connection === undefined
      ? undefined
      : new CommitPipeline(
          {
            memory,
            store: connection.store,
            central,
            generation: receipt.generation,
            clock: systemClock,
            storeFullTimeoutMs: options.storeFullTimeoutMs,
            isAwaited: () =>
              durability.isAwaited || shards.some(({ memoryRequest }) => memoryRequest !== undefined),
            sources: () => router.sources(),
            onDurable: (durable, through) => {
              reports.onDurable(durable, through);
              loop.serveMemory();
            },
            onForgotten: (streams) => reports.onForgottenInStore(streams),
            onFrontier: (source, offset) => emitSafely(engine, 'frontier', { source, offset }),
            onRefused: (error) => {
              full.onRefused(error);
              // What newer frames have replaced may leave.
              loop.serveMemory();
            },
            onRoom: () => full.end(),
            onError,
          },
          receipt.positions,
        );
  const requests = new CheckpointRequests(shards);
  const sink: CompletionSink = {
    onReady(shard) {
      supervisor.onReady(shard);
      onReady();
    },
    onStored: (frame, stream) => reports.onStored(frame, stream),
    onCovered: (stream, seen) => reports.onCovered(stream, seen),
    onForgotten: (stream, lows) => reports.onForgotten(stream, lows),
    onFault: (shard, entry) => quarantine.onFault(shard, entry),
    onCheckpointed: (shard, request) => requests.onAnswer(shard, request),
  };
  const completions = new CompletionReader(memory, { router, shards: shards.length, sink });
  const supervisor: Supervisor = new Supervisor({
    memory,
    router,
    central,
    store: connection?.store,
    parts: partsOf(startup, options),
    completions,
    attemptsMax: options.maxAttempts,
    onPoison: options.onPoison,
    isAlive: () => state.phase === 'open' || state.phase === 'closing',
    onRestart: (restart) => emitSafely(engine, 'restart', restart),
    onError,
  });
  const ingest = new Ingest({
    memory,
    router,
    shards,
    onFull: (shard, bytes) => loop.onFull(shard, bytes),
    holdOut: (aside, event) => quarantine.holdOut(aside, event),
    defer: (callback) => void setImmediate(callback),
  });
  const waits: Waits = new Waits({ state, ingest, requests, durability, forgets, central, commits });
  const loop: MainLoop = new MainLoop(memory, {
    shards,
    completions,
    central,
    commits,
    ingest,
    // Later: a listener that pushes must come behind the event that is being accepted.
    onPressure: (shard, what) => queueMicrotask(() => emitSafely(engine, 'pressure', { shard, what })),
  });
  return { central, commits, ingest, forgets, full, quarantine, waits, reports, loop, supervisor };
}

function shardOf(frame: StoredFrame, shards: readonly ShardHandle[]): ShardHandle {
  return shards[frame.stream.shard] as ShardHandle;
}
