/** The log is circular: segments are used again, the disk limit holds at every moment, and stale bytes stay stale. */
import { describe, expect, test } from 'vitest';
import { seeded } from '../support/random.ts';
import { frameOf } from './support/frames.ts';
import { codeOf, MIB, newestOf, openOn } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const NO_FRONTIERS = new Map<string, bigint>();

describe('a log that has gone around many times', () => {
  test(
    'never takes more disk than its limit and keeps the newest checkpoint of every stream',
    seeded((random) => {
      const options = { diskBytes: MIB, perStream: 3 };
      const disk = new SimulatedDisk();
      const { store } = openOn(disk, options);
      const newest = new Map<string, bigint>();
      let committed = 0;
      for (let i = 1n; i <= 2500n; i++) {
        // New segments come without blocks, or are filled first.
        disk.tellsFreeBytes = random.chance(0.5);
        const stream = `stream-${random.below(40)}`;
        const frame = frameOf(stream, i, { stateBytes: random.magnitude(12_000) });
        store.commit({ frames: [frame], frontiers: new Map([['s', i]]), generation: 1n });
        newest.set(stream, i);
        committed += frame.bytes.length;
        if (random.chance(0.3)) store.idleStep(random.chance(0.5));
      }
      expect(committed).toBeGreaterThan(2 * MIB);
      expect(disk.bytesMax).toBeLessThanOrEqual(MIB);
      expect(newestOf({ store })).toEqual(newest);
      const after = openOn(
        disk.crash(() => random.chance(0.5)),
        options,
      );
      expect(newestOf(after)).toEqual(newest);
      expect(after.frontiers).toEqual(new Map([['s', 2500n]]));
      expect(after.damage).toEqual([]);
    }),
  );

  test('reuses its files instead of making new ones', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk, { diskBytes: MIB });
    let created = 0;
    disk.before = (operation, path) => {
      if (operation === 'rename' && path.includes('segment-')) created += 1;
    };
    for (let i = 1; i <= 600; i++) {
      store.commit({
        frames: [frameOf('a', i, { stateBytes: 10_000 })],
        frontiers: NO_FRONTIERS,
        generation: 1n,
      });
      store.idleStep();
    }
    expect(created).toBeLessThan(10);
  });

  test('stays small while little of it lives', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk, { diskBytes: 256 * MIB });
    for (let i = 1; i <= 1000; i++) {
      store.commit({
        frames: [frameOf('a', i, { stateBytes: 60_000 })],
        frontiers: NO_FRONTIERS,
        generation: 1n,
      });
      while (store.idleStep());
    }
    expect(disk.bytesMax).toBeLessThan(40 * MIB);
  });
});

describe('a new segment', () => {
  /** What is written for a log that grows by sixty frames of 60,000 bytes, in multiples of these. */
  function writtenWith(
    tellsFreeBytes: boolean,
    step: (store: ReturnType<typeof openOn>['store']) => void,
  ): number {
    const disk = new SimulatedDisk();
    disk.tellsFreeBytes = tellsFreeBytes;
    const { store } = openOn(disk, { diskBytes: 256 * MIB, perStream: 60 });
    for (let i = 1; i <= 60; i++) {
      const frames = [frameOf('a', i, { stateBytes: 60_000 })];
      store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
      step(store);
    }
    expect(store.list('a')).toHaveLength(60);
    return disk.bytesWritten / (60 * 60_000);
  }

  test('is not filled while a commit waits for it', () => {
    expect(writtenWith(true, () => undefined)).toBeLessThan(1.2);
  });

  test('is filled all the same when the disk may have no room for it later', () => {
    expect(writtenWith(false, () => undefined)).toBeGreaterThan(1.9);
  });

  test('is filled ahead of its use when there is time', () => {
    const inQuiet = writtenWith(true, (store) => {
      while (store.idleStep());
    });
    const whileBusy = writtenWith(true, (store) => {
      while (store.idleStep(true));
    });
    expect(inQuiet).toBeGreaterThan(1.9);
    expect(whileBusy).toBeLessThan(1.2);
  });
});

test('a log under constant load grows before it compacts', () => {
  const disk = new SimulatedDisk();
  const { store } = openOn(disk, { diskBytes: 128 * MIB, segmentBytesMax: MIB });
  let committed = 0;
  for (let i = 1; i <= 600; i++) {
    // Every third frame stays, so that no segment becomes free by itself.
    const frame = frameOf(i % 3 === 0 ? `cold-${i}` : `hot-${i % 4}`, i, { stateBytes: 60_000 });
    store.commit({ frames: [frame], frontiers: NO_FRONTIERS, generation: 1n });
    committed += frame.bytes.length;
    while (store.idleStep(true));
  }
  expect(disk.bytesWritten / committed).toBeLessThan(1.1);
});

describe('a full log', () => {
  const options = { diskBytes: MIB, perStream: 3 };

  /** Streams until the store refuses; what it took is returned. */
  function fill(
    log: ReturnType<typeof openOn>,
    stateBytes: number,
  ): { taken: string[]; code: string | undefined } {
    const taken: string[] = [];
    for (let i = 0; i < 1000; i++) {
      const stream = `stream-${i}`;
      const frames = [frameOf(stream, 1, { stateBytes })];
      const frontiers = new Map([['s', BigInt(i)]]);
      const code = codeOf(() => log.store.commit({ frames, frontiers, generation: log.generation }));
      if (code !== undefined) return { taken, code };
      taken.push(stream);
    }
    return { taken, code: undefined };
  }

  test('refuses what does not fit beside the newest checkpoints, and loses none of them', () => {
    const disk = new SimulatedDisk();
    const log = openOn(disk, options);
    const { taken, code } = fill(log, 9000);
    expect(code).toBe('ERR_TIDEMARK_STORE_FULL');
    // More than half of the disk holds newest checkpoints.
    expect(taken.length * 9000).toBeGreaterThan(MIB / 2);
    expect([...log.store.streams()]).toEqual(taken);
    expect(disk.bytesMax).toBeLessThanOrEqual(MIB);
    const after = openOn(
      disk.crash(() => false),
      options,
    );
    expect(new Set(after.store.streams())).toEqual(new Set(taken));
    expect(after.frontiers).toEqual(new Map([['s', BigInt(taken.length - 1)]]));
  });

  test('refuses again at once, without writing', () => {
    const disk = new SimulatedDisk();
    const log = openOn(disk, options);
    fill(log, 9000);
    const { bytesWritten } = disk;
    for (let i = 0; i < 10; i++) {
      const frames = [frameOf('more', 1, { stateBytes: 9000 })];
      const commit = () => log.store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
      expect(codeOf(commit)).toBe('ERR_TIDEMARK_STORE_FULL');
    }
    expect(disk.bytesWritten).toBe(bytesWritten);
  });

  describe('that had a frame larger than a segment', () => {
    const roomy = { diskBytes: 4 * MIB, perStream: 1, segmentBytesMax: 2 ** 17 };

    function commit(
      store: ReturnType<typeof openOn>['store'],
      stream: string,
      stateBytes: number,
      sequence = 1,
    ) {
      const frames = [frameOf(stream, sequence, { stateBytes })];
      return codeOf(() => store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n }));
    }

    test('takes as much as another one once that is dead, though what is older lives', () => {
      const options = { diskBytes: 16 * MIB, perStream: 1, segmentBytesMax: 2 ** 18 };
      /** Commits of small frames that are taken: what these weigh is the limit, before all of the disk is in use. */
      const takenWith = (hugeBytes: number): number => {
        const disk = new SimulatedDisk();
        const { store } = openOn(disk, options);
        for (let taken = 0; ; taken++) {
          if (taken === 7 && hugeBytes > 0) {
            expect(commit(store, 'huge', hugeBytes)).toBeUndefined();
            store.forget('huge');
          }
          const names = Array.from({ length: 125 }, (_, at) => `${taken}-${at}`);
          const frames = names.map((name) => frameOf(name, 1, { stateBytes: 100 }));
          const code = codeOf(() => store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n }));
          if (code === undefined) continue;
          expect(disk.bytesMax).toBeLessThanOrEqual(options.diskBytes);
          return taken;
        }
      };
      expect(takenWith(1.5 * MIB)).toBe(takenWith(0));
    });

    test(
      'can go around whatever dies when: removals succeed, and room comes with them',
      seeded((random) => {
        const disk = new SimulatedDisk();
        const { store } = openOn(disk, roomy);
        const newest = new Map<string, bigint>();
        let refused = 0;
        for (let sequence = 1; sequence <= 1_500; sequence++) {
          const stream = `stream-${random.below(400)}`;
          const isHuge = random.chance(0.02);
          const bytes = isHuge ? random.between(2 ** 17, MIB) : random.magnitude(40_000);
          if (commit(store, stream, bytes, sequence) === undefined) newest.set(stream, BigInt(sequence));
          else {
            refused++;
            for (let left = random.between(1, 40); left > 0 && newest.size > 0; left--) {
              const over = random.pick([...newest.keys()]);
              store.forget(over);
              newest.delete(over);
            }
          }
          if (random.chance(0.3)) store.idleStep(random.chance(0.5));
        }
        expect(refused).toBeGreaterThan(0);
        expect(disk.bytesMax).toBeLessThanOrEqual(roomy.diskBytes);
        expect(newestOf({ store })).toEqual(newest);
        for (const stream of newest.keys()) store.forget(stream);
        expect(commit(store, 'last', MIB)).toBeUndefined();
      }),
    );
  });

  test('takes commits again when streams are forgotten, also after a restart', () => {
    const disk = new SimulatedDisk();
    const log = openOn(disk, options);
    const { taken } = fill(log, 9000);
    const reopened = openOn(
      disk.crash(() => false),
      options,
    );
    for (const { store, generation } of [log, reopened]) {
      for (const stream of taken.slice(0, 30)) store.forget(stream);
      for (let i = 0; i < 20; i++) {
        const frames = [frameOf(`new-${i}`, 1, { stateBytes: 9000 })];
        store.commit({ frames, frontiers: NO_FRONTIERS, generation });
      }
      const streams = new Set(store.streams());
      for (const stream of taken.slice(30)) expect(streams).toContain(stream);
      expect(streams.size).toBe(taken.length - 10);
    }
    expect(disk.bytesMax).toBeLessThanOrEqual(MIB);
  });

  test('gives up older checkpoints before it refuses newer ones', () => {
    const disk = new SimulatedDisk();
    const log = openOn(disk, options);
    const streams = Array.from({ length: 40 }, (_, i) => `stream-${i}`);
    for (let sequence = 1; sequence <= 12; sequence++) {
      for (const stream of streams) {
        const frames = [frameOf(stream, sequence, { stateBytes: 8000 })];
        log.store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
      }
    }
    // Three of each would be 960 KB.
    expect([...newestOf(log).values()]).toEqual(Array(40).fill(12n));
    expect(disk.bytesMax).toBeLessThanOrEqual(MIB);
    expect(
      newestOf(
        openOn(
          disk.crash(() => false),
          options,
        ),
      ).size,
    ).toBe(40);
  });

  test('says that a frame can never fit', () => {
    const { store } = openOn(new SimulatedDisk(), options);
    const frames = [frameOf('huge', 1, { stateBytes: 2 * MIB })];
    const commit = () => store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
    expect(commit).toThrow(/can never fit/);
    store.commit({ frames: [frameOf('a', 1)], frontiers: NO_FRONTIERS, generation: 1n });
  });

  test('goes around with frames that need segments of their own', () => {
    const disk = new SimulatedDisk();
    const large = { diskBytes: 2 * MIB, segmentBytesMax: 128 * 1024, perStream: 3 };
    const { store } = openOn(disk, large);
    for (let i = 1; i <= 60; i++) {
      const frames = [
        frameOf('large', i, { stateBytes: 300_000 }),
        frameOf(`small-${i % 20}`, i, { stateBytes: 3000 }),
      ];
      store.commit({ frames, frontiers: NO_FRONTIERS, generation: 1n });
      store.idleStep();
    }
    expect(disk.bytesMax).toBeLessThanOrEqual(2 * MIB);
    const after = openOn(
      disk.crash(() => false),
      large,
    );
    expect(newestOf(after).size).toBe(21);
    expect(newestOf(after).get('large')).toBe(60n);
  });
});

test('a log that compacts reads little more than it carries', () => {
  const disk = new SimulatedDisk();
  const { store } = openOn(disk, { diskBytes: 64 * MIB, segmentBytesMax: MIB, perStream: 1 });
  let committed = 0;
  for (let i = 1; i <= 2_000; i++) {
    // One frame in ten stays for long, and is carried again and again.
    const frame = frameOf(i % 10 === 0 ? `cold-${i % 400}` : `hot-${i % 4}`, i, { stateBytes: 50_000 });
    store.commit({ frames: [frame], frontiers: new Map([['s', BigInt(i)]]), generation: 1n });
    committed += frame.bytes.length;
    store.idleStep(true);
  }
  const carried = disk.bytesWritten - committed;
  expect(disk.bytesMax).toBeLessThan(32 * MIB);
  expect(carried).toBeGreaterThan(MIB);
  expect(disk.bytesRead).toBeLessThan(1.5 * carried);
});
