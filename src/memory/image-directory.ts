/**
 * The images of a shard that outlive its thread. An image lies in shared memory in its final form, so when a thread
 * dies all of them are as their last events left them, but for the one whose event was under way: what that one was
 * before is kept while operators run. A thread that follows goes on with them; nothing of their streams is replayed.
 *
 * A directory says by a stream's number where its image is: pages of entries in the shard's heap, and words in its block
 * that name these. Storing an image's address there is what makes it the stream's: it is complete by then, and the one
 * that it replaces is freed after that.
 *
 * What is stored here is read by another thread only after this one is gone, so plain stores do.
 */
import type { EngineMemory } from './engine-memory.ts';
import { type ArenaLayout, DIRECTORY_BYTES, directoryAddress, UNDO_BYTES, undoAddress } from './layout.ts';
import { PAGE_BYTES } from './size-classes.ts';

/** An entry: f64 position of the ring at which the stream began, u32 image, its bytes, event count when restored. */
const ENTRY_BYTES = 24;
const IMAGE = 8;
const BYTES = 12;
const RESTORED_COUNT = 16;
const ENTRIES_PER_PAGE = Math.floor(PAGE_BYTES / ENTRY_BYTES);
const PAGES_MAX = DIRECTORY_BYTES / 4;
/** Streams of higher numbers have no image that lasts. */
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
    const entry = this.#entryOf(index);
    const image = entry === 0 ? 0 : (u32[(entry + IMAGE) >>> 2] as number);
    if (image === 0) return undefined;
    return {
      image,
      bytes: u32[(entry + BYTES) >>> 2] as number,
      begunAt: f64[entry >>> 3] as number,
      restoredCount: u32[(entry + RESTORED_COUNT) >>> 2] as number,
    };
  }

  /** From here on a stream that had none has a lasting image. */
  add(index: number, { image, bytes, begunAt, restoredCount }: LastingImage): void {
    const { f64, u32 } = this.#memory;
    const entry = this.#entryOf(index);
    f64[entry >>> 3] = begunAt;
    u32[(entry + RESTORED_COUNT) >>> 2] = restoredCount;
    u32[(entry + BYTES) >>> 2] = bytes;
    u32[(entry + IMAGE) >>> 2] = image;
  }

  /** From here on `image` is the stream's, in place of the one that it had. Nothing happens between the two stores. */
  move(index: number, image: number, bytes: number): void {
    const { u32 } = this.#memory;
    const entry = this.#entryOf(index);
    u32[(entry + BYTES) >>> 2] = bytes;
    u32[(entry + IMAGE) >>> 2] = image;
  }

  /** No image of the stream lasts. */
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

  /** What the directory holds of the heap: its pages, and images. */
  *blocks(): Generator<{ readonly address: number; readonly bytes: number }> {
    const { u32 } = this.#memory;
    for (let page = 0; page < PAGES_MAX; page++) {
      const address = u32[this.#top + page] as number;
      if (address !== 0) yield { address, bytes: PAGE_BYTES };
    }
    for (const { image, bytes } of this.images()) yield { address: image, bytes };
  }

  /** All images, with the numbers of their streams. */
  *images(): Generator<LastingImage & { readonly index: number }> {
    for (let page = 0; page < PAGES_MAX; page++) {
      if (this.#memory.u32[this.#top + page] === 0) continue;
      for (let entry = 0; entry < ENTRIES_PER_PAGE; entry++) {
        const index = page * ENTRIES_PER_PAGE + entry;
        const image = this.get(index);
        if (image !== undefined) yield { index, ...image };
      }
    }
  }

  #pageOf(index: number): number {
    return index < STREAMS_MAX
      ? (this.#memory.u32[this.#top + Math.floor(index / ENTRIES_PER_PAGE)] as number)
      : 0;
  }

  /** Address of the stream's entry; 0: it has no page. */
  #entryOf(index: number): number {
    const page = this.#pageOf(index);
    return page === 0 ? 0 : page + (index % ENTRIES_PER_PAGE) * ENTRY_BYTES;
  }
}
