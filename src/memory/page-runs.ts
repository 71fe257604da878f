/**
 * Runs of free pages: allocation from the smallest list that has one, coalescing on free.
 *
 * Invariants, of the one thread that owns the arena:
 * - every page is in exactly one run, free or taken; no two free runs are neighbours;
 * - `runPages` holds the length of a free run at its first and at its last page, 0 everywhere else;
 * - list `b` links the free runs of 2^b … 2^(b+1) − 1 pages through `next`/`previous` at their first page;
 *   the run that ends the arena is in no list, `top` is its first page.
 *
 * A run is cut from its low end and the top, which holds all pages that were never touched, is used last:
 * the first touch of a page is what costs.
 */

const NONE = -1;
/** Runs of the exactly fitting list that are looked at before a larger list is taken. */
const FIT_TRIES = 8;

export class PageRuns {
  readonly pages: number;
  freePages: number;
  readonly #runPages: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #heads = new Int32Array(32).fill(NONE);
  #top = NONE;

  constructor(pages: number) {
    this.pages = pages;
    this.freePages = pages;
    this.#runPages = new Int32Array(pages);
    this.#next = new Int32Array(pages).fill(NONE);
    this.#previous = new Int32Array(pages).fill(NONE);
    this.#link(0, pages);
  }

  /** First page of a run of `count` pages, or -1. */
  take(count: number): number {
    const first = this.#find(count);
    if (first === NONE) return NONE;
    this.#cut(first, first, count);
    return first;
  }

  /** Takes exactly these pages, which must be free: for rebuilding from a list of what is live. */
  takeAt(first: number, count: number): void {
    let start = first;
    while (start >= 0 && !(this.#isFreeStart(start) && start + this.#length(start) > first)) start--;
    if (start < 0 || start + this.#length(start) < first + count) {
      throw new RangeError(`pages ${first}–${first + count - 1} are taken already`);
    }
    this.#cut(start, first, count);
  }

  release(first: number, count: number): void {
    let start = first;
    let length = count;
    const before = first > 0 ? this.#length(first - 1) : 0;
    if (before > 0) {
      start = first - before;
      length += before;
      this.#unlink(start, before);
    }
    const after = first + count < this.pages ? this.#length(first + count) : 0;
    if (after > 0) {
      length += after;
      this.#unlink(first + count, after);
    }
    this.#link(start, length);
    this.freePages += count;
  }

  #find(count: number): number {
    const exact = listOf(count);
    let tries = FIT_TRIES;
    for (let run = this.#head(exact); run !== NONE && tries > 0; run = this.#next[run] as number, tries--) {
      if (this.#length(run) >= count) return run;
    }
    for (let list = exact + 1; list < this.#heads.length; list++) {
      if (this.#head(list) !== NONE) return this.#head(list);
    }
    if (this.#topPages() >= count) return this.#top;
    // The tries bound the common case; before memory counts as full, the whole exact list is searched.
    for (let run = this.#head(exact); run !== NONE; run = this.#next[run] as number) {
      if (this.#length(run) >= count) return run;
    }
    return NONE;
  }

  /** Takes [first, first + count) out of the free run that begins at `run`. */
  #cut(run: number, first: number, count: number): void {
    const length = this.#length(run);
    this.#unlink(run, length);
    if (first > run) this.#link(run, first - run);
    const rest = run + length - (first + count);
    if (rest > 0) this.#link(first + count, rest);
    this.freePages -= count;
  }

  #link(first: number, length: number): void {
    this.#runPages[first] = length;
    this.#runPages[first + length - 1] = length;
    if (first + length === this.pages) {
      this.#top = first;
      return;
    }
    const list = listOf(length);
    const head = this.#head(list);
    this.#next[first] = head;
    this.#previous[first] = NONE;
    if (head !== NONE) this.#previous[head] = first;
    this.#heads[list] = first;
  }

  #unlink(first: number, length: number): void {
    this.#runPages[first] = 0;
    this.#runPages[first + length - 1] = 0;
    if (first === this.#top) {
      this.#top = NONE;
      return;
    }
    const next = this.#next[first] as number;
    const previous = this.#previous[first] as number;
    if (previous === NONE) this.#heads[listOf(length)] = next;
    else this.#next[previous] = next;
    if (next !== NONE) this.#previous[next] = previous;
  }

  #isFreeStart(page: number): boolean {
    const length = this.#length(page);
    if (length === 0) return false;
    if (page === this.#top) return true;
    const previous = this.#previous[page] as number;
    return previous === NONE ? this.#head(listOf(length)) === page : this.#next[previous] === page;
  }

  #topPages(): number {
    return this.#top === NONE ? 0 : this.pages - this.#top;
  }

  #length(page: number): number {
    return this.#runPages[page] as number;
  }

  #head(list: number): number {
    return this.#heads[list] as number;
  }
}

function listOf(pages: number): number {
  return 31 - Math.clz32(pages);
}
