/**
 * What of a shard's streams outlives its thread: images, and covers. An image lies in shared memory in its final form, so when a thread
 * dies all of them are as their last events left them, but for the one whose event was under way: what that one was
 * before is kept while operators run. A thread that follows goes on with them; nothing of their streams is replayed.
 *
 * A cover is a frame for a stream whose image does not outlive the thread: it has what the stream had read before some
 * position of the ring, which need not keep that. Neither main nor the durable store sees it while the thread lives.
 *
 * A directory says by a stream's number where its image or its cover is: pages of entries in the shard's heap, and words
 * in its block that name these. Storing an address there is what makes it the stream's: the bytes are complete by then,
 * and what they replace is freed after that.
 *
 * What is stored here is read by another thread only after this one is gone, so plain stores do.
 */
import type { EngineMemory } from './engine-memory.ts';
import { type ArenaLayout, DIRECTORY_BYTES, directoryAddress, UNDO_BYTES, undoAddress } from './layout.ts';
import { PAGE_BYTES } from './size-classes.ts';

/**
 * An entry: f64 position of the ring, u32 address, bytes, event count, and whether it is a cover. The position is that at
 * which the stream began, or of a cover that up to which it has the stream's records; the count that of when the stream
 * was restored.
 */
const ENTRY_BYTES = 24;
const ADDRESS = 8;
const BYTES = 12;
const RESTORED_COUNT = 16;
const IS_COVER = 20;
const ENTRIES_PER_PAGE = Math.floor(PAGE_BYTES / ENTRY_BYTES);
const PAGES_MAX = DIRECTORY_BYTES / 4;
/** Streams of higher numbers have nothing that lasts. */
const STREAMS_MAX = ENTRIES_PER_PAGE * PAGES_MAX;

/** Within the page of what is to be undone: u32 image, bytes and stream, f64 position of the event, then the bytes. */
const UNDO_POSITION = 16;
const UNDO_COPY = 32;
const UNDO_BODY_BYTES_MAX = UNDO_BYTES - UNDO_COPY - 16;
/** Copying more than this for each event costs more than replaying events does. */
const BODY_BYTES_MAX = 1_024;

/** What the directory knows of a stream's image. */
export interface LastingImage {
  readonly image: number;
  /** Its bytes, as they were allocated. */
  readonly bytes: number;
  /** Position of the ring at which the stream was given its first image. */
  readonly begunAt: number;
  /** The stream's event count when it was restored from a checkpoint, modulo 2^32. */
  readonly restoredCount: number;
}

/** A frame that the ring need not keep the stream's records before `position` beside. */
export interface Cover {
  readonly address: number;
  readonly bytes: number;
  readonly position: number;
}

export class ImageDirectory {
  readonly #memory: EngineMemory;
  readonly #top: number;
  readonly #undo: number;
  readonly #keep: EngineMemory['kernel']['keep'];

  constructor(memory: EngineMemory, arena: ArenaLayout) {
    this.#memory = memory;
    this.#top = directoryAddress(arena) >>> 2;
    this.#undo = undoAddress(arena);
    this.#keep = memory.kernel.keep;
  }

  /** Whether the image of the stream of that number, with a body of so many bytes, is to outlive its thread. */
  static isFor(index: number, bodyBytes: number): boolean {
    return index < STREAMS_MAX && bodyBytes <= BODY_BYTES_MAX;
  }

  /** Whether one that does, still can when its body has become so long. */
  static canHold(bodyBytes: number): boolean {
    return bodyBytes <= UNDO_BODY_BYTES_MAX;
  }

  /** Whether the stream of that number can have an entry. */
  static hasEntryFor(index: number): boolean {
    return index < STREAMS_MAX;
  }

  /** Whether the stream's entry has its page; `addPage` gives it one. */
  hasPageFor(index: number): boolean {
    return this.#pageOf(index) !== 0;
  }

  /** `address` is of a page of the heap, which stays the directory's. */
  addPage(index: number, address: number): void {
    const { u8, u32 } = this.#memory;
    u8.fill(0, address, address + PAGE_BYTES);
    u32[this.#top + Math.floor(index / ENTRIES_PER_PAGE)] = address;
  }

  /** The image of a stream, if it has one that lasts. */
  get(index: number): LastingImage | undefined {
    const { f64, u32 } = this.#memory;
    const entry = this.#usedEntry(index);
    if (entry === 0 || u32[(entry + IS_COVER) >>> 2] === 1) return undefined;
    return {
      image: u32[(entry + ADDRESS) >>> 2] as number,
      bytes: u32[(entry + BYTES) >>> 2] as number,
      begunAt: f64[entry >>> 3] as number,
      restoredCount: u32[(entry + RESTORED_COUNT) >>> 2] as number,
    };
  }

  /** The cover of a stream, if it has one. */
  cover(index: number): Cover | undefined {
    const { f64, u32 } = this.#memory;
    const entry = this.#usedEntry(index);
    if (entry === 0 || u32[(entry + IS_COVER) >>> 2] === 0) return undefined;
    return {
      address: u32[(entry + ADDRESS) >>> 2] as number,
      bytes: u32[(entry + BYTES) >>> 2] as number,
      position: f64[entry >>> 3] as number,
    };
  }

  /** From here on the stream, which has a page, has this cover in place of what it had. Nothing happens between the stores. */
  setCover(index: number, { address, bytes, position }: Cover): void {
    const { f64, u32 } = this.#memory;
    const entry = this.#entryOf(index);
    f64[entry >>> 3] = position;
    u32[(entry + IS_COVER) >>> 2] = 1;
    u32[(entry + BYTES) >>> 2] = bytes;
    u32[(entry + ADDRESS) >>> 2] = address;
  }

  /** From here on a stream that had none has a lasting image. */
  add(index: number, { image, bytes, begunAt, restoredCount }: LastingImage): void {
    const { f64, u32 } = this.#memory;
    const entry = this.#entryOf(index);
    f64[entry >>> 3] = begunAt;
    u32[(entry + RESTORED_COUNT) >>> 2] = restoredCount;
    u32[(entry + IS_COVER) >>> 2] = 0;
    u32[(entry + BYTES) >>> 2] = bytes;
    u32[(entry + ADDRESS) >>> 2] = image;
  }

  /** From here on `image` is the stream's, in place of the one that it had. Nothing happens between the two stores. */
  move(index: number, image: number, bytes: number): void {
    const { u32 } = this.#memory;
    const entry = this.#entryOf(index);
    u32[(entry + BYTES) >>> 2] = bytes;
    u32[(entry + ADDRESS) >>> 2] = image;
  }

  /** The stream has neither an image that lasts nor a cover. */
  remove(index: number): void {
    if (this.hasPageFor(index)) this.move(index, 0, 0);
  }

  /** Keeps what the image of a stream is before its event at `position` of the ring. */
  keep(index: number, image: number, bodyBytes: number, position: number): void {
    this.#keep(this.#undo, image, bodyBytes, index, position);
  }

  /**
   * After the death of a thread that was at the event at `position`: the image of its stream is again what it was before.
   * It may have been done with the event already; then it will come to the same once more.
   */
  undo(position: number): void {
    const { kernel, u32, f64 } = this.#memory;
    const undo = this.#undo;
    const word = undo >>> 2;
    const image = u32[word] as number;
    // Since then it may have moved, or its stream have been forgotten.
    if (image === 0 || this.get(u32[word + 2] as number)?.image !== image) return;
    // Of an earlier event, if the thread did not come so far as to keep anything.
    if (f64[(undo + UNDO_POSITION) >>> 3] !== position) return;
    kernel.copy(image, undo + UNDO_COPY, u32[word + 1] as number);
  }

  /** What the directory holds of the heap: its pages, images and covers. */
  *blocks(): Generator<{ readonly address: number; readonly bytes: number }> {
    const { u32 } = this.#memory;
    for (let page = 0; page < PAGES_MAX; page++) {
      const address = u32[this.#top + page] as number;
      if (address !== 0) yield { address, bytes: PAGE_BYTES };
    }
    for (const index of this.indexes()) {
      const entry = this.#entryOf(index);
      yield { address: u32[(entry + ADDRESS) >>> 2] as number, bytes: u32[(entry + BYTES) >>> 2] as number };
    }
  }

  /** The numbers of all streams that have an image or a cover. */
  *indexes(): Generator<number> {
    for (let page = 0; page < PAGES_MAX; page++) {
      if (this.#memory.u32[this.#top + page] === 0) continue;
      for (let entry = 0; entry < ENTRIES_PER_PAGE; entry++) {
        const index = page * ENTRIES_PER_PAGE + entry;
        if (this.#usedEntry(index) !== 0) yield index;
      }
    }
  }

  #pageOf(index: number): number {
    return index < STREAMS_MAX
      ? (this.#memory.u32[this.#top + Math.floor(index / ENTRIES_PER_PAGE)] as number)
      : 0;
  }

  /** Address of the stream's entry; 0: it has nothing there. */
  #usedEntry(index: number): number {
    const entry = this.#entryOf(index);
    return entry === 0 || this.#memory.u32[(entry + ADDRESS) >>> 2] === 0 ? 0 : entry;
  }

  /** Address of the stream's entry; 0: it has no page. */
  #entryOf(index: number): number {
    const page = this.#pageOf(index);
    return page === 0 ? 0 : page + (index % ENTRIES_PER_PAGE) * ENTRY_BYTES;
  }
}
