/**
 * From the central store to the durable one: group commit. One commit is under way at a time; whatever
 * has come to wait meanwhile goes out with the next. Every commit carries the frontiers that hold once
 * its frames are durable, so that offsets and states cannot diverge.
 *
 * Streams that are over are forgotten in between: never while a commit is under way, which might bring a stream back,
 * nor a commit meanwhile, whose frames of a new stream of the name might be forgotten with the old one. Where both
 * wait they take turns, so that neither keeps the other waiting for ever.
 *
 * A store without room does not end this: the batch that it refuses is tried again (`PendingBatch`), and nothing else is
 * committed before it. Who has waited for long is told so.
 */
import type { Clock } from '../clock.ts';
import { TidemarkError } from '../error.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { CentralStore, IndexedStream, StoredFrame } from '../store/central-store.ts';
import type { CheckpointStore } from '../store/contract.ts';
import { computeFrontiers, type SourceProgress } from './frontiers.ts';
import { PendingBatch } from './pending-batch.ts';

/** Handing over a frame and settling it take the main thread about a microsecond. */
const BATCH_FRAMES_MAX = 256;
/** After a commit that took so many milliseconds the next one takes more: a slow disk must not be slow for each. */
const SLOW_COMMIT_MS = 5;
const SLOW_BATCH_FRAMES_MAX = 1_024;
const BATCH_BYTES_MAX = 2 ** 25;
/** Streams that the store is asked to forget at a time. */
const FORGOTTEN_MAX = 64;
/**
 * While nobody waits for it, a commit begins so many milliseconds after the one before: frames of that time go out
 * together. Each commit costs the main thread and the store writer more than a frame in it does. A frame after a
 * pause is committed at once, and so is as much as this.
 */
const COMMIT_INTERVAL_MS = 10;
const PROMPT_FRAMES = 256;
const PROMPT_BYTES = 2 ** 20;
/** After so many idle milliseconds, frontiers that rose without a frame are committed on their own. */
const FRONTIER_DELAY_MS = 20;

export interface CommitPorts {
  readonly memory: EngineMemory;
  readonly store: CheckpointStore;
  readonly central: CentralStore;
  readonly generation: bigint;
  readonly clock: Clock;
  /** Whether somebody waits for frames to become durable. */
  readonly isAwaited: () => boolean;
  readonly sources: () => Iterable<SourceProgress>;
  readonly onDurable: (frames: readonly StoredFrame[], through: number) => void;
  /** The store has forgotten them, and nothing of a commit is under way. */
  readonly onForgotten: (streams: readonly IndexedStream[]) => void;
  readonly onFrontier: (source: string, offset: bigint) => void;
  readonly onError: (error: unknown) => void;
  /** The store has no room; told once until it has. */
  readonly onFull: () => void;
  /** It has had none for `fullTimeoutMs`: who waits for something to become durable is to wait no longer. */
  readonly onRefused: (error: TidemarkError) => void;
  readonly fullTimeoutMs: number;
}

export class CommitPipeline {
  committed: ReadonlyMap<string, bigint>;
  commits = 0;
  /** Commits that the store had no room for. */
  refused = 0;
  readonly #ports: CommitPorts;
  /** A commit is under way, or streams are being forgotten. */
  #isBusy = false;
  #hasJustForgotten = false;
  #isStopped = false;
  #frontierTimer: NodeJS.Timeout | undefined;
  #pauseTimer: NodeJS.Timeout | undefined;
  /** What the store has refused, and gets again when the timer has run out, or at once if there is none. */
  #again: PendingBatch | undefined;
  #againTimer: NodeJS.Timeout | undefined;
  #fullSince: number | undefined;
  /** Batches taken, and when the last commit began. */
  #begun = 0;
  #begunAt = Number.NEGATIVE_INFINITY;
  /** Milliseconds that the last commit took. */
  #tookMs = 0;
  /** Who waits until the batch of that number is durable. */
  #waiters: {
    readonly commit: number;
    readonly resolve: () => void;
    readonly reject: (error: Error) => void;
  }[] = [];

  constructor(ports: CommitPorts, restored: ReadonlyMap<string, bigint>) {
    this.#ports = ports;
    this.committed = new Map(restored);
  }

  /**
   * Called whenever shards have published something, or somebody begins to wait. Starts a commit if frames wait and
   * none is under way, now or a little later, and forgets streams now; without frames looks at the frontiers later,
   * which may have risen since the last commit ended.
   */
  kick(): void {
    if (this.#isBusy || this.#isStopped) return;
    if (this.#again !== undefined) {
      if (this.#againTimer === undefined || this.#ports.central.hasForgotten) this.#begin();
      return;
    }
    if (this.#ports.central.isIdle) {
      this.#frontierTimer ??= setTimeout(() => this.#commitLateFrontiers(), FRONTIER_DELAY_MS).unref();
      return;
    }
    const pauseMs = this.#pauseMs();
    if (pauseMs <= 0) this.#begin();
    else this.#pauseTimer ??= setTimeout(() => this.#endPause(), pauseMs).unref();
  }

  /** What a commit of the frames that wait may be put off by. */
  #pauseMs(): number {
    const { central, clock, isAwaited } = this.#ports;
    // Each is awaited.
    if (central.hasForgotten) return 0;
    if (central.waitingFrames >= PROMPT_FRAMES || central.waitingBytes >= PROMPT_BYTES) return 0;
    if (this.#waiters.length > 0 || isAwaited()) return 0;
    return this.#begunAt + COMMIT_INTERVAL_MS - clock.now();
  }

  #endPause(): void {
    this.#pauseTimer = undefined;
    if (!this.#isBusy && !this.#isStopped && !this.#ports.central.isIdle) this.#begin();
  }

  /**
   * Resolves once the frontiers that hold now are durable, or no commit will begin any more.
   * @throws ERR_TIDEMARK_STORE_FULL
   */
  commitFrontiers(): Promise<void> {
    if (this.#isStopped || !this.#hasNewFrontiers()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      // A batch under way carries the frontiers of when it was taken.
      this.#waiters.push({ commit: this.#begun + 1, resolve, reject });
      if (!this.#isBusy && this.#again === undefined) this.#begin();
    });
  }

  /** No commit begins any more. */
  stop(): void {
    this.#isStopped = true;
    this.#clearTimers();
    this.#release(Number.POSITIVE_INFINITY);
  }

  #begin(): void {
    this.#clearTimers();
    this.#isBusy = true;
    const { central } = this.#ports;
    if (central.hasForgotten && (central.isForgottenNext || !this.#hasJustForgotten)) this.#forget();
    else this.#commit();
  }

  #forget(): void {
    const { central, store } = this.#ports;
    this.#hasJustForgotten = true;
    const streams = central.takeForgotten(FORGOTTEN_MAX);
    // One stream after the other may have had the same name.
    const names = new Set(streams.map(({ name }) => name));
    const forgotten = [...names].map((name) => settled(() => store.forget(name)));
    Promise.all(forgotten).then(() => this.#onForgotten(streams), this.#onFailed);
  }

  #onForgotten(streams: readonly IndexedStream[]): void {
    this.#isBusy = false;
    const { central, onForgotten } = this.#ports;
    central.settle(this.#again?.drop(streams) ?? []);
    central.settleForgotten(streams);
    onForgotten(streams);
    this.#goOn();
  }

  #commit(): void {
    this.#hasJustForgotten = false;
    const { clock, memory, store, generation } = this.#ports;
    this.#begunAt = clock.now();
    const batch = this.#again ?? this.#takeBatch();
    const frames = batch.part;
    const frontiers = batch.isLastPart ? batch.frontiers : this.committed;
    const refs = frames.map((frame) => ({
      stream: frame.stream.name,
      sequence: frame.sequence,
      bytes: memory.u8.subarray(frame.address, frame.address + frame.bytes),
    }));
    const commit = settled(() => store.commit({ frames: refs, frontiers, generation }));
    const onDone = (): void => (batch.isLastPart ? this.#onCommitted(batch) : this.#onPartCommitted(batch));
    commit.then(onDone, (error: unknown) => this.#onNotCommitted(batch, error));
  }

  #takeBatch(): PendingBatch {
    const framesMax = this.#tookMs < SLOW_COMMIT_MS ? BATCH_FRAMES_MAX : SLOW_BATCH_FRAMES_MAX;
    const limits = { frames: framesMax, bytes: BATCH_BYTES_MAX };
    const { frames, through } = this.#ports.central.takeBatch(limits);
    this.#begun++;
    return new PendingBatch(frames, through, this.#frontiers());
  }

  #onNotCommitted(batch: PendingBatch, error: unknown): void {
    if (!isFull(error)) {
      this.#onFailed(error);
      return;
    }
    this.#isBusy = false;
    if (this.#isStopped) return;
    this.refused++;
    this.#again = batch;
    const { clock, onFull, onRefused, fullTimeoutMs } = this.#ports;
    const now = clock.now();
    if (this.#fullSince === undefined) {
      this.#fullSince = now;
      onFull();
    } else if (now - this.#fullSince >= fullTimeoutMs) {
      this.#fullSince = now;
      const reason = fullFor(fullTimeoutMs, error);
      const waiters = this.#waiters;
      this.#waiters = [];
      for (const waiter of waiters) waiter.reject(reason);
      onRefused(reason);
    }
    const pauseMs = batch.onRefused();
    if (pauseMs > 0) this.#againTimer = setTimeout(() => this.#tryAgain(), pauseMs).unref();
    this.#goOn();
  }

  #tryAgain(): void {
    this.#againTimer = undefined;
    if (!this.#isBusy && !this.#isStopped) this.#begin();
  }

  #onPartCommitted(batch: PendingBatch): void {
    this.#isBusy = false;
    this.commits++;
    const frames = batch.part;
    batch.onCommitted();
    this.#ports.central.settle(frames);
    // Of the places in the queue none is through before all are.
    this.#ports.onDurable(frames, 0);
    this.#goOn();
  }

  readonly #onFailed = (error: unknown): void => {
    this.#isBusy = false;
    if (!this.#isStopped) this.#ports.onError(error);
  };

  #onCommitted(batch: PendingBatch): void {
    this.#isBusy = false;
    this.#again = undefined;
    this.#fullSince = undefined;
    this.#tookMs = this.#ports.clock.now() - this.#begunAt;
    this.commits++;
    const before = this.committed;
    const { part: frames, through, frontiers } = batch;
    this.committed = frontiers;
    this.#ports.central.settle(frames);
    this.#ports.onDurable(frames, through);
    for (const [source, offset] of frontiers) {
      if (before.get(source) !== offset) this.#ports.onFrontier(source, offset);
    }
    this.#release(this.#begun);
    this.#goOn();
  }

  #goOn(): void {
    this.kick();
    if (this.#isBusy || this.#isStopped || this.#again !== undefined) return;
    if (this.#waiters.length > 0) this.#begin();
  }

  #commitLateFrontiers(): void {
    this.#frontierTimer = undefined;
    if (!this.#isBusy && this.#hasRisenFrontiers()) this.#begin();
  }

  #clearTimers(): void {
    clearTimeout(this.#frontierTimer);
    clearTimeout(this.#pauseTimer);
    clearTimeout(this.#againTimer);
    this.#frontierTimer = undefined;
    this.#pauseTimer = undefined;
    this.#againTimer = undefined;
  }

  #release(ended: number): void {
    const released = this.#waiters.filter((waiter) => waiter.commit <= ended);
    this.#waiters = this.#waiters.filter((waiter) => waiter.commit > ended);
    for (const waiter of released) waiter.resolve();
  }

  /** Those that hold once everything taken from the central store is durable. */
  #frontiers(): Map<string, bigint> {
    const { central, sources } = this.#ports;
    return computeFrontiers(sources(), central.waitingLows());
  }

  #hasNewFrontiers(): boolean {
    for (const [source, offset] of this.#frontiers()) if (this.committed.get(source) !== offset) return true;
    return false;
  }

  /**
   * A source's first frontier can wait while it is that of its first event: a restart would skip nothing by it, and
   * the frame of the event brings it. It is past that only if the event is durable or was dropped as a duplicate; then
   * no frame may be to come.
   */
  #hasRisenFrontiers(): boolean {
    const now = this.#frontiers();
    for (const { name, firstOffset } of this.#ports.sources()) {
      const before = this.committed.get(name) ?? firstOffset;
      const offset = now.get(name);
      if (before !== undefined && offset !== undefined && offset > before) return true;
    }
    return false;
  }
}

/** That there is no room now; there may be later. */
function isFull(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError && error.code === 'ERR_TIDEMARK_STORE_FULL' && error.retryable;
}

function fullFor(ms: number, cause: TidemarkError): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_STORE_FULL',
    `the store has had no room for ${ms} ms: ${cause.message}`,
    { cause, retryable: true },
  );
}

/** What a call to the store comes to; one of the user's may throw at once, or return nothing. */
function settled(call: () => Promise<void>): Promise<void> {
  try {
    return Promise.resolve(call());
  } catch (error) {
    return Promise.reject(error);
  }
}
