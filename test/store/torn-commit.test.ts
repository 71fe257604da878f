/**
 * Crash: the machine stops while a commit is being written. Lost would be the earlier commits if the scan
 * gave up or believed garbage, or half of the torn one if its frames counted one by one. Neither happens: a
 * commit that was never acknowledged is believed whole or not at all.
 */
import { describe, expect, test } from 'vitest';
import { seeded } from '../support/random.ts';
import { frameOf } from './support/frames.ts';
import { codeOf, newestOf, openOn, segmentFiles } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const EARLIER = new Map([
  ['a', 2n],
  ['b', 1n],
]);

/** A disk with acknowledged commits, and where the last commit, which was not, lies on it. */
function diskWithLastCommit(): { disk: SimulatedDisk; file: string; start: number; end: number } {
  const disk = new SimulatedDisk();
  const { store } = openOn(disk);
  store.commit({
    frames: [frameOf('a', 1), frameOf('b', 1)],
    frontiers: new Map([['s', 1n]]),
    generation: 1n,
  });
  store.commit({ frames: [frameOf('a', 2)], frontiers: new Map([['s', 2n]]), generation: 1n });
  const file = segmentFiles(disk)[0] as string;
  const before = new Uint8Array(disk.bytesOf(file));
  const frames = [frameOf('a', 3), frameOf('b', 2, { stateBytes: 700 }), frameOf('c', 1)];
  store.commit({ frames, frontiers: new Map([['s', 3n]]), generation: 1n });
  const after = disk.bytesOf(file);
  const changed = [...after.keys()].filter((at) => after[at] !== before[at]);
  return { disk, file, start: changed[0] as number, end: (changed.at(-1) as number) + 1 };
}

function expectEarlierOnly(disk: SimulatedDisk): void {
  const log = openOn(disk);
  expect(newestOf(log)).toEqual(EARLIER);
  expect(log.frontiers).toEqual(new Map([['s', 2n]]));
  expect(log.damage).toEqual([]);
  // The log goes on, and what it writes over the torn commit is what counts from then on.
  const frontiers = new Map([['s', 9n]]);
  log.store.commit({ frames: [frameOf('d', 9)], frontiers, generation: log.generation });
  const again = openOn(disk.copy());
  expect(newestOf(again)).toEqual(new Map([...EARLIER, ['d', 9n]]));
  expect(again.frontiers).toEqual(frontiers);
  expect(again.damage).toEqual([]);
}

describe('a last commit that was cut', () => {
  const { disk, file, start, end } = diskWithLastCommit();
  const cuts: number[] = [];
  for (let cut = start; cut < end; cut += 64) cuts.push(cut);

  test('is there when nothing of it is missing', () => {
    expect(newestOf(openOn(disk.copy()))).toEqual(
      new Map([
        ['a', 3n],
        ['b', 2n],
        ['c', 1n],
      ]),
    );
  });

  test.each(cuts)('with zeros from byte %i on counts as never written', (cut) => {
    const torn = disk.copy();
    torn.bytesOf(file).fill(0, cut, end);
    expectEarlierOnly(torn);
  });

  test.each(cuts)('with zeros up to byte %i counts as never written', (cut) => {
    const torn = disk.copy();
    torn.bytesOf(file).fill(0, start, cut + 64);
    expectEarlierOnly(torn);
  });

  test.each(cuts)('with garbage from byte %i on counts as never written', (cut) => {
    const torn = disk.copy();
    torn.bytesOf(file).fill(0xa5, cut, end);
    expectEarlierOnly(torn);
  });

  test.each(cuts)('in a file that ends at byte %i counts as never written', (cut) => {
    const torn = disk.copy();
    torn.replace(file, torn.bytesOf(file).slice(0, cut));
    const log = openOn(torn);
    expect(newestOf(log)).toEqual(EARLIER);
    expect(log.frontiers).toEqual(new Map([['s', 2n]]));
    expect(log.damage.map(({ kind }) => kind)).toEqual(['segment-truncated']);
    log.store.commit({ frames: [frameOf('d', 9)], frontiers: new Map(), generation: log.generation });
    expect(newestOf(openOn(torn.copy()))).toEqual(new Map([...EARLIER, ['d', 9n]]));
  });

  test(
    'with any sectors missing is there whole or not at all',
    seeded((random) => {
      for (let round = 0; round < 200; round++) {
        const torn = disk.copy();
        const bytes = torn.bytesOf(file);
        let missing = 0;
        for (let at = start; at < end; at += 512) {
          if (!random.chance(0.3)) continue;
          missing += 1;
          bytes.fill(0, at, at + 512);
        }
        if (missing > 0) expectEarlierOnly(torn);
      }
    }),
  );
});

describe('a torn commit whose number is given again', () => {
  test('leaves remains that are never taken for the new one', () => {
    // The remains are longer than the new commit, have the same number, and one sector of them is lost.
    const { disk, file, start } = diskWithLastCommit();
    const torn = disk.copy();
    torn.bytesOf(file).fill(0, start, start + 512);
    for (let life = 0; life < 4; life++) {
      const log = openOn(torn.copy());
      expect(newestOf(log)).toEqual(EARLIER);
    }
    const { store, generation } = openOn(torn);
    store.commit({ frames: [], frontiers: new Map([['s', 3n]]), generation });
    const after = openOn(torn.copy());
    expect(newestOf(after)).toEqual(EARLIER);
    expect(after.frontiers).toEqual(new Map([['s', 3n]]));
    expect(after.damage).toEqual([]);
  });

  test('is not taken for damage when the number was given to a commit in the next segment', () => {
    // The torn one needs little room, the one that gets its number more than the segment has left.
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const options = { frontiers: new Map<string, bigint>(), generation: 1n };
    store.commit({ frames: [frameOf('a', 1, { stateBytes: 200_000 })], ...options });
    const file = segmentFiles(disk)[0] as string;
    const before = new Uint8Array(disk.bytesOf(file));
    store.commit({ frames: [frameOf('b', 1), frameOf('c', 1)], ...options });
    const changed = disk.bytesOf(file).findIndex((byte, at) => byte !== before[at]);
    const torn = disk.copy();
    torn.bytesOf(file).fill(0, changed, changed + 64);
    const second = openOn(torn);
    const frames = [frameOf('d', 1, { stateBytes: 100_000 })];
    second.store.commit({ frames, frontiers: new Map(), generation: second.generation });
    second.store.close();
    const third = openOn(torn);
    expect(third.damage).toEqual([]);
    expect([...third.store.streams()].sort()).toEqual(['a', 'd']);
  });
});

describe('a commit that found no blocks, and another one of the same number and generation in its place', () => {
  const FRAMES = ['a', 'b'];

  /** The file when the disk had refused the first one in its midst, and when the second one was written. */
  function refusedThenWritten(): { disk: SimulatedDisk; file: string; refused: Uint8Array; start: number } {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const commit = (salt: number): void => {
      const frames = FRAMES.map((stream) => frameOf(stream, 2, { stateBytes: 9000, salt }));
      store.commit({ frames, frontiers: new Map([['s', 2n]]), generation: 1n });
    };
    const frames = FRAMES.map((stream) => frameOf(stream, 1));
    store.commit({ frames, frontiers: new Map([['s', 1n]]), generation: 1n });
    const file = segmentFiles(disk)[0] as string;
    const before = new Uint8Array(disk.bytesOf(file));
    // Blocks for the first frame and a part of the second.
    disk.capacityBytes = disk.blockBytes() + 12_288;
    expect(codeOf(() => commit(1))).toBe('ERR_TIDEMARK_STORE_FULL');
    const refused = new Uint8Array(disk.bytesOf(file));
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    commit(2);
    return { disk: disk.copy(), file, refused, start: refused.findIndex((byte, at) => byte !== before[at]) };
  }

  test('are never joined, though the frame of the first and the end of the second are whole', () => {
    const { disk, file, refused, start } = refusedThenWritten();
    expect(newestOf(openOn(disk.copy()))).toEqual(new Map(FRAMES.map((stream) => [stream, 2n])));
    // The frame of `a` as the first had it; all else is of the second.
    const length = 64 + Math.ceil(frameOf('a', 2, { stateBytes: 9000, salt: 1 }).bytes.length / 64) * 64;
    disk.bytesOf(file).set(refused.subarray(start, start + length), start);
    const log = openOn(disk);
    expect(newestOf(log)).toEqual(new Map(FRAMES.map((stream) => [stream, 1n])));
    expect(log.frontiers).toEqual(new Map([['s', 1n]]));
    expect(log.damage).toEqual([]);
  });
});
