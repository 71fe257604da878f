/** Reads what shards publish, in the order in which they did, and turns it into calls. Main thread only. */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { COMPLETION, ENTRY } from '../memory/entry-rings.ts';
import { type SourceLow, StoredFrame } from '../store/stored-frame.ts';
import type { FaultEntry } from './quarantine.ts';
import type { RoutedStream, Router } from './router.ts';
import type { ShardHandle } from './shard-handle.ts';

export interface CompletionSink {
  onReady(shard: ShardHandle): void;
  onStored(frame: StoredFrame, stream: RoutedStream): void;
  /** The first `seen` events of the stream are in frames that were published before. */
  onCovered(stream: RoutedStream, seen: number): void;
  /** The shard has given up the stream, whose number is free; `lows` are those of its events that are in no frame. */
  onForgotten(stream: RoutedStream, lows: readonly SourceLow[]): void;
  onFault(shard: ShardHandle, entry: FaultEntry): void;
  onCheckpointed(shard: ShardHandle, request: number): void;
}

export class CompletionReader {
  readonly #u32: Uint32Array<SharedArrayBuffer>;
  readonly #values: BigUint64Array<SharedArrayBuffer>;
  readonly #router: Router;
  readonly #sink: CompletionSink;
  /** By shard: the lows that belong to the frame, or the forgotten stream, which follows them. */
  readonly #lows: SourceLow[][];

  constructor(memory: EngineMemory, parts: { router: Router; shards: number; sink: CompletionSink }) {
    this.#u32 = memory.u32;
    this.#values = memory.u64;
    this.#router = parts.router;
    this.#sink = parts.sink;
    this.#lows = Array.from({ length: parts.shards }, () => []);
  }

  /** Reads up to `most` entries of a shard; returns how many there were. */
  drain(shard: ShardHandle, most: number): number {
    let count = 0;
    for (; count < most; count++) {
      const at = shard.completions.peek();
      if (at === 0) break;
      this.#read(shard, at);
      shard.completions.consume();
    }
    return count;
  }

  /** The shard begins anew: what was published without what belongs to it is void. */
  takeOver(shard: ShardHandle): void {
    this.#takeLows(shard);
  }

  #read(shard: ShardHandle, at: number): void {
    const u32 = this.#u32;
    const index = u32[at + ENTRY.index] as number;
    switch (u32[at + ENTRY.kind]) {
      case COMPLETION.low:
        (this.#lows[shard.index] as SourceLow[]).push({
          source: u32[at + ENTRY.source] as number,
          offset: this.#u64(at + ENTRY.offset),
        });
        return;
      case COMPLETION.stored:
        this.#onStored(shard, at, index);
        return;
      case COMPLETION.source:
        this.#router.sourceAt(index).onReport(shard.index, {
          read: this.#count(at + ENTRY.count),
          lastOffset: this.#u64(at + ENTRY.lastOffset),
          openLow: u32[at + ENTRY.hasOffset] === 0 ? undefined : this.#u64(at + ENTRY.offset),
        });
        return;
      case COMPLETION.covered:
        this.#sink.onCovered(this.#router.streamAt(shard.index, index), this.#count(at + ENTRY.seen));
        return;
      case COMPLETION.forgotten:
        this.#onForgotten(shard, index);
        return;
      case COMPLETION.aside:
        this.#onFault(shard, at, 'aside');
        return;
      case COMPLETION.skipped:
        this.#onFault(shard, at, 'skipped');
        return;
      case COMPLETION.checkpointed:
        this.#sink.onCheckpointed(shard, index | 0);
        return;
      case COMPLETION.ready:
        this.#sink.onReady(shard);
        return;
      default:
        throw new TypeError(`completion of unknown kind ${u32[at + ENTRY.kind]}`);
    }
  }

  #onStored(shard: ShardHandle, at: number, index: number): void {
    const stream = this.#router.streamAt(shard.index, index);
    const u32 = this.#u32;
    const seen = this.#count(at + ENTRY.seen);
    stream.checkpointed = {
      seen,
      position: this.#count(at + ENTRY.position),
      count: this.#count(at + ENTRY.count),
    };
    const frame = new StoredFrame(stream, {
      sequence: this.#u64(at + ENTRY.sequence),
      address: u32[at + ENTRY.address] as number,
      bytes: u32[at + ENTRY.bytes] as number,
      seen,
      lows: this.#takeLows(shard),
    });
    this.#sink.onStored(frame, stream);
  }

  #onFault(shard: ShardHandle, at: number, kind: FaultEntry['kind']): void {
    const u32 = this.#u32;
    this.#sink.onFault(shard, {
      kind,
      stream: this.#router.streamAt(shard.index, u32[at + ENTRY.index] as number),
      seen: this.#count(at + ENTRY.seen),
      position: this.#count(at + ENTRY.position),
      isRestored: u32[at + ENTRY.isRestored] === 1,
      address: u32[at + ENTRY.address] as number,
      bytes: u32[at + ENTRY.bytes] as number,
    });
  }

  /** Entries come in order: none behind this one means the old stream by the number. */
  #onForgotten(shard: ShardHandle, index: number): void {
    const stream = this.#router.streamAt(shard.index, index);
    this.#router.release(stream);
    this.#sink.onForgotten(stream, this.#takeLows(shard));
  }

  #takeLows(shard: ShardHandle): SourceLow[] {
    const lows = this.#lows[shard.index] as SourceLow[];
    this.#lows[shard.index] = [];
    return lows;
  }

  /** Entries and their u64 values are aligned. */
  #u64(word: number): bigint {
    return this.#values[word / 2] as bigint;
  }

  /** Counts stay below 2^53. */
  #count(word: number): number {
    return (this.#u32[word + 1] as number) * 2 ** 32 + (this.#u32[word] as number);
  }
}
