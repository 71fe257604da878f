/**
 * The engine: what a service embeds. Main thread only. It routes events to shards, keeps the index of
 * what the shards have stored, has it made durable, and tells who waits. It handles descriptors of
 * states, never their bytes; `latest` is the one exception, on the caller's behalf.
 *
 * Life: opening → open → closing → closed, and from each of the first three → failed. Whatever is
 * pending when an engine fails or closes is settled then; nothing waits for ever.
 */
import { EventEmitter } from 'node:events';
import type { Writable } from 'node:stream';
import type { CheckpointState } from '../checkpoint/state.ts';
import { systemClock } from '../clock.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { viewFrameAt } from '../memory/frame-view.ts';
import type { RecoveryReceipt } from '../recovery/receipt.ts';
import { CentralStore } from '../store/central-store.ts';
import type { StoredFrame } from '../store/stored-frame.ts';
import { type BatchLimits, checkBatch, checkSingle } from './batch-checks.ts';
import { CheckpointRequests } from './checkpoint-requests.ts';
import { type CloseOptions, closedLate, closedWhileFull, closeWithin, release } from './closing.ts';
import { CommitPipeline, type CommitPorts } from './commit-pipeline.ts';
import { CompletionReader } from './completion-reader.ts';
import { withDeadline } from './deadline.ts';
import { Durability } from './durability.ts';
import { EngineState } from './engine-state.ts';
import type { Event, PushOptions } from './event.ts';
import { checkPushOptions } from './event-checks.ts';
import { Forgets } from './forgets.ts';
import { FullStore, isStoreFull } from './full-store.ts';
import { Ingest } from './ingest.ts';
import { MainLoop } from './main-loop.ts';
import { type EngineEvents, type EngineMetrics, emitSafely, sumMetrics } from './metrics.ts';
import { type EngineOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import type { Router } from './router.ts';
import type { ShardHandle } from './shard-handle.ts';
import { partsOf, prepare, type Startup, startShards, startTimedOut } from './startup.ts';
import type { StoreConnection } from './store-connection.ts';
import { StreamReports } from './stream-reports.ts';
import { Supervisor } from './supervisor.ts';
import { Waits } from './waits.ts';
import { type Watchdog, watchOperators } from './watchdog.ts';
import { writableOver } from './writable.ts';

const ACCEPTED: Promise<void> = Promise.resolve();

export class CheckpointEngine extends EventEmitter<EngineEvents> implements AsyncDisposable {
  /** What was restored when this engine opened. */
  readonly receipt: RecoveryReceipt;
  readonly generation: bigint;
  readonly #options: ResolvedOptions;
  readonly #memory: EngineMemory;
  readonly #router: Router;
  readonly #shards: readonly ShardHandle[];
  readonly #connection: StoreConnection | undefined;
  readonly #central: CentralStore;
  readonly #commits: CommitPipeline | undefined;
  readonly #ingest: Ingest;
  readonly #durability = new Durability();
  readonly #forgets = new Forgets();
  readonly #full: FullStore;
  readonly #waits: Waits;
  readonly #reports: StreamReports;
  readonly #state = new EngineState();
  readonly #loop: MainLoop;
  readonly #supervisor: Supervisor;
  readonly #limits: BatchLimits;
  #closed: Promise<void> | undefined;
  #released: Promise<void> | undefined;
  #watchdog: Watchdog | undefined;
  #readyWaiter: { resolve: () => void; reject: (error: Error) => void } | undefined;

  /**
   * Opens an engine: takes the directory's lock, restores every stream, starts the shards.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT, ERR_TIDEMARK_UNSUPPORTED, ERR_TIDEMARK_DIRECTORY_LOCKED,
   * ERR_TIDEMARK_NOT_A_STORE, ERR_TIDEMARK_OPERATORS_MODULE, ERR_TIDEMARK_WORKER_LOAD,
   * ERR_TIDEMARK_STATE_VERSION, ERR_TIDEMARK_UNCLAIMED_STATE, ERR_TIDEMARK_MEMORY_FULL
   */
  static async open(options: EngineOptions): Promise<CheckpointEngine> {
    const resolved = resolveOptions(options);
    const startup = await prepare(resolved);
    const engine = new CheckpointEngine(resolved, startup);
    await engine.#start(startup);
    return engine;
  }

  private constructor(options: ResolvedOptions, startup: Startup) {
    super();
    this.#options = options;
    this.#memory = startup.memory;
    this.#router = startup.router;
    this.#shards = startup.shards;
    this.#connection = startup.connection;
    this.receipt = startup.receipt;
    this.generation = startup.receipt.generation;
    this.#limits = {
      recordBytesMax: (startup.shards[0] as ShardHandle).ring.recordBytesMax,
      maxStreams: options.maxStreams,
      maxSources: options.maxSources,
    };
    this.#central = new CentralStore({
      shards: startup.shards.length,
      perStream: options.perStream,
      isDurable: startup.connection !== undefined,
      release: (frame) => this.#shardOf(frame).returnFrame(frame.address, frame.bytes),
    });
    for (const frame of startup.frames) {
      if (startup.isTransient[frame.stream.shard] !== true) this.#central.addDurable(frame);
    }
    this.#reports = new StreamReports({
      engine: this,
      central: this.#central,
      durability: this.#durability,
      forgets: this.#forgets,
      hasStore: startup.connection !== undefined,
    });
    this.#full = new FullStore({
      timeoutMs: options.storeFullTimeoutMs,
      onBegin: () => queueMicrotask(() => emitSafely(this, 'pressure', { shard: undefined, what: 'store' })),
      onLate: (reason, before) => this.#waits.failLate(reason, before),
    });
    this.#commits = this.#makePipeline();
    const requests = new CheckpointRequests(startup.shards);
    const completions = new CompletionReader(startup.memory, {
      router: startup.router,
      shards: startup.shards.length,
      sink: {
        onReady: (shard) => this.#onReady(shard),
        onStored: (frame, stream) => this.#reports.onStored(frame, stream),
        onCover: (frame) => this.#central.addCover(frame),
        onCovered: (stream, seen) => this.#reports.onCovered(stream, seen),
        onForgotten: (stream, lows) => this.#reports.onForgotten(stream, lows),
        onCheckpointed: (shard, request) => requests.onAnswer(shard, request),
      },
    });
    this.#supervisor = new Supervisor({
      memory: startup.memory,
      router: startup.router,
      central: this.#central,
      store: startup.connection?.store,
      parts: partsOf(startup, options),
      completions,
      attemptsMax: options.maxAttempts,
      isAlive: () => this.#state.phase === 'open' || this.#state.phase === 'closing',
      onRestart: (restart) => emitSafely(this, 'restart', restart),
      onError: (error) => this.#fail(error),
    });
    this.#ingest = new Ingest({
      memory: startup.memory,
      router: startup.router,
      shards: startup.shards,
      onFull: (shard, bytes) => this.#loop.onFull(shard, bytes),
      defer: (callback) => void setImmediate(callback),
    });
    this.#waits = new Waits({
      state: this.#state,
      ingest: this.#ingest,
      requests,
      durability: this.#durability,
      forgets: this.#forgets,
      central: this.#central,
      commits: this.#commits,
    });
    this.#loop = new MainLoop(startup.memory, {
      shards: startup.shards,
      completions,
      central: this.#central,
      commits: this.#commits,
      ingest: this.#ingest,
      // Later: a listener that pushes must come behind the event that is being accepted.
      onPressure: (shard, what) => queueMicrotask(() => emitSafely(this, 'pressure', { shard, what })),
    });
  }

  /**
   * Hands events over; resolves when they are accepted, in call order, or durable with
   * `{ until: 'durable' }`. An array is checked whole before its first event is accepted. If the engine
   * fails midway, the rejection's `accepted` says how many of its events had been accepted.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT, ERR_TIDEMARK_PAYLOAD_TOO_LARGE (nothing was accepted);
   * ERR_TIDEMARK_STORE_FULL, after `storeFullTimeoutMs`: until durable, though the events are accepted, and when
   * their shard's memory is full of what the store has no room for; ERR_TIDEMARK_CLOSED; and what the engine failed with
   */
  push(events: Event | readonly Event[], options?: PushOptions): Promise<void> {
    try {
      this.#state.requireOpen();
      const isDurable = checkPushOptions(options, this.#connection !== undefined);
      if (Array.isArray(events)) {
        const streams = checkBatch(events, this.#router, this.#limits);
        return this.#waits.untilAccepted({ events, streams }, isDurable);
      }
      const event = events as Event;
      checkSingle(event, this.#router, this.#limits);
      if (isDurable || this.#ingest.isTurnOver || !this.#ingest.tryAccept(event, false)) {
        return this.#waits.untilAccepted({ events: [event], streams: [] }, isDurable);
      }
      return ACCEPTED;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Hands an event over if there is room right now; false if there is not, or if pushes wait.
   * @throws as `push`, but at once
   */
  tryPush(event: Event): boolean {
    this.#state.requireOpen();
    checkSingle(event, this.#router, this.#limits);
    return this.#ingest.tryAccept(event, false);
  }

  /**
   * Checkpoints all streams, or one, with everything pushed before; durable when it resolves (memory
   * only: stored), or forgotten. Streams without events since their last checkpoint are left alone.
   * @throws ERR_TIDEMARK_NOT_FOUND for a stream that never had an event; ERR_TIDEMARK_STORE_FULL, after
   * `storeFullTimeoutMs`; ERR_TIDEMARK_CLOSED; and what the engine failed with
   */
  async checkpoint(stream?: string): Promise<void> {
    this.#state.requireOpen();
    if (stream === undefined) return this.#waits.untilAllCheckpointed();
    return this.#waits.untilCheckpointed(this.#router.requireStream(stream));
  }

  /**
   * Ends a stream: once what was pushed before is through, its state and all of its checkpoints are given up, and it
   * resolves when that is durable. From the call on, its name is that of a new stream, with rules of its own for
   * sequences. Who waits for events or checkpoints of the old one need wait no longer: that resolves, too.
   * @throws ERR_TIDEMARK_NOT_FOUND for a stream that never had an event; ERR_TIDEMARK_STORE_FULL, after
   * `storeFullTimeoutMs`, when it is forgotten only later; ERR_TIDEMARK_CLOSED; and what the engine failed with
   */
  async forget(stream: string): Promise<void> {
    this.#state.requireOpen();
    const routed = this.#router.requireStream(stream);
    // In the same turn: whatever is pushed next under the name is checked as an event of a new stream, and queued
    // behind the request.
    this.#router.detach(routed);
    return this.#waits.untilForgotten(routed);
  }

  /** A verified copy of the newest checkpoint of a stream. @throws ERR_TIDEMARK_CLOSED; and what the engine failed with */
  async latest(stream: string): Promise<CheckpointState | undefined> {
    this.#state.requireOpen();
    const routed = this.#router.stream(stream);
    const frame = routed?.newest;
    if (frame !== undefined) return viewFrameAt(this.#memory, frame.address, frame.bytes).toState();
    if (this.#forgets.isUnderWay(stream)) return undefined;
    const view = await this.#connection?.store.read(stream);
    return view?.toState();
  }

  /** The first offset of `source` that is still to be read; undefined: from the start. */
  position(source: string): bigint | undefined {
    return this.#router.source(source)?.position;
  }

  /** The names of all streams that have events, restored ones included. */
  *streams(): IterableIterator<string> {
    for (const stream of this.#router.streams()) if (stream.hasEvents) yield stream.name;
  }

  /** An object-mode Writable; ending it leaves the engine open. An event must not change until `write` has called back. */
  writable(): Writable {
    return writableOver(this);
  }

  metrics(): EngineMetrics {
    return sumMetrics({
      generation: this.generation,
      streams: this.#router.streamCount,
      shards: this.#shards.map((shard) => shard.metrics()),
      accepted: this.#ingest.accepted,
      stored: this.#reports.stored,
      durable: this.#reports.durable,
      memoryBytes: this.#memory.buffer.byteLength,
      frames: { count: this.#central.frameCount, bytes: this.#central.frameBytes },
      commits: this.#commits?.commits ?? 0,
      refusals: this.#full.refusals,
    });
  }

  /**
   * Accepts what is being pushed, takes final checkpoints, makes them durable and ends the threads. With `deadlineMs`,
   * what is not durable by then is given up. Later calls get the same outcome, and may bring it nearer by a deadline.
   * @throws ERR_TIDEMARK_NOT_DURABLE at the deadline, and ERR_TIDEMARK_STORE_FULL after `storeFullTimeoutMs`, whose
   * `notDurable` lists the streams; what the engine failed with; all once everything is released.
   * ERR_TIDEMARK_INVALID_ARGUMENT, with nothing closed
   */
  close(options?: CloseOptions): Promise<void> {
    const begin = (): Promise<void> => {
      this.#closed ??= this.#close();
      return this.#closed;
    };
    return closeWithin(options, begin, (ms) => {
      // What is being released has all been made durable.
      if (this.#released === undefined) this.#fail(closedLate(ms, this.#router.streams()));
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(startup: Startup): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.#readyWaiter = { resolve, reject };
    });
    this.#loop.plan();
    startShards(startup, partsOf(startup, this.#options), (shard, end) => this.#supervisor.onEnd(shard, end));
    const { startTimeoutMs, operatorTimeoutMs } = this.#options;
    try {
      await withDeadline(ready, startTimeoutMs, () => startTimedOut(startTimeoutMs));
      // A shard may have ended since the last one was ready.
      this.#state.requireAlive();
    } catch (error) {
      this.#fail(error);
      await this.#release(false);
      throw error;
    }
    this.#state.phase = 'open';
    this.#watchdog = watchOperators(this.#shards, this.#router, {
      timeoutMs: operatorTimeoutMs,
      onStuck: (shard, error) => this.#supervisor.onStuck(shard, error),
    });
  }

  async #close(): Promise<void> {
    if (this.#state.phase === 'open') {
      this.#state.phase = 'closing';
      try {
        await this.#waits.untilAllCheckpointed();
      } catch (error) {
        this.#fail(isStoreFull(error) ? closedWhileFull(error, this.#router.streams()) : error);
      }
    }
    await this.#release(this.#state.phase === 'closing');
    this.#state.requireAlive();
    this.#state.phase = 'closed';
  }

  /** Ends threads and store; orderly or at once. */
  #release(isOrderly: boolean): Promise<void> {
    this.#commits?.stop();
    this.#full.end();
    const { storeTimeoutMs: storeMs } = this.#options;
    const onError = (error: unknown): void => this.#fail(error);
    const parts = { shards: this.#shards, connection: this.#connection, storeMs, onError };
    this.#released ??= release(parts, isOrderly).then(() => {
      this.#loop.stop();
      this.#watchdog?.stop();
    });
    return this.#released;
  }

  #fail(error: unknown): void {
    if (!this.#state.fail(error)) return;
    this.#loop.stop();
    this.#watchdog?.stop();
    this.#waits.failAll();
    this.#readyWaiter?.reject(this.#state.rejection());
    void this.#release(false);
    if (this.listenerCount('error') > 0) emitSafely(this, 'error', this.#state.rejection());
  }

  #makePipeline(): CommitPipeline | undefined {
    if (this.#connection === undefined) return undefined;
    const ports: CommitPorts = {
      memory: this.#memory,
      store: this.#connection.store,
      central: this.#central,
      generation: this.generation,
      clock: systemClock,
      storeFullTimeoutMs: this.#options.storeFullTimeoutMs,
      isAwaited: () =>
        this.#durability.isAwaited || this.#shards.some(({ memoryRequest }) => memoryRequest !== undefined),
      sources: () => this.#router.sources(),
      onDurable: (frames, through) => {
        this.#reports.onDurable(frames, through);
        this.#loop.serveMemory();
      },
      onForgotten: (streams) => this.#reports.onForgottenInStore(streams),
      onFrontier: (source, offset) => emitSafely(this, 'frontier', { source, offset }),
      onRefused: (error) => {
        this.#full.onRefused(error);
        // What newer frames have replaced may leave.
        this.#loop.serveMemory();
      },
      onRoom: () => this.#full.end(),
      onError: (error) => this.#fail(error),
    };
    return new CommitPipeline(ports, this.receipt.positions);
  }

  #onReady(shard: ShardHandle): void {
    this.#supervisor.onReady(shard);
    if (this.#shards.every((each) => each.isReady)) this.#readyWaiter?.resolve();
  }

  #shardOf(frame: StoredFrame): ShardHandle {
    return this.#shards[frame.stream.shard] as ShardHandle;
  }
}
