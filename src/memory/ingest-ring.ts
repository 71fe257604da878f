/**
 * The ingest ring: events from the main thread to one shard, single producer, single consumer.
 *
 *          release        read             write
 *             ▼             ▼                ▼
 *   ┌─────────┬─────────────┬────────────────┬────────────┐
 *   │  free   │  processed  │  to be read    │   free     │   bytes, capacity a power of two
 *   └─────────┴─────────────┴────────────────┴────────────┘
 *
 * The three indices count bytes ever written, read and released, as u32 that wrap; they are compared by
 * difference only. Either side knows its own as a number that does not wrap: a *position*. What lies between release
 * and read has been processed and is kept for replay.
 * Records are multiples of 8 bytes and never straddle the end: a skip marker fills what is left there.
 *
 * Order: the producer writes a record's bytes, then publishes with `Atomics.store(write)`; the consumer
 * loads `write` with `Atomics.load` before it reads them. The consumer stores `release` after it is done
 * with the bytes; the producer loads it before it overwrites them.
 */
import type { EngineMemory } from './engine-memory.ts';
import { type ArenaLayout, WORD, wordIndex } from './layout.ts';

export const RECORD = {
  skip: 0,
  event: 1,
  defineStream: 2,
  defineSource: 3,
  checkpointStream: 4,
  /** The stream is over; its number may name another one once the shard has answered. */
  forgetStream: 5,
  /** The stream that was set aside goes on with what follows. */
  resumeStream: 6,
  /** An event of the stream that was skipped is delivered; its sequence in decimal is in the place of a name. */
  letterDelivered: 7,
  /** Before `resumeStream`: events that were held out are given up; in the place of a name is which, as JSON. */
  giveUp: 8,
} as const;

/** Bits of a record's flags. */
export const FLAG = {
  /** The event brings its sequence. */
  sequence: 1,
  /** The event brings source, offset and nextOffset. */
  source: 2,
  /** Somebody waits until the event is durable: take a checkpoint with the batch. */
  durable: 4,
} as const;

/**
 * Byte positions within a record. Header of every kind:
 *   u32 record bytes | u16 kind, u16 flags | u32 stream or source index | u32 length of what follows it
 * Events go on with
 *   u64 sequence | u64 watermark | u64 offset | u64 next offset | u32 source index | u32 zero | payload
 */
export const AT = {
  bytes: 0,
  kind: 4,
  index: 8,
  length: 12,
  name: 16,
  sequence: 16,
  watermark: 24,
  offset: 32,
  nextOffset: 40,
  source: 48,
  payload: 56,
} as const;

/** In the word of the current event: none is under way, the next one is at the index without this bit. */
export const NO_RECORD = 1;

export function recordBytes(headerBytes: number, contentBytes: number): number {
  // Not by a mask: contents may exceed what 32 bits hold, and must then be refused for what they are.
  return Math.ceil((headerBytes + contentBytes) / 8) * 8;
}

export class IngestWriter {
  readonly capacity: number;
  /** Greatest record: with a skip marker before it, it still fits an empty ring wherever that begins. */
  readonly recordBytesMax: number;
  readonly #memory: EngineMemory;
  readonly #base: number;
  readonly #writeWord: number;
  readonly #releaseWord: number;
  /** Bytes written, published or not. */
  #write: number;
  /** The same, as a position. */
  #written: number;
  #published: number;
  /** The consumer's release index when last looked at; it can only have grown since. */
  #release: number;

  constructor(memory: EngineMemory, arena: ArenaLayout) {
    this.capacity = arena.ingestBytes;
    this.recordBytesMax = arena.ingestBytes / 2;
    this.#memory = memory;
    this.#base = arena.ingest;
    this.#writeWord = wordIndex(arena, WORD.ingestWrite);
    this.#releaseWord = wordIndex(arena, WORD.ingestRelease);
    this.#write = Atomics.load(memory.i32, this.#writeWord);
    this.#written = this.#write >>> 0;
    this.#published = this.#write;
    this.#release = Atomics.load(memory.i32, this.#releaseWord);
  }

  /**
   * Address at which a record of `bytes` (a multiple of 8, at most `recordBytesMax`) may be written, or 0
   * while there is no room. Nothing is visible to the consumer before `publish`.
   */
  reserve(bytes: number): number {
    const at = this.#write & (this.capacity - 1);
    const toEnd = this.capacity - at;
    const needed = bytes <= toEnd ? bytes : toEnd + bytes;
    if (!this.hasRoom(needed)) return 0;
    if (needed !== bytes) {
      const skip = (this.#base + at) >>> 2;
      this.#memory.u32[skip] = toEnd;
      this.#memory.u32[skip + 1] = RECORD.skip;
      this.#write = (this.#write + toEnd) | 0;
      this.#written += toEnd;
    }
    const address = this.#base + (this.#write & (this.capacity - 1));
    this.#write = (this.#write + bytes) | 0;
    this.#written += bytes;
    return address;
  }

  /** What records of these `sizes` in bytes would take of the ring, one after the other. */
  neededFor(sizes: readonly number[]): number {
    let needed = 0;
    for (const bytes of sizes) {
      const toEnd = this.capacity - ((this.#write + needed) & (this.capacity - 1));
      needed += bytes <= toEnd ? bytes : toEnd + bytes;
    }
    return needed;
  }

  /** Whether the ring has so many bytes free. */
  hasRoom(needed: number): boolean {
    if (((this.#write - this.#release) >>> 0) + needed <= this.capacity) return true;
    this.#release = Atomics.load(this.#memory.i32, this.#releaseWord);
    return ((this.#write - this.#release) >>> 0) + needed <= this.capacity;
  }

  /** Makes everything written so far visible to the consumer. */
  publish(): void {
    if (this.#published === this.#write) return;
    this.#published = this.#write;
    Atomics.store(this.#memory.i32, this.#writeWord, this.#write);
  }

  /** Index behind the last published record. */
  get position(): number {
    return this.#published;
  }

  /** Position behind the last record, published or not. */
  get written(): number {
    return this.#written;
  }

  /** Position up to which the consumer has released. */
  get released(): number {
    return this.#written - this.usedBytes;
  }

  /** The position of an index that is not before what is released; undefined if it is no such index. */
  positionOf(index: number): number | undefined {
    const { usedBytes } = this;
    const ahead = (index - this.#release) >>> 0;
    return ahead <= usedBytes ? this.#written - usedBytes + ahead : undefined;
  }

  /** Bytes not yet released by the consumer. */
  get usedBytes(): number {
    this.#release = Atomics.load(this.#memory.i32, this.#releaseWord);
    return (this.#write - this.#release) >>> 0;
  }
}

export class IngestReader {
  readonly capacity: number;
  readonly #memory: EngineMemory;
  readonly #base: number;
  readonly #mask: number;
  readonly #writeWord: number;
  readonly #readWord: number;
  readonly #releaseWord: number;
  readonly #currentWord: number;
  /** The producer's index when last looked at. */
  #write: number;
  #read: number;
  #position: number;

  /** Begins to read at `position`, which is one of a record; where the reader before it ended, if not given. */
  constructor(memory: EngineMemory, arena: ArenaLayout, position?: number) {
    this.#memory = memory;
    this.#base = arena.ingest;
    this.capacity = arena.ingestBytes;
    this.#mask = arena.ingestBytes - 1;
    this.#writeWord = wordIndex(arena, WORD.ingestWrite);
    this.#readWord = wordIndex(arena, WORD.ingestRead);
    this.#releaseWord = wordIndex(arena, WORD.ingestRelease);
    this.#currentWord = wordIndex(arena, WORD.currentEvent);
    this.#write = Atomics.load(memory.i32, this.#writeWord);
    this.#position = position ?? Atomics.load(memory.i32, this.#readWord) >>> 0;
    // A position modulo 2^32 is the index.
    this.#read = this.#position | 0;
  }

  /** Address of the next record, or 0 when all that is published has been read. */
  next(): number {
    for (;;) {
      if (this.#read === this.#write) {
        this.#write = Atomics.load(this.#memory.i32, this.#writeWord);
        if (this.#read === this.#write) return 0;
      }
      const address = this.#base + (this.#read & this.#mask);
      const word = address >>> 2;
      if ((this.#memory.u32[word + 1] as number) !== RECORD.skip) return address;
      this.#move(this.#memory.u32[word] as number);
    }
  }

  /**
   * Fills `addresses` with those of the next records that are known to be published, and returns how many there are;
   * none is stepped over.
   */
  ahead(addresses: number[]): number {
    const { u32 } = this.#memory;
    let read = this.#read;
    let count = 0;
    while (count < addresses.length && read !== this.#write) {
      const address = this.#base + (read & this.#mask);
      const word = address >>> 2;
      if ((u32[word + 1] as number) !== RECORD.skip) addresses[count++] = address;
      read = (read + (u32[word] as number)) | 0;
    }
    return count;
  }

  /** Names the next record as the one being processed; a plain store, read after a crash only. */
  markCurrent(): void {
    this.#memory.i32[this.#currentWord] = this.#read;
  }

  /** No record is being processed. Records begin at multiples of 8, so this is none. */
  markNone(): void {
    this.#memory.i32[this.#currentWord] = this.#read | NO_RECORD;
  }

  /** Steps over the record at `address`, which `next` returned. */
  advance(address: number): void {
    this.#move(this.#memory.u32[address >>> 2] as number);
  }

  #move(bytes: number): void {
    this.#read = (this.#read + bytes) | 0;
    this.#position += bytes;
  }

  /** Of the next record, once `next` has returned its address. */
  get position(): number {
    return this.#position;
  }

  /** Lets the producer overwrite what lies before `position`: all that was read, or less. */
  release(position: number = this.#position): void {
    Atomics.store(this.#memory.i32, this.#readWord, this.#read);
    Atomics.store(this.#memory.i32, this.#releaseWord, position | 0);
  }

  /** Whether everything that was published up to index `position` has been read. */
  hasReached(position: number): boolean {
    return ((this.#read - position) | 0) >= 0;
  }

  /** Whether something is published that has not been read. */
  get hasMore(): boolean {
    return this.#read !== this.#write || this.#read !== Atomics.load(this.#memory.i32, this.#writeWord);
  }

  /** Bytes the producer may still write before it meets what is not released. */
  get freeBytes(): number {
    const released = Atomics.load(this.#memory.i32, this.#releaseWord);
    return this.#mask + 1 - ((Atomics.load(this.#memory.i32, this.#writeWord) - released) >>> 0);
  }
}

/** The records from position `from` up to `through`, for who looks at a ring that nobody reads: address and position. */
export function* recordsBetween(
  memory: EngineMemory,
  arena: ArenaLayout,
  { from, through }: { readonly from: number; readonly through: number },
): Generator<{ readonly address: number; readonly position: number }> {
  const { u32 } = memory;
  for (let position = from; position < through; ) {
    const address = arena.ingest + ((position | 0) & (arena.ingestBytes - 1));
    const word = address >>> 2;
    // Better than to look at the same place for ever.
    if (u32[word] === 0) throw new TypeError(`the ring has no record at position ${position}`);
    if ((u32[word + AT.kind / 4] as number) !== RECORD.skip) yield { address, position };
    position += u32[word] as number;
  }
}
