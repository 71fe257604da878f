/** What a log promises while nothing goes wrong. */
import { describe, expect, test } from 'vitest';
import { viewFrame } from '../../src/codec/view.ts';
import { findLog } from '../../src/store/log/open-log.ts';
import { namesOf } from '../../src/store/log/packed-names.ts';
import { frameOf } from './support/frames.ts';
import { codeOf, DIRECTORY, MIB, newestOf, openOn, portsOn } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const NO_FRONTIERS = new Map<string, bigint>();

describe('a log that is opened', () => {
  test('begins with generation 1 and nothing in it', () => {
    const log = openOn(new SimulatedDisk());
    expect(log.generation).toBe(1n);
    expect(log.frontiers).toEqual(NO_FRONTIERS);
    expect([...log.store.streams()]).toEqual([]);
    expect(log.damage).toEqual([]);
  });

  test('gives a greater generation each time', () => {
    const disk = new SimulatedDisk();
    const generations = [1, 2, 3].map(() => {
      const { store, generation } = openOn(disk);
      store.close();
      return generation;
    });
    expect(generations).toEqual([1n, 2n, 3n]);
  });

  test('gives a greater generation after a crash, too', () => {
    const disk = new SimulatedDisk();
    openOn(disk);
    expect(openOn(disk.crash(() => false)).generation).toBe(2n);
  });

  test.each(['an index', 'a scan'])(
    'says by %s of which generation its checkpoints are, not its commits',
    (by) => {
      const disk = new SimulatedDisk();
      openOn(disk).store.close();
      const { store } = openOn(disk);
      const frames = [frameOf('old', 1, { generation: 1n }), frameOf('new', 1, { generation: 2n })];
      store.commit({ frames, frontiers: NO_FRONTIERS, generation: 2n });
      if (by === 'an index') store.close();
      const found = findLog(portsOn(by === 'an index' ? disk : disk.crash(() => false)), DIRECTORY, {
        diskBytes: 4 * MIB,
        perStream: 3,
      });
      const { names, generations } = found.newest.columns();
      expect(new Map(namesOf(names).map((name, i) => [name, generations[i]]))).toEqual(
        new Map([
          ['old', 1],
          ['new', 2],
        ]),
      );
    },
  );

  test('has the newest checkpoint of each stream and the frontiers after a clean end', () => {
    const disk = new SimulatedDisk();
    const first = openOn(disk);
    const frames = [frameOf('a', 1), frameOf('b', 5), frameOf('a', 2)];
    first.store.commit({ frames, frontiers: new Map([['source', 7n]]), generation: 1n });
    first.store.close();
    const second = openOn(disk);
    expect(newestOf(second)).toEqual(
      new Map([
        ['a', 2n],
        ['b', 5n],
      ]),
    );
    expect(second.frontiers).toEqual(new Map([['source', 7n]]));
    expect(second.fellBack.size).toBe(0);
    expect(second.lost).toEqual([]);
  });

  test('has them after a crash that keeps only what was synced', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    for (let i = 1; i <= 20; i++) {
      store.commit({ frames: [frameOf('a', i)], frontiers: new Map([['s', BigInt(i)]]), generation: 1n });
    }
    const after = openOn(disk.crash(() => false));
    expect(newestOf(after)).toEqual(new Map([['a', 20n]]));
    expect(after.frontiers).toEqual(new Map([['s', 20n]]));
  });

  test('leaves no file open when it is closed', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    store.commit({ frames: [frameOf('a', 1)], frontiers: NO_FRONTIERS, generation: 1n });
    while (store.idleStep());
    store.close();
    store.close();
    expect(disk.openHandles).toBe(0);
  });
});

describe('a commit', () => {
  test('returns the bytes that went in', () => {
    const { store } = openOn(new SimulatedDisk());
    const frames = [frameOf('small', 1), frameOf('large', 1, { stateBytes: 100_000 })];
    store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
    for (const { stream, bytes } of frames) expect(store.readFrame(stream)).toEqual(bytes);
    expect(store.readFrame('none')).toBeUndefined();
    expect(store.readFrame('small', 9n)).toBeUndefined();
  });

  test('replaces a checkpoint of the same stream and sequence', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const [before, after] = [frameOf('a', 1), frameOf('a', 1, { salt: 1 })];
    store.commit({ frames: [before], frontiers: NO_FRONTIERS, generation: 1n });
    store.commit({ frames: [after], frontiers: NO_FRONTIERS, generation: 1n });
    expect(store.readFrame('a', 1n)).toEqual(after.bytes);
    expect(store.list('a')).toHaveLength(1);
    expect(openOn(disk.crash(() => false)).store.readFrame('a')).toEqual(after.bytes);
  });

  test('without frames makes changed frontiers durable, and writes nothing when none changed', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    store.commit({ frames: [frameOf('a', 1)], frontiers: new Map([['s', 1n]]), generation: 1n });
    store.commit({ frames: [], frontiers: new Map([['s', 2n]]), generation: 1n });
    const { bytesWritten } = disk;
    store.commit({ frames: [], frontiers: new Map([['s', 2n]]), generation: 1n });
    expect(disk.bytesWritten).toBe(bytesWritten);
    expect(openOn(disk.crash(() => false)).frontiers).toEqual(new Map([['s', 2n]]));
  });

  test('keeps the frontiers of sources that it does not name', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    store.commit({ frames: [frameOf('a', 1)], frontiers: new Map([['s', 1n]]), generation: 1n });
    store.commit({ frames: [frameOf('a', 2)], frontiers: new Map([['t', 5n]]), generation: 1n });
    expect(openOn(disk.copy()).frontiers).toEqual(
      new Map([
        ['s', 1n],
        ['t', 5n],
      ]),
    );
  });

  test('larger than a segment is split, and only its last part carries the frontiers', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk, { diskBytes: 8 * MIB, segmentBytesMax: 128 * 1024 });
    const frames = Array.from({ length: 100 }, (_, i) => frameOf(`stream-${i}`, 1, { stateBytes: 8000 }));
    const marks: ReadonlyMap<string, bigint>[] = [];
    disk.before = (operation) => {
      if (operation === 'datasync') marks.push(openOn(disk.crash(() => false)).frontiers);
    };
    store.commit({ frames, frontiers: new Map([['s', 1n]]), generation: 1n });
    disk.before = () => {};
    expect(marks.length).toBeGreaterThan(5);
    expect(marks.every((frontiers) => frontiers.size === 0)).toBe(true);
    const after = openOn(disk.crash(() => false));
    expect(after.frontiers).toEqual(new Map([['s', 1n]]));
    expect(newestOf(after).size).toBe(100);
  });

  test('with a frame larger than a segment gives it one of its own', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk, { diskBytes: 8 * MIB, segmentBytesMax: 128 * 1024 });
    const large = frameOf('large', 1, { stateBytes: 1_000_000 });
    store.commit({
      frames: [frameOf('a', 1), large, frameOf('b', 1)],
      frontiers: NO_FRONTIERS,
      generation: 1n,
    });
    const after = openOn(
      disk.crash(() => false),
      { diskBytes: 8 * MIB, segmentBytesMax: 128 * 1024 },
    );
    expect(after.store.readFrame('large')).toEqual(large.bytes);
    expect([...after.store.streams()].sort()).toEqual(['a', 'b', 'large']);
  });

  test('of another generation is fenced', () => {
    const disk = new SimulatedDisk();
    openOn(disk).store.close();
    const { store } = openOn(disk);
    const batch = { frames: [frameOf('a', 1)], frontiers: NO_FRONTIERS };
    expect(codeOf(() => store.commit({ ...batch, generation: 1n }))).toBe('ERR_TIDEMARK_FENCED');
    expect([...store.streams()]).toEqual([]);
    store.commit({ ...batch, generation: 2n });
  });

  test('of bytes that are no frame is refused and leaves nothing', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const junk = { stream: 'a', sequence: 1n, bytes: new Uint8Array(100) };
    const commit = () =>
      store.commit({ frames: [frameOf('b', 1), junk], frontiers: NO_FRONTIERS, generation: 1n });
    expect(codeOf(commit)).toBe('ERR_TIDEMARK_DAMAGED_FRAME');
    store.commit({ frames: [frameOf('c', 1)], frontiers: NO_FRONTIERS, generation: 1n });
    expect([...openOn(disk.copy()).store.streams()]).toEqual(['c']);
  });

  test('on a closed store is refused', () => {
    const { store } = openOn(new SimulatedDisk());
    store.close();
    const commit = () => store.commit({ frames: [], frontiers: NO_FRONTIERS, generation: 1n });
    expect(codeOf(commit)).toBe('ERR_TIDEMARK_CLOSED');
    expect(codeOf(() => store.readFrame('a'))).toBe('ERR_TIDEMARK_CLOSED');
  });
});

describe('retention', () => {
  test('keeps the newest checkpoints of a stream, in memory and over a restart', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk, { perStream: 2 });
    for (let i = 1; i <= 5; i++) {
      store.commit({ frames: [frameOf('a', i)], frontiers: NO_FRONTIERS, generation: 1n });
    }
    expect(store.list('a').map(({ sequence }) => sequence)).toEqual([4n, 5n]);
    store.close();
    const after = openOn(disk, { perStream: 2 });
    expect(after.store.list('a').map(({ sequence }) => sequence)).toEqual([4n, 5n]);
  });

  test('orders by sequence, not by the order of saving', () => {
    const { store } = openOn(new SimulatedDisk());
    const frames = [3, 1, 2].map((sequence) => frameOf('a', sequence));
    store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
    expect(store.list('a').map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n]);
    expect(viewFrame(store.readFrame('a') as Uint8Array).sequence).toBe(3n);
  });

  test('takes the whole range of sequences', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const greatest = 2n ** 64n - 1n;
    const frames = [frameOf('a', greatest), frameOf('a', 0n), frameOf('a', 2n ** 63n)];
    store.commit({ frames, frontiers: new Map([['s', greatest]]), generation: 1n });
    const after = openOn(disk.copy());
    expect(after.store.list('a').map(({ sequence }) => sequence)).toEqual([0n, 2n ** 63n, greatest]);
    expect(after.frontiers.get('s')).toBe(greatest);
  });
});

describe('names', () => {
  test('may be any well-formed text, the empty one too', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const names = ['', ' ', '\0', '\ufeffmark', 'é', '😀', 'a'.repeat(5000), '../up', 'segment-00000001.log'];
    const frames = names.map((name) => frameOf(name, 1));
    store.commit({ frames, frontiers: new Map(names.map((name) => [name, 1n])), generation: 1n });
    const after = openOn(disk.copy());
    expect(new Set(after.store.streams())).toEqual(new Set(names));
    expect(new Set(after.frontiers.keys())).toEqual(new Set(names));
  });
});
