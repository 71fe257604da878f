/**
 * Directories of format 1 as they were left on disks, by this version and by earlier ones: each opens to what was in it.
 * Made by test/golden/directories/make.ts, and kept as long as the format is read.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { inspectDirectory } from '../../src/store/log/inspect.ts';
import { decodeSegmentHeaders } from '../../src/store/log/segment-header.ts';
import { frameOf } from './support/frames.ts';
import { DIRECTORY, openOn, segmentFiles } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

interface GoldenDirectory {
  readonly options: { diskBytes: number; segmentBytesMax: number; perStream: number };
  readonly expected: { streams: Record<string, string[]>; frontiers: Record<string, string> };
  readonly files: Record<string, string>;
}

const FOLDER = new URL('../golden/directories/', import.meta.url);

function golden(name: string): GoldenDirectory {
  return JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')) as GoldenDirectory;
}

function diskOf({ files }: GoldenDirectory): SimulatedDisk {
  const disk = new SimulatedDisk();
  for (const [file, packed] of Object.entries(files)) {
    disk.replace(`${DIRECTORY}/${file}`, new Uint8Array(gunzipSync(Buffer.from(packed, 'base64'))));
  }
  return disk;
}

function lapsOf(disk: SimulatedDisk): { laps: number[]; previousIndexes: number[] } {
  const headers = segmentFiles(disk).map((file) =>
    decodeSegmentHeaders(disk.bytesOf(file).subarray(0, 4096)),
  );
  return {
    laps: headers.map(({ header }) => header?.lap ?? -1),
    previousIndexes: headers.map(({ header }) => header?.previousIndex ?? -1),
  };
}

function contentsOf(log: ReturnType<typeof openOn>): GoldenDirectory['expected'] {
  const streams: Record<string, string[]> = {};
  for (const stream of [...log.store.streams()].sort()) {
    streams[stream] = log.store.list(stream).map(({ sequence }) => String(sequence));
    for (const { sequence } of log.store.list(stream)) {
      const shape = { stateBytes: 100 + 97 * (Number(sequence) % 50) };
      expect(log.store.readFrame(stream, sequence)).toEqual(frameOf(stream, sequence, shape).bytes);
    }
  }
  const frontiers = [...log.frontiers].map(([source, offset]) => [source, String(offset)]);
  return { streams, frontiers: Object.fromEntries(frontiers) as Record<string, string> };
}

/** What is special about each. */
const KINDS = {
  closed: { isTorn: false, hasIndexes: true },
  killed: { isTorn: false, hasIndexes: true },
  torn: { isTorn: true, hasIndexes: true },
  recycled: { isTorn: false, hasIndexes: true },
  'before-index': { isTorn: false, hasIndexes: false },
  'before-index-killed': { isTorn: false, hasIndexes: false },
};

test('every golden directory is looked at', () => {
  const there = readdirSync(FOLDER).filter((file) => file.endsWith('.json'));
  expect(there.sort()).toEqual(
    Object.keys(KINDS)
      .map((name) => `${name}.json`)
      .sort(),
  );
});

describe.each(Object.entries(KINDS))('the golden directory %s', (name, { isTorn, hasIndexes }) => {
  const directory = golden(name);
  const { expected, options } = directory;

  test('is what its name says', () => {
    const { laps, previousIndexes } = lapsOf(diskOf(directory));
    expect(laps.length).toBeGreaterThan(1);
    expect(previousIndexes.some((position) => position > 0)).toBe(hasIndexes);
    if (name === 'recycled') expect(Math.max(...laps)).toBeGreaterThan(laps.length);
  });

  test('verifies without damage', () => {
    const { damage, torn, streams } = inspectDirectory(diskOf(directory), DIRECTORY, { verify: true });
    expect(damage).toEqual([]);
    expect(torn !== undefined).toBe(isTorn);
    expect(streams.map(({ stream }) => stream)).toEqual(Object.keys(expected.streams));
  });

  test('opens to what was in it, and goes on', () => {
    const disk = diskOf(directory);
    const log = openOn(disk, options);
    expect(log.damage).toEqual([]);
    expect(log.lost).toEqual([]);
    expect(log.fellBack.size).toBe(0);
    expect(contentsOf(log)).toEqual(expected);
    const frontiers = new Map([['source', 10_000n]]);
    const { generation } = log;
    const shape = { stateBytes: 100 };
    log.store.commit({ frames: [frameOf('new', 10_000, shape)], frontiers, generation });
    log.store.close();
    const again = openOn(disk, options);
    expect(again.damage).toEqual([]);
    expect(contentsOf(again)).toEqual({
      streams: Object.fromEntries(
        Object.entries({ ...expected.streams, new: ['10000'] }).sort(([a], [b]) => (a < b ? -1 : 1)),
      ),
      frontiers: { source: '10000' },
    });
  });
});
