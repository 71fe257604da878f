/** The main thread's side of one shard: its thread, its rings, its control words. */
import { fromErrorRecord, TidemarkError } from '../error.ts';
import { ControlWords, ringShard } from '../memory/doorbells.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import {
  clearRing,
  completionRing,
  EntryConsumer,
  EntryProducer,
  returnRing,
} from '../memory/entry-rings.ts';
import { AT, IngestWriter, NO_RECORD } from '../memory/ingest-ring.ts';
import { type ArenaLayout, WORD } from '../memory/layout.ts';
import type { Handover, ShardOutcome, ShardTask } from '../shard/task.ts';
import type { ShardMetrics } from './metrics.ts';
import { TaskThread, threadExited } from './thread.ts';

/** What every thread of a shard is given alike. */
export interface ShardParts extends Omit<ShardTask, 'memory' | 'arena' | 'handover'> {
  readonly file: string;
}

/** How a shard's thread ended that was not told to. */
export interface ThreadEnd {
  readonly error: TidemarkError;
  /** The shard itself has told why: another thread would come to the same. */
  readonly isTold: boolean;
}

/** An event that is not to be tried any more, until the shard has said what has become of it. */
export interface KnownFault {
  readonly attempts: number;
  /** How the last thread ended that has tried. */
  readonly cause: Error;
}

export class ShardHandle {
  readonly index: number;
  readonly ring: IngestWriter;
  readonly completions: EntryConsumer;
  readonly words: ControlWords;
  isReady = false;
  /** One of its threads was. */
  hasBeenReady = false;
  /** Number of the last request for memory that was met or denied. */
  memoryAnswered = 0;
  /** Number of the open request when it was first seen, and what is still to be freed for it. */
  memorySeen = 0;
  memoryOwed = 0;
  /** Number of the last request to checkpoint everything that the shard has answered. */
  checkpointsDone = 0;
  /** Position of the ring before which all events were processed by the threads that have ended. */
  doneTo = 0;
  /** By the positions of their records. */
  readonly faults = new Map<number, KnownFault>();
  readonly #memory: EngineMemory;
  readonly arena: ArenaLayout;
  readonly #returns: EntryProducer;
  /** Frames that the return ring had no room for. At most as many as the heap holds. */
  #unreturned: { address: number; bytes: number }[] = [];
  #thread: TaskThread<ShardOutcome> | undefined;
  /** A thread that is being ended for another one to follow. */
  #ending: Promise<void> | undefined;
  #isStopping = false;

  constructor(memory: EngineMemory, arena: ArenaLayout, index: number) {
    this.index = index;
    this.#memory = memory;
    this.arena = arena;
    this.ring = new IngestWriter(memory, arena);
    this.completions = new EntryConsumer(memory, completionRing(arena));
    this.#returns = new EntryProducer(memory, returnRing(arena));
    this.words = new ControlWords(memory, arena);
  }

  /** Starts a thread. `onEnd` is called once, with the reason, unless the shard was told to stop. */
  start(parts: ShardParts, handover: Handover, onEnd: (end: ThreadEnd) => void): void {
    const { file, ...rest } = parts;
    const task: ShardTask = { ...rest, memory: this.#memory.memory, arena: this.arena, handover };
    const thread = new TaskThread<ShardOutcome>({ file, task });
    this.#thread = thread;
    const what = `shard ${this.index}`;
    const died = (cause: unknown): void => {
      if (!this.#isStopping && this.#thread === thread)
        onEnd({ error: threadExited(what, cause), isTold: false });
    };
    thread.outcome.then((outcome) => {
      if (outcome.kind === 'stopped') {
        died(new Error('its loop stopped'));
        return;
      }
      if (this.#thread !== thread) return;
      const error = fromErrorRecord(outcome.error);
      // Without a code of ours the engine would take it for an error of the store.
      onEnd({
        error: error instanceof TidemarkError ? error : threadExited(what, error),
        isTold: !outcome.isOfEvent,
      });
    }, died);
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Ends the thread, and resolves when it is gone: nothing but the main thread writes to the arena then. */
  async endThread(): Promise<void> {
    this.isReady = false;
    const thread = this.#thread;
    // It is not listened to any more: that it ends is no news.
    this.#thread = undefined;
    this.#ending = thread?.destroy();
    await this.#ending;
  }

  /**
   * Between two threads, what the one before had asked for and what was on its way to it is void: the next one is told
   * in its handover what is in its heap.
   */
  takeOver(): void {
    const { words } = this;
    this.memoryAnswered = words.get(WORD.memoryRequest);
    words.set(WORD.memoryAnswered, this.memoryAnswered);
    this.#unreturned = [];
    clearRing(this.#memory, returnRing(this.arena));
  }

  /** Makes what was written to the ring visible, and wakes the shard if it sleeps. */
  publish(): void {
    this.ring.publish();
    this.wake();
  }

  /** Wakes the shard to look at its control words. */
  wake(): void {
    ringShard(this.#memory, this.arena);
  }

  requestCheckpoint(request: number): void {
    // The position first: a shard that sees the new number must not take it for the old position.
    this.words.set(WORD.checkpointPosition, this.ring.position);
    this.words.set(WORD.checkpointRequest, request);
    this.wake();
  }

  /** Gives a frame's memory back to the shard. */
  returnFrame(address: number, bytes: number): void {
    if (this.#unreturned.length > 0 || !this.#tryReturn(address, bytes))
      this.#unreturned.push({ address, bytes });
  }

  /** Returns what the ring had no room for before; true if all of it is returned. */
  flushReturns(): boolean {
    let count = 0;
    for (const frame of this.#unreturned) {
      if (!this.#tryReturn(frame.address, frame.bytes)) break;
      count++;
    }
    if (count > 0) this.#unreturned = this.#unreturned.slice(count);
    return this.#unreturned.length === 0;
  }

  /** Position of the record that the shard has begun and not ended, if it has one. */
  get currentPosition(): number | undefined {
    const current = this.words.get(WORD.currentEvent);
    return (current & NO_RECORD) === NO_RECORD ? undefined : this.ring.positionOf(current);
  }

  /** Position up to which the shard had read, when it began the record that it is at. */
  get readPosition(): number | undefined {
    return this.ring.positionOf(this.words.get(WORD.currentEvent) & ~NO_RECORD);
  }

  recordAt(position: number): { kind: number; index: number } {
    const at = (position | 0) & (this.arena.ingestBytes - 1);
    const word = (this.arena.ingest + at) >>> 2;
    const { u32 } = this.#memory;
    return {
      kind: (u32[word + AT.kind / 4] as number) & 0xffff,
      index: u32[word + AT.index / 4] as number,
    };
  }

  /** What an entry about the event at `position` asks to be copied from the ring is copied. */
  takeFault(position: number): void {
    this.faults.delete(position);
    this.words.set(WORD.faultsTaken, (this.words.get(WORD.faultsTaken) + 1) | 0);
  }

  /** The open request for memory: its number and the bytes wanted. */
  get memoryRequest(): { request: number; bytes: number } | undefined {
    const request = this.words.get(WORD.memoryRequest);
    if (request === this.memoryAnswered) return undefined;
    return { request, bytes: this.words.get(WORD.memoryWanted) };
  }

  /** Answers a request for memory, after what is given back is returned. */
  answerMemory(request: number, isDenied: boolean): void {
    if (isDenied) this.words.set(WORD.memoryDenied, request);
    this.words.set(WORD.memoryAnswered, request);
    this.memoryAnswered = request;
    this.wake();
  }

  metrics(): ShardMetrics {
    return {
      shard: this.index,
      ringUsedBytes: this.ring.usedBytes,
      ringBytes: this.arena.ingestBytes,
      heapUsedBytes: this.words.get(WORD.heapUsed) >>> 0,
      heapBytes: this.arena.heapBytes,
      applied: this.counted('applied'),
      dropped: this.counted('dropped'),
    };
  }

  /** Events that the shard has counted, or the position of the ring up to which it has. */
  counted(what: 'applied' | 'dropped' | 'counted'): number {
    const { words } = this;
    return words.get(WORD[`${what}High`]) * 2 ** 32 + (words.get(WORD[`${what}Low`]) >>> 0);
  }

  /** Ends the loop after its present turn, then the thread. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.words.set(WORD.stop, 1);
    this.wake();
    await this.#ending;
    if (this.#thread === undefined) return;
    // How it ended was told to `onEnd`; here it matters only that it has.
    await this.#thread.outcome.catch(() => undefined);
    await this.#thread.destroy();
  }

  /** Ends the thread at once. */
  async kill(): Promise<void> {
    this.#isStopping = true;
    this.words.set(WORD.stop, 1);
    await this.#ending;
    await this.#thread?.destroy();
  }

  #tryReturn(address: number, bytes: number): boolean {
    const at = this.#returns.reserve();
    if (at === 0) return false;
    this.#memory.u32[at] = address;
    this.#memory.u32[at + 1] = bytes;
    this.#returns.publish();
    return true;
  }
}
