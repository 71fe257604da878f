/**
 * The main thread's turns: take what the shards have published, hand on what is due, give memory back, go
 * on with pushes; then wait for the bell without blocking. A turn is short: what exceeds its measure is
 * left to the next one, so that the caller's timers and sockets are served in between.
 */
import { MainBell } from '../memory/doorbells.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { WORD } from '../memory/layout.ts';
import type { CentralStore } from '../store/central-store.ts';
import type { IndexedStream } from '../store/stored-frame.ts';
import type { CommitPipeline } from './commit-pipeline.ts';
import type { CompletionReader } from './completion-reader.ts';
import type { Ingest } from './ingest.ts';
import { serveMemory } from './memory-service.ts';
import type { ShardHandle } from './shard-handle.ts';

/** Completions of one shard that are handled in one turn. */
const COMPLETIONS_PER_TURN_MAX = 256;

export interface MainLoopPorts {
  readonly shards: readonly ShardHandle[];
  readonly completions: CompletionReader;
  readonly central: CentralStore;
  readonly commits: CommitPipeline | undefined;
  readonly ingest: Ingest;
  readonly onPressure: (shard: number, what: 'ring' | 'memory') => void;
}

export class MainLoop {
  readonly #ports: MainLoopPorts;
  readonly #bell: MainBell;
  #isPlanned = false;
  #isHandling = false;
  #isStopped = false;

  constructor(memory: EngineMemory, ports: MainLoopPorts) {
    this.#ports = ports;
    this.#bell = new MainBell(memory);
  }

  /** Has a turn run soon. */
  plan(): void {
    if (this.#isPlanned || this.#isStopped) return;
    this.#isPlanned = true;
    setImmediate(this.#turn);
  }

  /** No turn runs any more. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#bell.disarm();
  }

  /** A push waits for `bytes` of room on `shard`. */
  onFull(shard: number, bytes: number): void {
    const handle = this.#ports.shards[shard] as ShardHandle;
    const before = handle.words.get(WORD.spaceWanted);
    if (before === bytes) return;
    // Raised before the ring is looked at again in the next turn, so that room made in between is seen.
    handle.words.set(WORD.spaceWanted, bytes);
    // The shard may sleep on what it keeps for replay.
    handle.wake();
    this.plan();
    if (before === 0) this.#ports.onPressure(shard, 'ring');
  }

  /**
   * The stream is to be forgotten. Its shard may be waiting for memory that only this gives back, in the middle of a
   * checkpoint, with the request to forget the stream unread in its ring, or not even there for want of room.
   */
  giveUp(stream: IndexedStream): void {
    this.#ports.central.giveUp(stream);
    this.serveMemory();
    (this.#ports.shards[stream.shard] as ShardHandle).wake();
  }

  serveMemory(): void {
    for (const shard of this.#ports.shards) {
      if (serveMemory(shard, this.#ports.central)) this.#ports.onPressure(shard.index, 'memory');
    }
  }

  readonly #turn = (): void => {
    this.#isPlanned = false;
    if (this.#isStopped) return;
    if (this.#handle()) {
      this.plan();
      return;
    }
    this.#bell.arm(this.#turn);
    // What was published before the bell was armed did not ring it.
    if (this.#handle()) this.plan();
  };

  /** True if a shard has published more than one turn should handle. */
  #handle(): boolean {
    if (this.#isHandling) return false;
    this.#isHandling = true;
    const { shards, completions, commits, ingest } = this.#ports;
    let isMore = false;
    try {
      for (const shard of shards) {
        const count = completions.drain(shard, COMPLETIONS_PER_TURN_MAX);
        if (count === COMPLETIONS_PER_TURN_MAX) isMore = true;
        // It may be waiting for room among its completions.
        if (count > 0) shard.wake();
      }
      commits?.kick();
      this.serveMemory();
      if (ingest.isWaiting) ingest.resume();
      if (!ingest.isWaiting) this.#clearSpaceWanted();
    } finally {
      this.#isHandling = false;
    }
    return isMore;
  }

  #clearSpaceWanted(): void {
    for (const { words } of this.#ports.shards) {
      if (words.get(WORD.spaceWanted) !== 0) words.set(WORD.spaceWanted, 0);
    }
  }
}
