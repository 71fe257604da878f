/** Removing checkpoints: forgotten streams stay forgotten, over restarts, crashes and compaction. */
import { describe, expect, test } from 'vitest';
import { frameOf } from './support/frames.ts';
import { codeOf, MIB, newestOf, openOn } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const NO_FRONTIERS = new Map<string, bigint>();

describe('forget', () => {
  test('removes everything of a stream, durably', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const frames = [frameOf('a', 1), frameOf('a', 2), frameOf('b', 1)];
    store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
    store.forget('a');
    expect(store.readFrame('a')).toBeUndefined();
    expect([...openOn(disk.crash(() => false)).store.streams()]).toEqual(['b']);
  });

  test('removes several streams in one commit, with all or, after a crash in it, none of them', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const frames = ['a', 'b', 'c', 'd'].map((stream) => frameOf(stream, 1));
    store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
    const before = disk.crash(() => false);
    const operations: string[] = [];
    disk.before = (operation) => void operations.push(operation);
    store.forget('a', 'nobody', 'c', 'a');
    expect(operations.filter((operation) => operation.includes('sync'))).toEqual(['datasync']);
    expect([...store.streams()]).toEqual(['b', 'd']);
    expect([...openOn(disk.crash(() => false)).store.streams()].sort()).toEqual(['b', 'd']);
    expect([...openOn(before).store.streams()].sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  test('of a stream that is not there writes nothing', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const { bytesWritten } = disk;
    store.forget('nobody');
    expect(disk.bytesWritten).toBe(bytesWritten);
  });

  test('lets the name begin again with lower sequences', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    store.commit({ frames: [frameOf('a', 100)], frontiers: NO_FRONTIERS, generation: 1n });
    store.forget('a');
    store.commit({ frames: [frameOf('a', 1)], frontiers: NO_FRONTIERS, generation: 1n });
    expect(newestOf(openOn(disk.copy()))).toEqual(new Map([['a', 1n]]));
  });

  test('holds when compaction has dropped the tombstone, and old segments still hold the frames', () => {
    const options = { diskBytes: MIB, perStream: 1 };
    const disk = new SimulatedDisk();
    const { store } = openOn(disk, options);
    store.commit({ frames: [frameOf('gone', 1)], frontiers: NO_FRONTIERS, generation: 1n });
    store.forget('gone');
    // Several laps over all segments, with a restart after each commit of the last one.
    for (let i = 1; i <= 120; i++) {
      const frames = [frameOf('a', i, { stateBytes: 20_000 }), frameOf('b', i, { stateBytes: 10_000 })];
      store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
      if (i % 7 === 0) expect([...openOn(disk.copy(), options).store.streams()].sort()).toEqual(['a', 'b']);
    }
  });
});

describe('deleteBefore', () => {
  test('removes lower sequences only, durably', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const frames = [1, 2, 3].map((sequence) => frameOf('a', sequence));
    store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
    store.deleteBefore('a', 3n);
    expect(store.list('a').map(({ sequence }) => sequence)).toEqual([3n]);
    const after = openOn(disk.crash(() => false));
    expect(after.store.list('a').map(({ sequence }) => sequence)).toEqual([3n]);
  });

  test('says nothing about what is saved later', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    store.commit({ frames: [frameOf('a', 1), frameOf('a', 9)], frontiers: NO_FRONTIERS, generation: 1n });
    store.deleteBefore('a', 9n);
    store.commit({ frames: [frameOf('a', 2)], frontiers: NO_FRONTIERS, generation: 1n });
    const after = openOn(disk.copy());
    expect(after.store.list('a').map(({ sequence }) => sequence)).toEqual([2n, 9n]);
  });

  test('holds for what compaction gave up, whose segment is not free yet', () => {
    const options = { diskBytes: MIB, perStream: 2 };
    const disk = new SimulatedDisk();
    const { store } = openOn(disk, options);
    const commit = (stream: string, sequence: number): void => {
      const frames = [frameOf(stream, sequence, { stateBytes: 28_000 })];
      store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
    };
    const sequences = (from: typeof store): bigint[] => from.list('a').map(({ sequence }) => sequence);
    for (const sequence of [1, 2]) commit('a', sequence);
    for (const other of ['b', 'c']) commit(other, 1);
    // Others have taken the rest of the disk. Compaction gives up what it can, but finds no blocks to free a segment.
    disk.capacityBytes = disk.blockBytes();
    expect(codeOf(() => commit('d', 1))).toBe('ERR_TIDEMARK_STORE_FULL');
    expect(sequences(store)).toEqual([2n]);
    expect(sequences(openOn(disk.copy(), options).store), 'it is on the disk').toEqual([1n, 2n]);
    store.deleteBefore('a', 2n);
    expect(sequences(openOn(disk.copy(), options).store)).toEqual([2n]);
    const { bytesWritten } = disk;
    store.deleteBefore('a', 2n);
    expect(disk.bytesWritten, 'it is said once').toBe(bytesWritten);
  });

  test('with nothing below writes nothing', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    store.commit({ frames: [frameOf('a', 5)], frontiers: NO_FRONTIERS, generation: 1n });
    const { bytesWritten } = disk;
    store.deleteBefore('a', 5n);
    expect(disk.bytesWritten).toBe(bytesWritten);
  });
});
