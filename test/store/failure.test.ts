/**
 * Operations of the disk that fail. Lost would be the truth: after a failed sync the page cache may say "written" while
 * the disk has nothing, so a retry that succeeds proves nothing. The store says so once and never writes again.
 */
import { describe, expect, test } from 'vitest';
import { frameOf } from './support/frames.ts';
import { codeOf, MIB, newestOf, openOn, segmentFiles } from './support/log.ts';
import { type Operation, SimulatedDisk, systemError } from './support/simulated-disk.ts';

const NO_FRONTIERS = new Map<string, bigint>();

function commit(log: ReturnType<typeof openOn>, sequence: number, stateBytes = 100): string | undefined {
  const frames = [frameOf('a', sequence, { stateBytes })];
  return codeOf(() => log.store.commit({ frames, frontiers: NO_FRONTIERS, generation: log.generation }));
}

/** The n-th `operation` from now on fails with `code`, and only that one. */
function failOnce(disk: SimulatedDisk, operation: Operation, code: string, nth = 1): void {
  let left = nth;
  disk.before = (what, path) => {
    if (what !== operation) return;
    left -= 1;
    if (left === 0) throw systemError(code, path);
  };
}

describe('a store whose disk failed', () => {
  test.each([
    ['datasync', 'EIO'],
    ['writev', 'EIO'],
    ['datasync', 'ENOSPC'],
  ] as const)('once in %s with %s refuses everything from then on', (operation, code) => {
    const disk = new SimulatedDisk();
    const log = openOn(disk);
    expect(commit(log, 1)).toBeUndefined();
    failOnce(disk, operation, code);
    expect(commit(log, 2)).toBe('ERR_TIDEMARK_STORE_FAILED');
    // The disk works again, but what it did with the failed commit is not known.
    expect(commit(log, 3)).toBe('ERR_TIDEMARK_STORE_FAILED');
    expect(codeOf(() => log.store.forget('a'))).toBe('ERR_TIDEMARK_STORE_FAILED');
    expect(log.store.idleStep()).toBe(false);
    log.store.close();
    const after = openOn(disk.crash(() => false));
    expect(newestOf(after)).toEqual(new Map([['a', 1n]]));
    expect(commit(after, 3)).toBeUndefined();
  });

  test('while a new segment gets its name ends, with that cause, and leaves no file open', () => {
    const disk = new SimulatedDisk();
    const log = openOn(disk);
    failOnce(disk, 'syncDirectory', 'EIO');
    const work = () =>
      log.store.commit({ frames: [frameOf('a', 1)], frontiers: NO_FRONTIERS, generation: 1n });
    expect(work).toThrow(expect.objectContaining({ cause: expect.objectContaining({ code: 'EIO' }) }));
    log.store.close();
    expect(disk.openHandles).toBe(0);
    expect(newestOf(openOn(disk.crash(() => true)))).toEqual(new Map());
  });

  test('keeps the cause', () => {
    const disk = new SimulatedDisk();
    const log = openOn(disk);
    failOnce(disk, 'datasync', 'EIO');
    const work = () =>
      log.store.commit({ frames: [frameOf('a', 1)], frontiers: NO_FRONTIERS, generation: 1n });
    expect(work).toThrow(expect.objectContaining({ cause: expect.objectContaining({ code: 'EIO' }) }));
  });

  test('does not call a commit durable that only a later sync would make so', () => {
    const disk = new SimulatedDisk();
    const log = openOn(disk);
    expect(commit(log, 1)).toBeUndefined();
    failOnce(disk, 'datasync', 'EIO');
    expect(commit(log, 2)).toBe('ERR_TIDEMARK_STORE_FAILED');
    log.store.close();
    expect(newestOf(openOn(disk.crash(() => false)))).toEqual(new Map([['a', 1n]]));
  });
});

describe('a disk without space', () => {
  test('makes the store full, not failed, while a new segment is made', () => {
    const disk = new SimulatedDisk();
    const log = openOn(disk, { diskBytes: 16 * MIB });
    expect(commit(log, 1)).toBeUndefined();
    let isFull = true;
    disk.before = (operation, path) => {
      if (isFull && operation === 'writev' && path.endsWith('.tmp')) throw systemError('ENOSPC', path);
    };
    let refused: string | undefined;
    let sequence = 2;
    for (; refused === undefined; sequence++) refused = commit(log, sequence, 100_000);
    expect(refused).toBe('ERR_TIDEMARK_STORE_FULL');
    expect(newestOf(log).get('a')).toBe(BigInt(sequence - 2));
    isFull = false;
    log.store.forget('nobody');
    expect(
      newestOf(
        openOn(
          disk.crash(() => false),
          { diskBytes: 16 * MIB },
        ),
      ).get('a'),
    ).toBe(BigInt(sequence - 2));
    expect(commit(log, sequence, 100_001)).toBeUndefined();
    expect(newestOf(log).get('a')).toBe(BigInt(sequence));
  });

  test.each(['ENOSPC', 'EDQUOT'])('found by a commit with %s refuses that one, and goes on', (code) => {
    const disk = new SimulatedDisk();
    const log = openOn(disk);
    expect(commit(log, 1)).toBeUndefined();
    failOnce(disk, 'writev', code);
    expect(commit(log, 2, 50_000)).toBe('ERR_TIDEMARK_STORE_FULL');
    expect(newestOf(log)).toEqual(new Map([['a', 1n]]));
    expect(newestOf(openOn(disk.crash(() => true)))).toEqual(new Map([['a', 1n]]));
    expect(commit(log, 3)).toBeUndefined();
    expect(newestOf(openOn(disk.crash(() => false)))).toEqual(new Map([['a', 3n]]));
  });

  test('has holes of a head that only a later commit needs: a segment with blocks takes its place', () => {
    const disk = new SimulatedDisk();
    const log = openOn(disk, { diskBytes: 16 * MIB });
    let sequence = 1;
    // The second segment comes without blocks; the first one is free once four newer checkpoints are in the second.
    while (segmentFiles(disk).length < 2) expect(commit(log, sequence++, 60_000)).toBeUndefined();
    for (let i = 0; i < 4; i++) expect(commit(log, sequence++, 60_000)).toBeUndefined();
    expect(disk.blockBytes()).toBeLessThan(disk.usedBytes());
    disk.capacityBytes = disk.blockBytes();
    for (let i = 0; i < 500; i++) expect(commit(log, sequence++, 60_000)).toBeUndefined();
    expect(newestOf(log)).toEqual(new Map([['a', BigInt(sequence - 1)]]));
    const after = openOn(
      disk.crash(() => false),
      { diskBytes: 16 * MIB },
    );
    expect(after.damage).toEqual([]);
    expect(newestOf(after)).toEqual(newestOf(log));
  });

  test('while a hole is filled ahead is no failure', () => {
    const disk = new SimulatedDisk();
    const log = openOn(disk, { diskBytes: 16 * MIB });
    expect(commit(log, 1)).toBeUndefined();
    disk.capacityBytes = disk.blockBytes();
    expect(log.store.idleStep()).toBe(false);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    expect(log.store.idleStep()).toBe(true);
    while (log.store.idleStep());
    disk.capacityBytes = disk.blockBytes();
    for (let sequence = 2; sequence < 12; sequence++) expect(commit(log, sequence, 60_000)).toBeUndefined();
  });

  test('while the directory is made is an error that says what to do, and leaves no lock', () => {
    const disk = new SimulatedDisk();
    failOnce(disk, 'writev', 'ENOSPC');
    expect(codeOf(() => openOn(disk))).toBe('ERR_TIDEMARK_STORE_FAILED');
    expect(disk.openHandles).toBe(0);
    expect(openOn(disk).generation).toBe(1n);
  });
});

describe('an opening that fails', () => {
  test('at any operation leaves no file open and no lock, and the next one succeeds', () => {
    const disk = new SimulatedDisk();
    const first = openOn(disk);
    expect(commit(first, 1)).toBeUndefined();
    first.store.close();
    for (const operation of ['open', 'read', 'writev', 'datasync'] as const) {
      for (let nth = 1; nth < 20; nth++) {
        const copy = disk.copy();
        failOnce(copy, operation, 'EIO', nth);
        if (codeOf(() => openOn(copy).store.close()) === undefined) break;
        expect(copy.openHandles, `${operation} ${nth}`).toBe(0);
        copy.before = () => {};
        expect(newestOf(openOn(copy)), `${operation} ${nth}`).toEqual(new Map([['a', 1n]]));
      }
    }
  });
});

describe('writes and reads that move less than they were asked to', () => {
  test('go on until all has moved', () => {
    const disk = new SimulatedDisk();
    const { writev, read } = disk;
    disk.writev = (handle, buffers, position) => {
      const [first] = buffers;
      const part = (first as Uint8Array).subarray(0, 1000);
      return writev.call(disk, handle, [part], position);
    };
    disk.read = (handle, target, position) => read.call(disk, handle, target.subarray(0, 777), position);
    const log = openOn(disk);
    expect(commit(log, 1, 50_000)).toBeUndefined();
    expect(commit(log, 2, 10)).toBeUndefined();
    expect(log.store.readFrame('a', 1n)).toEqual(frameOf('a', 1, { stateBytes: 50_000 }).bytes);
    expect(newestOf(openOn(disk.crash(() => false)))).toEqual(new Map([['a', 2n]]));
  });
});
