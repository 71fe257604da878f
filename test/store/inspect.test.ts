/** What the command line sees of a directory, without changing it. */
import { describe, expect, test } from 'vitest';
import { viewFrame } from '../../src/codec/view.ts';
import { inspectDirectory, readFrame } from '../../src/store/log/inspect.ts';
import { frameOf } from './support/frames.ts';
import { codeOf, DIRECTORY, openOn, segmentFiles } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

function filledDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  const { store } = openOn(disk);
  for (let i = 1; i <= 5; i++) {
    const frames = [frameOf('b', i), frameOf('ä', i), frameOf('a', i, { stateBytes: 100 * i })];
    store.commit({ frames, frontiers: new Map([['s', BigInt(i)]]), generation: 1n });
  }
  store.forget('ä');
  store.close();
  return disk;
}

/** The disk refuses whatever would change it. */
function readOnly(disk: SimulatedDisk): SimulatedDisk {
  disk.before = (operation) => {
    if (operation !== 'open' && operation !== 'read') throw new Error(`an inspection did ${operation}`);
  };
  return disk;
}

describe('an inspection', () => {
  test.each([true, false])(
    'with verify %s lists what an engine would find, and changes nothing',
    (verify) => {
      const disk = readOnly(filledDisk());
      const found = inspectDirectory(disk, DIRECTORY, { verify });
      expect(found.generation).toBe(1n);
      expect(found.frontiers).toEqual(new Map([['s', 5n]]));
      expect(found.damage).toEqual([]);
      expect(found.torn).toBeUndefined();
      expect(found.diskBytes).toBe(disk.usedBytes());
      expect(found.segments).toBe(segmentFiles(disk).length);
      expect(found.streams.map(({ stream }) => stream)).toEqual(['a', 'b']);
      const [a] = found.streams;
      expect(
        a?.checkpoints.map(({ sequence, bytes, commit, good }) => ({ sequence, bytes, commit, good })),
      ).toEqual(
        [3, 4, 5].map((i) => ({
          sequence: BigInt(i),
          bytes: frameOf('a', i, { stateBytes: 100 * i }).bytes.length,
          commit: i,
          good: true,
        })),
      );
      expect(a?.checkpoints[0]?.createdAt).toEqual(new Date(1_700_000_000_000));
      expect(disk.openHandles).toBe(0);
    },
  );

  test('lists a damaged checkpoint as one, beside those that are kept', () => {
    const disk = filledDisk();
    const place = inspectDirectory(disk, DIRECTORY, { verify: false }).streams[1]?.checkpoints.at(-1);
    const bytes = disk.bytesOf(segmentFiles(disk)[0] as string);
    bytes[(place?.offset ?? 0) + 100] = 0xff;
    const found = inspectDirectory(disk, DIRECTORY, { verify: true });
    expect(found.streams[1]?.checkpoints.map(({ good }) => good)).toEqual([true, true, true, false]);
    expect(found.damage).toMatchObject([{ kind: 'frame', stream: 'b', sequence: 5n, commit: 5 }]);
    expect(found.frontiers).toEqual(new Map([['s', 4n]]));
    expect(codeOf(() => readFrame(disk, DIRECTORY, { stream: 'b', sequence: 5n }))).toBe(
      'ERR_TIDEMARK_DAMAGED_FRAME',
    );
    expect(viewFrame(readFrame(disk, DIRECTORY, { stream: 'b' }) as Uint8Array).sequence).toBe(4n);
  });

  test('says where a torn commit is, and that it is no damage', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    store.commit({ frames: [frameOf('a', 1)], frontiers: new Map(), generation: 1n });
    store.commit({ frames: [frameOf('a', 2)], frontiers: new Map(), generation: 1n });
    const file = segmentFiles(disk)[0] as string;
    disk.bytesOf(file).fill(0, 4096 + 512 + 100, 4096 + 512 + 200);
    const found = inspectDirectory(disk, DIRECTORY, { verify: true });
    expect(found.damage).toEqual([]);
    expect(found.torn).toEqual({ file: 'segment-00000001.log', position: 4096 + 512 });
  });
});

describe('a frame that is shown', () => {
  test('is the newest one, or the one of the sequence that is asked for', () => {
    const disk = readOnly(filledDisk());
    const newest = readFrame(disk, DIRECTORY, { stream: 'a' });
    expect(newest).toEqual(frameOf('a', 5, { stateBytes: 500 }).bytes);
    const older = readFrame(disk, DIRECTORY, { stream: 'a', sequence: 4n });
    expect(older).toEqual(frameOf('a', 4, { stateBytes: 400 }).bytes);
    expect(disk.openHandles).toBe(0);
  });

  test('is nothing for a stream or a sequence that is not there', () => {
    const disk = filledDisk();
    expect(readFrame(disk, DIRECTORY, { stream: 'ä' })).toBeUndefined();
    expect(readFrame(disk, DIRECTORY, { stream: 'a', sequence: 1n })).toBeUndefined();
  });
});
