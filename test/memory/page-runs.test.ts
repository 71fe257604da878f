import { describe, expect, test } from 'vitest';
import { PageRuns } from '../../src/memory/page-runs.ts';
import { type Random, seeded } from '../support/random.ts';

const PAGES = 400;

/** One flag a page: slow and obvious. */
class NaivePages {
  readonly taken: boolean[];

  constructor(pages: number) {
    this.taken = new Array<boolean>(pages).fill(false);
  }

  isFree(first: number, count: number): boolean {
    return (
      first >= 0 &&
      first + count <= this.taken.length &&
      !this.taken.slice(first, first + count).includes(true)
    );
  }

  set(first: number, count: number, taken: boolean): void {
    this.taken.fill(taken, first, first + count);
  }

  freeRuns(): number[] {
    return this.taken
      .map((taken) => (taken ? 'x' : '.'))
      .join('')
      .split(/x+/)
      .map((run) => run.length)
      .filter((length) => length > 0);
  }

  longestRun(): number {
    return Math.max(0, ...this.freeRuns());
  }

  get freePages(): number {
    return this.taken.filter((taken) => !taken).length;
  }
}

interface Run {
  readonly first: number;
  readonly count: number;
}

class Comparison {
  readonly runs = new PageRuns(PAGES);
  readonly model = new NaivePages(PAGES);
  live: Run[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  take(count: number): void {
    const first = this.runs.take(count);
    if (first < 0) {
      expect(this.model.longestRun()).toBeLessThan(count);
      return;
    }
    this.#taken({ first, count });
  }

  takeAt(run: Run): void {
    if (!this.model.isFree(run.first, run.count)) {
      expect(() => this.runs.takeAt(run.first, run.count)).toThrow(RangeError);
      return;
    }
    this.runs.takeAt(run.first, run.count);
    this.#taken(run);
  }

  release(): void {
    if (this.live.length === 0) return;
    const [run] = this.live.splice(this.#random.below(this.live.length), 1) as [Run];
    this.runs.release(run.first, run.count);
    this.model.set(run.first, run.count, false);
  }

  check(): void {
    expect(this.runs.freePages).toBe(this.model.freePages);
    const longest = this.model.longestRun();
    expect(this.runs.take(longest + 1)).toBe(-1);
    if (longest === 0) return;
    // Taken and released it is the run that it was.
    const first = this.runs.take(longest);
    expect(this.model.isFree(first, longest)).toBe(true);
    this.runs.release(first, longest);
  }

  #taken(run: Run): void {
    expect(this.model.isFree(run.first, run.count)).toBe(true);
    this.model.set(run.first, run.count, true);
    this.live.push(run);
  }
}

describe('against a flag for every page', () => {
  test(
    'takes only free pages, and fails only when no run is long enough',
    seeded((random) => {
      const comparison = new Comparison(random);
      for (let step = 0; step < 5_000; step++) {
        const kind = random.below(4);
        if (kind <= 1) comparison.release();
        else if (kind === 2) comparison.take(random.magnitude(PAGES));
        else comparison.takeAt({ first: random.below(PAGES), count: random.magnitude(40) });
        comparison.check();
      }
    }),
  );

  test(
    'one run of all pages is left when everything was released in any order',
    seeded((random) => {
      for (let round = 0; round < 20; round++) {
        const comparison = new Comparison(random);
        while (comparison.runs.freePages > 0)
          comparison.take(random.between(1, Math.min(9, comparison.model.longestRun())));
        while (comparison.live.length > 0) comparison.release();
        comparison.check();
        expect(comparison.runs.take(PAGES)).toBe(0);
      }
    }),
  );
});

describe('coalescing', () => {
  test('a released run joins the free run before it, the one behind it, and both', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [0, 2, 1],
      [1, 0, 2],
    ]) {
      const runs = new PageRuns(12);
      for (let i = 0; i < 3; i++) runs.takeAt(i * 4, 4);
      for (const i of order) runs.release(i * 4, 4);
      expect(runs.take(12)).toBe(0);
    }
  });

  test('runs that do not touch stay apart', () => {
    const runs = new PageRuns(12);
    runs.takeAt(0, 12);
    runs.release(0, 4);
    runs.release(8, 4);
    expect(runs.freePages).toBe(8);
    expect(runs.take(5)).toBe(-1);
    expect([runs.take(4), runs.take(4)].sort((a, b) => a - b)).toEqual([0, 8]);
  });
});

describe('low pages first', () => {
  test('fresh runs ascend from the first page without gaps', () => {
    const runs = new PageRuns(100);
    expect([runs.take(3), runs.take(1), runs.take(10), runs.take(86), runs.take(1)]).toEqual([
      0, 3, 4, 14, -1,
    ]);
  });

  test('a hole that fits is used before pages that were never touched', () => {
    const runs = new PageRuns(100);
    runs.take(20);
    runs.take(1);
    runs.release(0, 20);
    // Cutting the untouched run makes it the newest of its list.
    runs.takeAt(21, 5);
    expect(runs.take(18)).toBe(0);
  });

  test('a hole that fits is used before untouched pages of about the same number', () => {
    const runs = new PageRuns(200);
    runs.take(70);
    runs.take(1);
    runs.release(0, 70);
    runs.takeAt(71, 9);
    // Both free runs, 70 and 120 pages, are in the list of 64 to 127, the untouched one in front.
    expect(runs.take(65)).toBe(0);
  });

  test(
    'pages that were touched are reused: the mark of the highest stays near what is in use',
    seeded((random) => {
      const runs = new PageRuns(20_000);
      const live: Run[] = [];
      let used = 0;
      let highest = 0;
      for (let step = 0; step < 30_000; step++) {
        const count = random.between(1, 20);
        if (used + count > 1_000) {
          const [run] = live.splice(random.below(live.length), 1) as [Run];
          runs.release(run.first, run.count);
          used -= run.count;
          continue;
        }
        const first = runs.take(count);
        live.push({ first, count });
        used += count;
        highest = Math.max(highest, first + count);
      }
      expect(highest).toBeLessThan(1_600);
    }),
  );
});

test('pages outside the arena are never free', () => {
  const runs = new PageRuns(10);
  expect(() => runs.takeAt(8, 3)).toThrow(RangeError);
  expect(() => runs.takeAt(10, 1)).toThrow(RangeError);
  expect(() => runs.takeAt(-1, 2)).toThrow(RangeError);
  expect(runs.freePages).toBe(10);
});
