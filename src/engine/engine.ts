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
import type { EngineMemory } from '../memory/engine-memory.ts';
import { viewFrameAt } from '../memory/frame-view.ts';
import type { RecoveryReceipt } from '../recovery/receipt.ts';
import { type BatchLimits, checkBatch, checkSingle } from './batch-checks.ts';
import { type CloseOptions, closedLate, closedWhileFull, closeWithin, release } from './closing.ts';
import { withDeadline } from './deadline.ts';
import { EngineState } from './engine-state.ts';
import type { Event, PushOptions } from './event.ts';
import { checkPushOptions } from './event-checks.ts';
import { isStoreFull } from './full-store.ts';
import { type EngineEvents, type EngineMetrics, emitSafely, sumMetrics } from './metrics.ts';
import { type EngineOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import type { QuarantinedStream } from './quarantine.ts';
import type { Router } from './router.ts';
import type { ShardHandle } from './shard-handle.ts';
import { partsOf, prepare, type Startup, startShards, startTimedOut } from './startup.ts';
import type { StoreConnection } from './store-connection.ts';
import { type Watchdog, watchOperators } from './watchdog.ts';
import { type EngineParts, wireEngine } from './wiring.ts';
import { writableOver } from './writable.ts';

const ACCEPTED: Promise<void> = Promise.resolve();

/** What a checkpoint of all streams could not have. */
export interface CheckpointSummary {
  readonly quarantined: readonly QuarantinedStream[];
}

export class CheckpointEngine extends EventEmitter<EngineEvents> implements AsyncDisposable {
  /** What was restored when this engine opened. */
  readonly receipt: RecoveryReceipt;
  readonly generation: bigint;
  readonly #options: ResolvedOptions;
  readonly #memory: EngineMemory;
  readonly #router: Router;
  readonly #shards: readonly ShardHandle[];
  readonly #connection: StoreConnection | undefined;
  readonly #parts: EngineParts;
  readonly #state = new EngineState();
  readonly #limits: BatchLimits;
  #closed: Promise<CheckpointSummary> | undefined;
  #released: Promise<void> | undefined;
  #watchdog: Watchdog | undefined;
  #readyWaiter: { resolve: () => void; reject: (error: Error) => void } | undefined;

  /**
   * Opens an engine: takes the directory's lock, restores every stream, starts the shards. `signal` can end that.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT, ERR_TIDEMARK_UNSUPPORTED, ERR_TIDEMARK_DIRECTORY_LOCKED,
   * ERR_TIDEMARK_NOT_A_STORE, ERR_TIDEMARK_OPERATORS_MODULE, ERR_TIDEMARK_WORKER_LOAD,
   * ERR_TIDEMARK_STATE_VERSION, ERR_TIDEMARK_UNCLAIMED_STATE, ERR_TIDEMARK_MEMORY_FULL; the reason of `signal`
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
    this.#parts = wireEngine(options, startup, {
      engine: this,
      state: this.#state,
      onReady: () => {
        if (this.#shards.every((shard) => shard.isReady)) this.#readyWaiter?.resolve();
      },
      onError: (error) => this.#fail(error),
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
        return this.#parts.waits.untilAccepted({ events, streams }, isDurable);
      }
      const event = events as Event;
      checkSingle(event, this.#router, this.#limits);
      if (isDurable || this.#parts.ingest.isTurnOver || !this.#parts.ingest.tryAccept(event, false)) {
        return this.#parts.waits.untilAccepted({ events: [event], streams: [] }, isDurable);
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
    return this.#parts.ingest.tryAccept(event, false);
  }

  /**
   * Checkpoints all streams, or one, with everything pushed before; durable when it resolves (memory
   * only: stored), or forgotten. Streams without events since their last checkpoint are left alone. Of a stream in
   * quarantine all is durable that came before; such streams are listed.
   * @throws ERR_TIDEMARK_NOT_FOUND for a stream that never had an event; ERR_TIDEMARK_STORE_FULL, after
   * `storeFullTimeoutMs`; ERR_TIDEMARK_CLOSED; and what the engine failed with
   */
  async checkpoint(stream?: string): Promise<CheckpointSummary> {
    this.#state.requireOpen();
    const { waits } = this.#parts;
    if (stream === undefined) await waits.untilAllCheckpointed();
    else await waits.untilCheckpointed(this.#router.requireStream(stream));
    const quarantined = this.quarantined();
    return {
      quarantined: stream === undefined ? quarantined : quarantined.filter((each) => each.stream === stream),
    };
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
    // In the same turn: what is pushed next under the name is of a new stream, and is queued behind the request.
    this.#router.detach(routed);
    this.#parts.quarantine.onDetached(routed);
    this.#parts.loop.giveUp(routed);
    return this.#parts.waits.untilForgotten(routed);
  }

  /** The streams in quarantine, those among them that were restored as such: why, and what is held out of each. */
  quarantined(): QuarantinedStream[] {
    return this.#parts.quarantine.list();
  }

  /**
   * Ends the quarantine of a stream by trying again: the event at which it was set aside, then those that were held
   * out since, in order. Resolves when they are durable (memory only: stored).
   * @throws ERR_TIDEMARK_QUARANTINED when an event fails again, at which the stream is set aside anew;
   * ERR_TIDEMARK_NEEDS_REPLAY when events were dropped for want of room; ERR_TIDEMARK_NOT_FOUND when it is not in
   * quarantine; as `checkpoint`
   */
  async retry(stream: string): Promise<void> {
    this.#state.requireOpen();
    return this.#parts.quarantine.retry(stream);
  }

  /**
   * As `retry`, but without the event at which the stream was set aside, which is given up. If that was in an earlier life
   * of the directory, it has to come again from its source first.
   * @throws as `retry`
   */
  async skip(stream: string): Promise<void> {
    this.#state.requireOpen();
    return this.#parts.quarantine.skip(stream);
  }

  /**
   * Ends the quarantine of a stream by giving up what is held out: it goes on with what is pushed next. Resolves with the
   * number of events given up, once a crash does not bring the quarantine back.
   * @throws ERR_TIDEMARK_NOT_FOUND when it is not in quarantine; as `checkpoint`
   */
  async drop(stream: string): Promise<number> {
    this.#state.requireOpen();
    return this.#parts.quarantine.drop(stream);
  }

  /** A verified copy of the newest checkpoint of a stream. @throws ERR_TIDEMARK_CLOSED; and what the engine failed with */
  async latest(stream: string): Promise<CheckpointState | undefined> {
    this.#state.requireOpen();
    const routed = this.#router.stream(stream);
    const frame = routed?.newest;
    if (frame !== undefined) return viewFrameAt(this.#memory, frame.address, frame.bytes).toState();
    if (this.#parts.forgets.isUnderWay(stream)) return undefined;
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
      accepted: this.#parts.ingest.accepted,
      stored: this.#parts.reports.stored,
      durable: this.#parts.reports.durable,
      memoryBytes: this.#memory.buffer.byteLength,
      frames: { count: this.#parts.central.frameCount, bytes: this.#parts.central.frameBytes },
      commits: this.#parts.commits?.commits ?? 0,
      refusals: this.#parts.full.refusals,
      skipped: this.#parts.quarantine.skipped,
      quarantined: this.quarantined(),
    });
  }

  /**
   * Accepts what is being pushed, takes final checkpoints, makes them durable and ends the threads. With `deadlineMs`,
   * what is not durable by then is given up. Later calls get the same outcome, and may bring it nearer by a deadline.
   * Lists the streams in quarantine: what is held out of them comes again from their sources, which are read from
   * `position` on by the next engine, and is lost if it has none.
   * @throws ERR_TIDEMARK_NOT_DURABLE at the deadline, and ERR_TIDEMARK_STORE_FULL after `storeFullTimeoutMs`, whose
   * `notDurable` lists the streams; what the engine failed with; all once everything is released.
   * ERR_TIDEMARK_INVALID_ARGUMENT, with nothing closed
   */
  close(options?: CloseOptions): Promise<CheckpointSummary> {
    const begin = (): Promise<CheckpointSummary> => {
      this.#closed ??= this.#close();
      return this.#closed;
    };
    return closeWithin(options, begin, (ms) => {
      // What is being released has all been made durable.
      if (this.#released === undefined) this.#fail(closedLate(ms, this.#router.streams()));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #start(startup: Startup): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.#readyWaiter = { resolve, reject };
    });
    this.#parts.loop.plan();
    startShards(startup, partsOf(startup, this.#options), (shard, end) =>
      this.#parts.supervisor.onEnd(shard, end),
    );
    const { startTimeoutMs, operatorTimeoutMs, signal } = this.#options;
    try {
      await withDeadline(ready, startTimeoutMs, () => startTimedOut(startTimeoutMs), signal);
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
      onStuck: (shard, error) => this.#parts.supervisor.onStuck(shard, error),
    });
  }

  async #close(): Promise<CheckpointSummary> {
    let quarantined: QuarantinedStream[] = [];
    if (this.#state.phase === 'open') {
      this.#state.phase = 'closing';
      try {
        await this.#parts.waits.untilAllCheckpointed();
        quarantined = this.quarantined();
      } catch (error) {
        this.#fail(isStoreFull(error) ? closedWhileFull(error, this.#router.streams()) : error);
      }
    }
    await this.#release(this.#state.phase === 'closing');
    this.#state.requireAlive();
    this.#state.phase = 'closed';
    return { quarantined };
  }

  /** Ends threads and store; orderly or at once. */
  #release(isOrderly: boolean): Promise<void> {
    this.#parts.commits?.stop();
    this.#parts.full.end();
    const { storeTimeoutMs: storeMs } = this.#options;
    const onError = (error: unknown): void => this.#fail(error);
    const parts = { shards: this.#shards, connection: this.#connection, storeMs, onError };
    this.#released ??= release(parts, isOrderly).then(() => {
      this.#parts.loop.stop();
      this.#watchdog?.stop();
    });
    return this.#released;
  }

  #fail(error: unknown): void {
    if (!this.#state.fail(error)) return;
    this.#parts.loop.stop();
    this.#watchdog?.stop();
    this.#parts.waits.failAll();
    this.#readyWaiter?.reject(this.#state.rejection());
    void this.#release(false);
    if (this.listenerCount('error') > 0) emitSafely(this, 'error', this.#state.rejection());
  }
}
