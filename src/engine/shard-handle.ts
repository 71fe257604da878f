/** The main thread's side of one shard: its thread, its rings, its control words. */
import type { CheckpointPolicy } from '../checkpoint/schedule.ts';
import { fromErrorRecord, TidemarkError } from '../error.ts';
import { ControlWords, ringShard } from '../memory/doorbells.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { completionRing, EntryConsumer, EntryProducer, returnRing } from '../memory/entry-rings.ts';
import { AT, IngestWriter } from '../memory/ingest-ring.ts';
import { type ArenaLayout, WORD } from '../memory/layout.ts';
import type { RestoredStreams, ShardOutcome, ShardTask } from '../shard/task.ts';
import type { ShardMetrics } from './metrics.ts';
import { TaskThread, threadExited } from './thread.ts';

export class ShardHandle {
  readonly index: number;
  readonly ring: IngestWriter;
  readonly completions: EntryConsumer;
  readonly words: ControlWords;
  isReady = false;
  /** Number of the last request for memory that was met or denied. */
  memoryAnswered = 0;
  /** Number of the open request when it was first seen, and what is still to be freed for it. */
  memorySeen = 0;
  memoryOwed = 0;
  /** Number of the last request to checkpoint everything that the shard has answered. */
  checkpointsDone = 0;
  readonly #memory: EngineMemory;
  readonly #arena: ArenaLayout;
  readonly #returns: EntryProducer;
  /** Frames that the return ring had no room for. At most as many as the heap holds. */
  #unreturned: { address: number; bytes: number }[] = [];
  #thread: TaskThread<ShardOutcome> | undefined;
  #isStopping = false;

  constructor(memory: EngineMemory, arena: ArenaLayout, index: number) {
    this.index = index;
    this.#memory = memory;
    this.#arena = arena;
    this.ring = new IngestWriter(memory, arena);
    this.completions = new EntryConsumer(memory, completionRing(arena));
    this.#returns = new EntryProducer(memory, returnRing(arena));
    this.words = new ControlWords(memory, arena);
  }

  /** Starts the thread. `onEnd` is called once, with the reason, unless the shard was told to stop. */
  start(
    parts: {
      file: string;
      operators: string;
      policy: CheckpointPolicy;
      generation: bigint;
      allowUnclaimedState: boolean;
      restored: RestoredStreams;
    },
    onEnd: (error: Error) => void,
  ): void {
    const { file, ...rest } = parts;
    const task: ShardTask = { ...rest, memory: this.#memory.memory, arena: this.#arena };
    const thread = new TaskThread<ShardOutcome>({ file, task });
    this.#thread = thread;
    const what = `shard ${this.index}`;
    thread.outcome.then(
      (outcome) => {
        if (outcome.kind === 'failed') {
          const error = fromErrorRecord(outcome.error);
          // Without a code of ours the engine would take it for an error of the store.
          onEnd(error instanceof TidemarkError ? error : threadExited(what, error));
        } else if (!this.#isStopping) onEnd(threadExited(what, new Error('its loop stopped')));
      },
      (cause: unknown) => {
        if (!this.#isStopping) onEnd(threadExited(what, cause));
      },
    );
  }

  /** Makes what was written to the ring visible, and wakes the shard if it sleeps. */
  publish(): void {
    this.ring.publish();
    this.wake();
  }

  /** Wakes the shard to look at its control words. */
  wake(): void {
    ringShard(this.#memory, this.#arena);
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

  /** The record that the shard is at, or was last at. */
  get currentRecord(): { kind: number; index: number } {
    const at = this.words.get(WORD.currentEvent) & (this.#arena.ingestBytes - 1);
    const word = (this.#arena.ingest + at) >>> 2;
    const { u32 } = this.#memory;
    return {
      kind: (u32[word + AT.kind / 4] as number) & 0xffff,
      index: u32[word + AT.index / 4] as number,
    };
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
    const u64 = (low: number, high: number): number => high * 2 ** 32 + (low >>> 0);
    return {
      shard: this.index,
      ringUsedBytes: this.ring.usedBytes,
      ringBytes: this.#arena.ingestBytes,
      heapUsedBytes: this.words.get(WORD.heapUsed) >>> 0,
      heapBytes: this.#arena.heapBytes,
      applied: u64(this.words.get(WORD.appliedLow), this.words.get(WORD.appliedHigh)),
      dropped: u64(this.words.get(WORD.droppedLow), this.words.get(WORD.droppedHigh)),
    };
  }

  /** Ends the loop after its present turn, then the thread. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.words.set(WORD.stop, 1);
    this.wake();
    if (this.#thread === undefined) return;
    // How it ended was told to `onEnd`; here it matters only that it has.
    await this.#thread.outcome.catch(() => undefined);
    await this.#thread.destroy();
  }

  /** Ends the thread at once. */
  async kill(): Promise<void> {
    this.#isStopping = true;
    this.words.set(WORD.stop, 1);
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
