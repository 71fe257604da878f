/** Frontiers that rise when no frame is due: by a report of a shard that comes late, or of duplicates alone. */
import { describe, expect, test, vi } from 'vitest';
import { CommitBench as Bench, LATER_MS, useFakeTimers } from '../support/commit-bench.ts';

useFakeTimers();

describe('frontiers that rise without a frame', () => {
  test('get a commit of their own after a while, when they rose during a commit', async () => {
    const bench = new Bench();
    bench.uncovered = 5n;
    bench.add(0);
    bench.pipeline.kick();
    bench.uncovered = 8n;
    await bench.last().settle();
    expect(bench.commits).toHaveLength(1);
    vi.advanceTimersByTime(LATER_MS);
    expect(bench.commits).toHaveLength(2);
    expect(bench.last().batch).toMatchObject({ frames: [], frontiers: new Map([['file', 8n]]) });
    await bench.last().settle();
    expect(bench.frontiers).toEqual([
      ['file', 5n],
      ['file', 8n],
    ]);
    vi.advanceTimersByTime(LATER_MS);
    expect(bench.commits).toHaveLength(2);
  });

  test('get one, too, when they rise after the last commit has ended', async () => {
    // The report of a shard on its source can come later than the commit of the frame before it.
    const bench = new Bench();
    bench.uncovered = 5n;
    bench.add(0);
    bench.pipeline.kick();
    await bench.last().settle();
    bench.uncovered = undefined;
    bench.reached = 9n;
    bench.pipeline.kick();
    vi.advanceTimersByTime(LATER_MS);
    expect(bench.last().batch).toMatchObject({ frames: [], frontiers: new Map([['file', 9n]]) });
    await bench.last().settle();
    expect(bench.frontiers.at(-1)).toEqual(['file', 9n]);
  });

  test('go with the next frame if one comes first', async () => {
    const bench = new Bench();
    bench.uncovered = 5n;
    bench.add(0);
    bench.pipeline.kick();
    bench.uncovered = 8n;
    await bench.last().settle();
    bench.add(1);
    bench.pipeline.kick();
    expect(bench.last().batch.frontiers.get('file')).toBe(8n);
    vi.advanceTimersByTime(LATER_MS);
    expect(bench.commits).toHaveLength(2);
  });

  test('get none for a source that has not come past its first event: there is nothing to skip', () => {
    const bench = new Bench();
    bench.source.noteOffset(5n);
    bench.uncovered = 5n;
    bench.pipeline.kick();
    vi.advanceTimersByTime(LATER_MS);
    expect(bench.commits).toEqual([]);
  });

  test.each([
    ['every event of a new source was', undefined],
    ['the first event of a new source was', 6n],
  ])('get one when %s dropped', async (_, uncovered) => {
    const bench = new Bench();
    bench.source.noteOffset(5n);
    bench.uncovered = uncovered;
    bench.reached = 9n;
    bench.pipeline.kick();
    vi.advanceTimersByTime(LATER_MS);
    expect(bench.commits).toHaveLength(1);
    expect(bench.last().batch).toMatchObject({ frames: [], frontiers: new Map([['file', uncovered ?? 9n]]) });
    await bench.last().settle();
    vi.advanceTimersByTime(LATER_MS);
    expect(bench.commits).toHaveLength(1);
  });

  test('get none when they are back where they were', async () => {
    const bench = new Bench(new Map([['file', 5n]]));
    bench.reached = 5n;
    for (let turn = 0; turn < 5; turn++) {
      bench.pipeline.kick();
      vi.advanceTimersByTime(LATER_MS);
    }
    expect(bench.commits).toEqual([]);
  });

  test('get none once the pipeline is stopped', async () => {
    const bench = new Bench();
    bench.uncovered = 5n;
    bench.add(0);
    bench.pipeline.kick();
    bench.uncovered = 8n;
    await bench.last().settle();
    bench.pipeline.stop();
    vi.advanceTimersByTime(LATER_MS);
    expect(bench.commits).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
