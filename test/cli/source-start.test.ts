import { describe, expect, test } from 'vitest';
import type { ExpiredPolicy, JobSource, SourceRange } from '../../src/cli/job.ts';
import { startOf } from '../../src/cli/source-start.ts';

function sourceWith(range: JobSource['range']): JobSource {
  return { name: 'numbers', async *read() {}, ...(range === undefined ? {} : { range }) };
}

function start(range: JobSource['range'], position: bigint | undefined, policy: ExpiredPolicy = 'fail') {
  return startOf(sourceWith(range), { position, policy, signal: new AbortController().signal });
}

const kept = (): SourceRange => ({ earliest: 100, latest: 300n });

describe('a run reads on', () => {
  test.each([
    ['where it left off, of a source that cannot tell', undefined, 5n],
    ['where it left off', kept, 200n],
    ['at the first offset that is there', kept, 100n],
    ['at the end', kept, 300n],
    ['from the start, when nothing was read yet', kept, undefined],
  ])('%s', async (_, range, position) => {
    for (const policy of ['fail', 'earliest', 'latest'] as const)
      expect(await start(range, position, policy)).toEqual({ from: position, skipped: undefined });
  });
});

describe('a source that has lost what is to be read next', () => {
  test('fails the run by itself', async () => {
    await expect(start(kept, 99n)).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_TIDEMARK_SOURCE_EXPIRED',
        message: expect.stringContaining('begins at offset 100, but 99 is the next'),
      }),
    );
  });

  test('is read from its earliest or its latest offset if the job says so', async () => {
    expect(await start(kept, 99n, 'earliest')).toEqual({ from: 100n, skipped: { from: 99n, to: 100n } });
    expect(await start(async () => kept(), 7n, 'latest')).toEqual({
      from: 300n,
      skipped: { from: 7n, to: 300n },
    });
  });
});

test.each(['fail', 'earliest', 'latest'] as const)(
  'a source that ends before the position is another one (%s)',
  async (policy) => {
    await expect(start(kept, 301n, policy)).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_TIDEMARK_SOURCE_EXPIRED',
        message: expect.stringContaining('use another directory'),
      }),
    );
  },
);

describe('a source that does not tell its range', () => {
  test.each([
    [undefined],
    [{ earliest: 1 }],
    [{ earliest: 2, latest: 1 }],
    [{ earliest: -1, latest: 1 }],
    [{ earliest: 0.5, latest: 1 }],
    [{ earliest: '1', latest: '2' }],
  ])('rightly is refused: %j', async (range) => {
    await expect(start(() => range as unknown as SourceRange, 1n)).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_TIDEMARK_INVALID_JOB' }),
    );
  });

  test('because it fails, fails the run, which may be tried again', async () => {
    const range = (): never => {
      throw new Error('connection refused');
    };
    await expect(start(range, 1n)).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_TIDEMARK_SOURCE',
        retryable: true,
        message: expect.stringContaining('connection refused'),
      }),
    );
  });

  test('at all does not keep a run from ending', async () => {
    const stop = new AbortController();
    const asked = startOf(
      sourceWith(() => new Promise(() => {})),
      { position: 4n, policy: 'fail', signal: stop.signal },
    );
    stop.abort();
    expect(await asked).toEqual({ from: 4n, skipped: undefined });
  });
});
