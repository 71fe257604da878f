/**
 * From the central store to the durable one: group commit. One commit is under way at a time; whatever
 * has come to wait meanwhile goes out with the next. Every commit carries the frontiers that hold once
 * its frames are durable, so that offsets and states cannot diverge.
 *
 * Streams that are over are forgotten in between: never while a commit is under way, which might bring a stream back,
 * nor a commit meanwhile, whose frames of a new stream of the name might be forgotten with the old one. Where both
 * wait they take turns, so that neither keeps the other waiting for ever.
 *
 * A store that is full refuses commits. What it refuses waits again, and the pipeline looks for what fits, with pauses;
 * streams are forgotten meanwhile, which makes room.
 */
import type { Clock } from '../clock.ts';
import type { TidemarkError } from '../error.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { CentralStore } from '../store/central-store.ts';
import type { CheckpointStore } from '../store/contract.ts';
import type { IndexedStream, StoredFrame } from '../store/stored-frame.ts';
import { computeFrontiers, type SourceProgress } from './frontiers.ts';
import { isStoreFull } from './full-store.ts';
import { RoomSearch } from './room-search.ts';

/** Handing over a frame and settling it take the main thread about a microsecond. */
const BATCH_FRAMES_MAX = 256;
/** After a commit that took so many milliseconds the next one takes more: a slow disk must not be slow for each. */
const SLOW_COMMIT_MS = 5;
const SLOW_BATCH_FRAMES_MAX = 1_024;
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
  /** How long somebody waits while the store is full. */
  readonly storeFullTimeoutMs: number;
  /** Whether somebody waits for frames to become durable. */
  readonly isAwaited: () => boolean;
  readonly sources: () => Iterable<SourceProgress>;
  readonly onDurable: (frames: readonly StoredFrame[], through: number) => void;
  /** The store has forgotten them, and nothing of a commit is under way. */
  readonly onForgotten: (streams: readonly IndexedStream[]) => void;
  readonly onFrontier: (source: string, offset: bigint) => void;
  /** The store has refused something for want of room. Its frames wait again. */
  readonly onRefused: (error: TidemarkError) => void;
  /** Nothing waits any more that was refused. */
  readonly onRoom: () => void;
  readonly onError: (error: unknown) => void;
}

interface FrontierWaiter {
  readonly commit: number;
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class CommitPipeline {
  committed: Map<string, bigint>;
  commits = 0;
  readonly #ports: CommitPorts;
  /** A commit is under way, or streams are being forgotten. */
  #isBusy = false;
  #hasJustForgotten = false;
  #isStopped = false;
  #frontierTimer: NodeJS.Timeout | undefined;
  #pauseTimer: NodeJS.Timeout | undefined;
  /**
   * The pause is one for want of room: until it ends, only streams are forgotten, and frames tried that are smaller than
   * any that was refused, or nothing happens at all.
   */
  #pause: 'commits' | 'all' | undefined;
  readonly #room: RoomSearch;
  /** Commits begun, and when the last one was. */
  #begun = 0;
  #begunAt = Number.NEGATIVE_INFINITY;
  /** Milliseconds that the last commit took. */
  #tookMs = 0;
  /** Who waits until the commit of that number has ended. */
  #waiters: FrontierWaiter[] = [];

  constructor(ports: CommitPorts, restored: ReadonlyMap<string, bigint>) {
    this.#ports = ports;
    this.#room = new RoomSearch(ports.storeFullTimeoutMs);
    this.committed = new Map(restored);
  }

  /**
   * Called whenever shards have published something, or somebody begins to wait. Starts a commit if frames wait and
   * none is under way, now or a little later, and forgets streams now; without frames looks at the frontiers later,
   * which may have risen since the last commit ended.
   */
  kick(): void {
    if (this.#isBusy || this.#isStopped) return;
    if (this.#pause !== undefined) {
      const { hasForgotten, smallestNewBytes } = this.#ports.central;
      const mayFit = hasForgotten || smallestNewBytes < this.#room.refusedBytes;
      if (this.#pause === 'commits' && mayFit) this.#begin();
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
    // Each is awaited. What was refused has waited long enough.
    if (central.hasForgotten || central.refusedStreams > 0) return 0;
    if (central.waitingFrames >= PROMPT_FRAMES || central.waitingBytes >= PROMPT_BYTES) return 0;
    if (this.#waiters.length > 0 || isAwaited()) return 0;
    return this.#begunAt + COMMIT_INTERVAL_MS - clock.now();
  }

  #endPause(): void {
    this.#pauseTimer = undefined;
    if (!this.#isBusy && !this.#isStopped && !this.#ports.central.isIdle) this.#begin();
  }

  /**
   * Resolves once the frontiers that hold now are durable, or no commit will begin any more. Its caller has waited since
   * `since`.
   */
  commitFrontiers(since: number = this.#ports.clock.now()): Promise<void> {
    if (this.#isStopped || !this.#hasNewFrontiers()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      // A commit under way carries the frontiers of when it began.
      const commit = this.#begun + 1;
      this.#waiters.push({ commit, since, resolve, reject });
      if (!this.#isBusy && this.#pause === undefined) this.#begin();
    });
  }

  /** Rejects who has waited for frontiers since `before`, or longer. */
  failLate(reason: () => Error, before: number): void {
    const late = this.#waiters.filter(({ since }) => since <= before);
    this.#waiters = this.#waiters.filter(({ since }) => since > before);
    for (const { reject } of late) reject(reason());
  }

  /** No commit begins any more, and nobody is told of one that is under way. */
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
    const names = [...new Set(streams.map(({ name }) => name))];
    // All have to have ended before anything else begins, however some of them end.
    const forgotten = Promise.allSettled(names.map((name) => settled(() => store.forget(name))));
    void forgotten.then((outcomes) => this.#onForgets(streams, names, outcomes));
  }

  #onForgets(
    streams: readonly IndexedStream[],
    names: readonly string[],
    outcomes: readonly PromiseSettledResult<void>[],
  ): void {
    this.#isBusy = false;
    const errors = outcomes.map((outcome) =>
      outcome.status === 'rejected' ? { of: outcome.reason as unknown } : undefined,
    );
    const failure = errors.find((error) => error !== undefined && !isStoreFull(error.of));
    if (failure !== undefined) {
      this.#fail(failure.of);
      return;
    }
    const refused = new Set(names.filter((_, at) => errors[at] !== undefined));
    const gone = streams.filter(({ name }) => !refused.has(name));
    if (gone.length > 0) this.#onForgotten(gone);
    if (refused.size > 0) {
      this.#ports.central.putBackForgotten(streams.filter(({ name }) => refused.has(name)));
      this.#refuse(errors.find((error) => error !== undefined)?.of, { ms: this.#room.pauseMs(), of: 'all' });
      return;
    }
    if (this.#ports.central.refusedStreams === 0) this.#endRefusals();
    this.#goOn();
  }

  #onForgotten(streams: readonly IndexedStream[]): void {
    this.#ports.central.settleForgotten(streams);
    this.#room.onRoomMade();
    this.#ports.onForgotten(streams);
  }

  #endRefusals(): void {
    this.#room.end();
    this.#ports.onRoom();
  }

  #commit(): void {
    this.#hasJustForgotten = false;
    const { central, clock, memory, store, generation } = this.#ports;
    this.#begunAt = clock.now();
    const framesMax = this.#tookMs < SLOW_COMMIT_MS ? BATCH_FRAMES_MAX : SLOW_BATCH_FRAMES_MAX;
    const { frames, through } = central.takeBatch({ frames: framesMax, bytes: this.#room.bytesMax });
    const frontiers = this.#frontiers();
    this.#begun++;
    const refs = frames.map((frame) => ({
      stream: frame.stream.name,
      sequence: frame.sequence,
      bytes: memory.u8.subarray(frame.address, frame.address + frame.bytes),
    }));
    const commit = settled(() => store.commit({ frames: refs, frontiers, generation }));
    commit.then(
      () => this.#onCommitted(frames, through, frontiers),
      (error: unknown) => this.#onNotCommitted(frames, error),
    );
  }

  #onNotCommitted(frames: readonly StoredFrame[], error: unknown): void {
    this.#isBusy = false;
    if (!isStoreFull(error)) {
      this.#fail(error);
      return;
    }
    this.#ports.central.putBack(frames);
    this.#refuse(error, { ms: this.#room.onRefused(frames.length, bytesOf(frames)), of: 'commits' });
  }

  #fail(error: unknown): void {
    if (!this.#isStopped) this.#ports.onError(error);
  }

  /** Goes on after a pause, of commits or of all; at once if it takes no time. */
  #refuse(error: unknown, pause: { ms: number; of: 'commits' | 'all' }): void {
    if (this.#isStopped) return;
    this.#ports.onRefused(error as TidemarkError);
    // Who was told may have begun something, or ended it all.
    if (this.#isBusy || this.#isStopped) return;
    if (pause.ms === 0) {
      this.#begin();
      return;
    }
    this.#clearTimers();
    this.#pause = pause.of;
    this.#pauseTimer = setTimeout(() => this.#begin(), pause.ms).unref();
    // Streams that are to be forgotten need no pause, nor does what came meanwhile and is smaller.
    this.kick();
  }

  #onCommitted(frames: readonly StoredFrame[], through: number, frontiers: Map<string, bigint>): void {
    this.#isBusy = false;
    // The engine is over, and its store may be another's since, who may have told of more.
    if (this.#isStopped) return;
    this.#tookMs = this.#ports.clock.now() - this.#begunAt;
    this.commits++;
    const before = this.committed;
    this.committed = frontiers;
    const { central, onDurable } = this.#ports;
    central.settle(frames);
    if (central.refusedStreams > 0) this.#room.onTaken(bytesOf(frames));
    else this.#endRefusals();
    onDurable(frames, through);
    for (const [source, offset] of frontiers) {
      if (before.get(source) !== offset) this.#ports.onFrontier(source, offset);
    }
    this.#release(this.#begun);
    this.#goOn();
  }

  #goOn(): void {
    this.kick();
    if (!this.#isBusy && !this.#isStopped && this.#waiters.length > 0) this.#begin();
  }

  #commitLateFrontiers(): void {
    this.#frontierTimer = undefined;
    if (!this.#isBusy && this.#hasRisenFrontiers()) this.#begin();
  }

  #clearTimers(): void {
    clearTimeout(this.#frontierTimer);
    clearTimeout(this.#pauseTimer);
    this.#frontierTimer = undefined;
    this.#pauseTimer = undefined;
    this.#pause = undefined;
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

function bytesOf(frames: readonly StoredFrame[]): number {
  return frames.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** What a call to the store comes to; one of the user's may throw at once, or return nothing. */
function settled(call: () => Promise<void>): Promise<void> {
  try {
    return Promise.resolve(call());
  } catch (error) {
    return Promise.reject(error);
  }
}
