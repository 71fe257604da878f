/**
 * The allocator of one arena's heap: slabs for small allocations, page runs for large ones.
 *
 * It runs on the thread that owns the arena and nowhere else, so it needs no locks. What is taken and what
 * is free is known to that thread alone; a new owner rebuilds it from the list of what is live. Only the
 * table of where each page's span begins lies in shared memory: it is written before an address of the
 * span is published, so for whatever is live it is right, whenever the old owner died.
 *
 * Freeing takes the length of the allocation, which every descriptor carries; a mismatch or a double free
 * is a programming error and throws.
 */
import { PageRuns } from './page-runs.ts';
import {
  classOf,
  PAGE_BYTES,
  SIZE_CLASSES,
  type SizeClass,
  SLOT_BYTES_MAX,
  SLOT_BYTES_MIN,
} from './size-classes.ts';

const NONE = -1;
/** Marks of `#spanClass`: a page is free or interior, or begins a large run. */
const NO_SPAN = 255;
const LARGE = 254;
const BITMAP_WORDS_PER_PAGE = PAGE_BYTES / SLOT_BYTES_MIN / 32;

/** Where an allocator works. `base` and `bytes` are multiples of the page size. */
export interface HeapRegion {
  readonly base: number;
  readonly bytes: number;
  /** One word a page, in shared memory. */
  readonly spanTable: Int32Array;
}

export class SlabAllocator {
  readonly base: number;
  readonly bytes: number;
  /** Bytes handed out, padding included. */
  usedBytes = 0;
  readonly #runs: PageRuns;
  /** By first page of a span: its class, its slots in use, its neighbours among spans with room. */
  readonly #spanClass: Uint8Array;
  readonly #spanUsed: Uint16Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** In shared memory, by page: 1 + the first page of the slab span that it belongs to, 0 for none. */
  readonly #spanOf: Int32Array;
  /** By first page of a large run: its pages. */
  readonly #largePages: Int32Array;
  /** One bit a slot, set when taken, from the word of the span's first page on. */
  readonly #taken: Int32Array;
  readonly #withRoom = new Int32Array(SIZE_CLASSES.length).fill(NONE);

  constructor(heap: HeapRegion) {
    const pages = Math.floor(heap.bytes / PAGE_BYTES);
    this.base = heap.base;
    this.bytes = pages * PAGE_BYTES;
    this.#spanOf = heap.spanTable;
    this.#runs = new PageRuns(pages);
    this.#spanClass = new Uint8Array(pages).fill(NO_SPAN);
    this.#spanUsed = new Uint16Array(pages);
    this.#next = new Int32Array(pages).fill(NONE);
    this.#previous = new Int32Array(pages).fill(NONE);
    this.#largePages = new Int32Array(pages);
    this.#taken = new Int32Array(pages * BITMAP_WORDS_PER_PAGE);
  }

  /** An allocator in which exactly `live` is taken. Throws RangeError if that cannot be. */
  static rebuild(heap: HeapRegion, live: Iterable<{ address: number; bytes: number }>): SlabAllocator {
    const allocator = new SlabAllocator(heap);
    // Ascending, because pages are taken from a free run by walking up to them from its begin.
    const ascending = [...live].sort((one, other) => one.address - other.address);
    for (const block of ascending) allocator.#claim(block.address, block.bytes);
    return allocator;
  }

  get freeBytes(): number {
    return this.bytes - this.usedBytes;
  }

  /** Address of `bytes` ≥ 1 bytes, 16-byte aligned, or 0 when there is no room. */
  allocate(bytes: number): number {
    return bytes > SLOT_BYTES_MAX ? this.#allocateRun(bytes) : this.#allocateSlot(classOf(bytes));
  }

  free(address: number, bytes: number): void {
    if (bytes > SLOT_BYTES_MAX) this.#freeRun(address, bytes);
    else this.#freeSlot(address, classOf(bytes));
  }

  /** Whether `allocate(bytes)` would succeed now. */
  fits(bytes: number): boolean {
    const address = this.allocate(bytes);
    if (address === 0) return false;
    this.free(address, bytes);
    return true;
  }

  #allocateRun(bytes: number): number {
    const pages = Math.ceil(bytes / PAGE_BYTES);
    const first = this.#takePages(pages);
    if (first === NONE) return 0;
    this.#markRun(first, pages);
    return this.base + first * PAGE_BYTES;
  }

  #markRun(first: number, pages: number): void {
    this.#spanClass[first] = LARGE;
    this.#largePages[first] = pages;
    this.usedBytes += pages * PAGE_BYTES;
  }

  #freeRun(address: number, bytes: number): void {
    const first = (address - this.base) / PAGE_BYTES;
    const pages = Math.ceil(bytes / PAGE_BYTES);
    if (this.#spanClass[first] !== LARGE || this.#largePages[first] !== pages) {
      throw new RangeError(`no allocation of ${bytes} bytes at ${address}`);
    }
    this.#spanClass[first] = NO_SPAN;
    this.#largePages[first] = 0;
    this.#runs.release(first, pages);
    this.usedBytes -= pages * PAGE_BYTES;
  }

  #allocateSlot(classIndex: number): number {
    const sizeClass = SIZE_CLASSES[classIndex] as SizeClass;
    let span = this.#withRoom[classIndex] as number;
    if (span === NONE) {
      span = this.#newSpan(classIndex, sizeClass);
      if (span === NONE) return 0;
    }
    const slot = this.#firstFreeSlot(span);
    this.#takeSlot(span, slot, classIndex, sizeClass);
    return this.base + span * PAGE_BYTES + slot * sizeClass.slotBytes;
  }

  #firstFreeSlot(span: number): number {
    let word = span * BITMAP_WORDS_PER_PAGE;
    const first = word;
    // A span on the list has room, so a clear bit is found before the span's slots end.
    while (this.#taken[word] === -1) word++;
    const free = ~(this.#taken[word] as number);
    return (word - first) * 32 + (31 - Math.clz32(free & -free));
  }

  #takeSlot(span: number, slot: number, classIndex: number, sizeClass: SizeClass): void {
    this.#taken[span * BITMAP_WORDS_PER_PAGE + (slot >>> 5)]! |= 1 << (slot & 31);
    const used = (this.#spanUsed[span] as number) + 1;
    this.#spanUsed[span] = used;
    if (used === sizeClass.slots) this.#unlink(span, classIndex);
    this.usedBytes += sizeClass.slotBytes;
  }

  #freeSlot(address: number, classIndex: number): void {
    const sizeClass = SIZE_CLASSES[classIndex] as SizeClass;
    const page = Math.floor((address - this.base) / PAGE_BYTES);
    const span = (this.#spanOf[page] ?? 0) - 1;
    const slot = span < 0 ? NONE : (address - this.base - span * PAGE_BYTES) / sizeClass.slotBytes;
    const word = span * BITMAP_WORDS_PER_PAGE + (slot >>> 5);
    const bit = 1 << (slot & 31);
    if (
      span < 0 ||
      this.#spanClass[span] !== classIndex ||
      !Number.isInteger(slot) ||
      (this.#taken[word]! & bit) === 0
    ) {
      throw new RangeError(`no allocation of class ${sizeClass.slotBytes} at ${address}`);
    }
    this.#taken[word]! &= ~bit;
    this.usedBytes -= sizeClass.slotBytes;
    const used = (this.#spanUsed[span] as number) - 1;
    this.#spanUsed[span] = used;
    if (used === sizeClass.slots - 1) {
      this.#releaseEmptySpan(classIndex);
      this.#link(span, classIndex);
    }
    // The last span with room stays, or else a stream that frees and allocates one frame would thrash.
    if (used === 0 && !this.#isOnlySpanWithRoom(span, classIndex))
      this.#releaseSpan(span, classIndex, sizeClass);
  }

  #isOnlySpanWithRoom(span: number, classIndex: number): boolean {
    return this.#withRoom[classIndex] === span && this.#next[span] === NONE;
  }

  #newSpan(classIndex: number, sizeClass: SizeClass): number {
    const first = this.#takePages(sizeClass.spanPages);
    if (first !== NONE) this.#markSpan(first, classIndex, sizeClass);
    return first;
  }

  #takePages(count: number): number {
    const first = this.#runs.take(count);
    if (first !== NONE) return first;
    this.#releaseEmptySpans();
    return this.#runs.take(count);
  }

  #markSpan(first: number, classIndex: number, sizeClass: SizeClass): void {
    this.#spanClass[first] = classIndex;
    this.#spanUsed[first] = 0;
    this.#spanOf.fill(first + 1, first, first + sizeClass.spanPages);
    const word = first * BITMAP_WORDS_PER_PAGE;
    this.#taken.fill(0, word, word + sizeClass.spanPages * BITMAP_WORDS_PER_PAGE);
    this.#link(first, classIndex);
  }

  #releaseSpan(span: number, classIndex: number, sizeClass: SizeClass): void {
    this.#unlink(span, classIndex);
    this.#spanClass[span] = NO_SPAN;
    this.#spanOf.fill(0, span, span + sizeClass.spanPages);
    this.#runs.release(span, sizeClass.spanPages);
  }

  #releaseEmptySpans(): void {
    for (let classIndex = 0; classIndex < SIZE_CLASSES.length; classIndex++)
      this.#releaseEmptySpan(classIndex);
  }

  /** Gives back the empty span that a class may keep. It is alone on its list, so at the head. */
  #releaseEmptySpan(classIndex: number): void {
    const span = this.#withRoom[classIndex] as number;
    if (span === NONE || this.#spanUsed[span] !== 0) return;
    this.#releaseSpan(span, classIndex, SIZE_CLASSES[classIndex] as SizeClass);
  }

  #link(span: number, classIndex: number): void {
    const head = this.#withRoom[classIndex] as number;
    this.#next[span] = head;
    this.#previous[span] = NONE;
    if (head !== NONE) this.#previous[head] = span;
    this.#withRoom[classIndex] = span;
  }

  #unlink(span: number, classIndex: number): void {
    const next = this.#next[span] as number;
    const previous = this.#previous[span] as number;
    if (previous === NONE) this.#withRoom[classIndex] = next;
    else this.#next[previous] = next;
    if (next !== NONE) this.#previous[next] = previous;
  }

  #claim(address: number, bytes: number): void {
    const page = Math.floor((address - this.base) / PAGE_BYTES);
    if (bytes > SLOT_BYTES_MAX) {
      if ((address - this.base) % PAGE_BYTES !== 0) throw new RangeError(`no page begins at ${address}`);
      const pages = Math.ceil(bytes / PAGE_BYTES);
      this.#runs.takeAt(page, pages);
      this.#markRun(page, pages);
      return;
    }
    const classIndex = classOf(bytes);
    const sizeClass = SIZE_CLASSES[classIndex] as SizeClass;
    const span = (this.#spanOf[page] ?? 0) - 1;
    if (span < 0 || page >= span + sizeClass.spanPages) throw new RangeError(`no span holds ${address}`);
    if (this.#spanClass[span] === NO_SPAN) {
      this.#runs.takeAt(span, sizeClass.spanPages);
      this.#markSpan(span, classIndex, sizeClass);
    }
    const slot = (address - this.base - span * PAGE_BYTES) / sizeClass.slotBytes;
    const taken = this.#taken[span * BITMAP_WORDS_PER_PAGE + (slot >>> 5)] ?? -1;
    const isSlot = Number.isInteger(slot) && slot < sizeClass.slots;
    if (this.#spanClass[span] !== classIndex || !isSlot || (taken & (1 << (slot & 31))) !== 0) {
      throw new RangeError(`the allocation of ${bytes} bytes at ${address} overlaps another or is none`);
    }
    this.#takeSlot(span, slot, classIndex, sizeClass);
  }
}
