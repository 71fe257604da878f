/**
 * Rings of fixed-size entries between a shard and the main thread, single producer, single consumer:
 * completions (shard → main) and returned frames (main → shard). Indices count entries ever published
 * and consumed, as u32 that wrap. Order as in the ingest ring: bytes, then `Atomics.store` of the index.
 */
import type { EngineMemory } from './engine-memory.ts';
import { type ArenaLayout, COMPLETION_ENTRY_BYTES, RETURN_ENTRY_BYTES, WORD, wordIndex } from './layout.ts';

export const COMPLETION = {
  /** The shard has restored its streams and enters its loop. */
  ready: 1,
  /** One source's uncovered low of the frame, or of the forgotten stream, that follows: stream, source, offset. */
  low: 2,
  /** A frame: stream, sequence, address, bytes, seen, position, count. */
  stored: 3,
  /** All events of a stream up to `seen` are in its frames already: stream, seen. */
  covered: 4,
  /** A source's progress on this shard: source, open low (if any), events read, last offset read. */
  source: 5,
  /** The request to checkpoint all streams with this number is done: number. */
  checkpointed: 6,
  /** A stream is given up; nothing more will be told of it: stream. */
  forgotten: 7,
  /** A stream is set aside at an event, or was when it was restored: stream, seen, position, text. */
  aside: 8,
  /** An event is skipped: stream, seen, position, text. */
  skipped: 9,
} as const;

/** Word positions within a completion entry; u64 values take two words, low half first. */
export const ENTRY = {
  kind: 0,
  /** Stream, source or request number. */
  index: 1,
  sequence: 2,
  address: 4,
  bytes: 5,
  /** Events of the stream read by the shard up to here, duplicates included. */
  seen: 6,
  source: 8,
  offset: 10,
  /** 1 if `offset` holds an open low. */
  hasOffset: 9,
  /** 1 if the stream was restored as one that is set aside: there is no event in the ring. */
  isRestored: 9,
  lastOffset: 12,
  /** Of a frame: position of the ring before which all events of the stream are in it. Of a fault: that of the event. */
  position: 12,
  /** Events of a source that were read; of a frame: its stream's event count. */
  count: 14,
} as const;

export interface EntryRing {
  /** Byte address of the first entry. */
  readonly base: number;
  /** A power of two. */
  readonly entries: number;
  readonly entryBytes: number;
  readonly writeWord: number;
  readonly readWord: number;
}

/** What both ends know. Each moves its own index and loads the other's when it has run out. */
abstract class RingEnd {
  protected readonly memory: EngineMemory;
  protected readonly entries: number;
  protected readonly writeWord: number;
  protected readonly readWord: number;
  protected write: number;
  protected read: number;
  readonly #base: number;
  readonly #entryBytes: number;

  constructor(memory: EngineMemory, ring: EntryRing) {
    this.memory = memory;
    this.entries = ring.entries;
    this.writeWord = ring.writeWord;
    this.readWord = ring.readWord;
    this.#base = ring.base;
    this.#entryBytes = ring.entryBytes;
    this.write = Atomics.load(memory.i32, ring.writeWord);
    this.read = Atomics.load(memory.i32, ring.readWord);
  }

  /** u32 index of the first word of the entry at `index`. */
  protected wordOf(index: number): number {
    return (this.#base + (index & (this.entries - 1)) * this.#entryBytes) >>> 2;
  }
}

export class EntryProducer extends RingEnd {
  /** u32 index of the next entry's first word, or 0 while the ring is full. */
  reserve(): number {
    if ((this.write - this.read) >>> 0 >= this.entries) {
      this.read = Atomics.load(this.memory.i32, this.readWord);
      if ((this.write - this.read) >>> 0 >= this.entries) return 0;
    }
    return this.wordOf(this.write);
  }

  /** Keeps the entry that `reserve` returned for the next `flush`. */
  stage(): void {
    this.write = (this.write + 1) | 0;
  }

  /** Publishes all that is staged, at once. */
  flush(): void {
    Atomics.store(this.memory.i32, this.writeWord, this.write);
  }

  /** Publishes the entry that `reserve` returned, and what is staged before it. */
  publish(): void {
    this.stage();
    this.flush();
  }
}

export class EntryConsumer extends RingEnd {
  /** u32 index of the oldest entry's first word, or 0 when there is none. */
  peek(): number {
    if (this.read === this.write) {
      this.write = Atomics.load(this.memory.i32, this.writeWord);
      if (this.read === this.write) return 0;
    }
    return this.wordOf(this.read);
  }

  /** Gives the place of the entry that `peek` returned back to the producer. */
  consume(): void {
    this.read = (this.read + 1) | 0;
    Atomics.store(this.memory.i32, this.readWord, this.read);
  }
}

/** Nobody reads the ring: what is in it is void, and the next reader begins behind it. */
export function clearRing({ i32 }: EngineMemory, { readWord, writeWord }: EntryRing): void {
  Atomics.store(i32, readWord, Atomics.load(i32, writeWord));
}

export function completionRing(arena: ArenaLayout): EntryRing {
  return {
    base: arena.completion,
    entries: arena.completionEntries,
    entryBytes: COMPLETION_ENTRY_BYTES,
    writeWord: wordIndex(arena, WORD.completionWrite),
    readWord: wordIndex(arena, WORD.completionRead),
  };
}

export function returnRing(arena: ArenaLayout): EntryRing {
  return {
    base: arena.returns,
    entries: arena.returnEntries,
    entryBytes: RETURN_ENTRY_BYTES,
    writeWord: wordIndex(arena, WORD.returnWrite),
    readWord: wordIndex(arena, WORD.returnRead),
  };
}
