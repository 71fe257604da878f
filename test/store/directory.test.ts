/** Which directories are ours, and what survives when the files that say so are damaged. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { xxh64 } from '../../src/codec/xxh64.ts';
import { inspectDirectory } from '../../src/store/log/inspect.ts';
import { nodePorts } from '../../src/store/log/node-ports.ts';
import { openLog } from '../../src/store/log/open-log.ts';
import { encodeSuperblock } from '../../src/store/log/superblock.ts';
import { frameOf } from './support/frames.ts';
import { codeOf, DIRECTORY, MIB, newestOf, openOn, segmentFiles } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const SUPERBLOCK = `${DIRECTORY}/SUPERBLOCK`;
const OPTIONS = { diskBytes: 4 * MIB, perStream: 3 };

/** Three generations with a few commits each, in several segments. */
function filledDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  let sequence = 0;
  for (let life = 0; life < 3; life++) {
    const { store, generation } = openOn(disk, OPTIONS);
    for (let i = 0; i < 10; i++) {
      sequence += 1;
      const frames = [frameOf('a', sequence, { stateBytes: 30_000 }), frameOf('b', sequence)];
      store.commit({ frames, frontiers: new Map([['s', BigInt(sequence)]]), generation });
    }
    store.close();
  }
  return disk;
}

const NEWEST = new Map([
  ['a', 30n],
  ['b', 30n],
]);
const FRONTIERS = new Map([['s', 30n]]);

function kinds(log: { damage: readonly { kind: string }[] }): string[] {
  return log.damage.map(({ kind }) => kind);
}

describe('a directory that is not ours', () => {
  const made: string[] = [];
  afterEach(() => {
    for (const directory of made.splice(0)) rmSync(directory, { recursive: true });
  });

  function directoryWith(files: Record<string, string | Uint8Array>): string {
    const directory = mkdtempSync(join(tmpdir(), 'tidemark-store-'));
    made.push(directory);
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(directory, name), bytes);
    return directory;
  }

  test.each([
    ['a text', { 'notes.txt': 'hello' }],
    ['a file with the name of our superblock', { SUPERBLOCK: 'something else entirely' }],
    ['a file with the name of our segments', { 'segment-00000001.log': new Uint8Array(10_000) }],
    ['a lock and something else', { LOCK: '', 'data.db': 'x' }],
  ])('because it holds %s is refused and left as it is', (_, files) => {
    const directory = directoryWith(files);
    expect(codeOf(() => openLog(nodePorts, directory, OPTIONS))).toBe('ERR_TIDEMARK_NOT_A_STORE');
    const inspect = () => inspectDirectory(nodePorts.fileSystem, directory, { verify: true });
    expect(codeOf(inspect)).toBe('ERR_TIDEMARK_NOT_A_STORE');
    expect(readdirSync(directory).sort()).toEqual(Object.keys(files).sort());
    for (const [name, bytes] of Object.entries(files)) {
      expect(readFileSync(join(directory, name))).toEqual(Buffer.from(bytes));
    }
  });

  test('because it is a file is refused and left as it is', () => {
    const file = join(directoryWith({ 'notes.txt': 'hello' }), 'notes.txt');
    expect(codeOf(() => openLog(nodePorts, file, OPTIONS))).toBe('ERR_TIDEMARK_NOT_A_STORE');
    const inspect = () => inspectDirectory(nodePorts.fileSystem, file, { verify: true });
    expect(codeOf(inspect)).toBe('ERR_TIDEMARK_NOT_A_STORE');
    expect(readFileSync(file, 'utf8')).toBe('hello');
  });

  test('because it does not exist is nothing to inspect, but can be opened', () => {
    const directory = join(directoryWith({}), 'deep', 'down');
    const inspect = () => inspectDirectory(nodePorts.fileSystem, directory, { verify: false });
    expect(codeOf(inspect)).toBe('ERR_TIDEMARK_NOT_A_STORE');
    openLog(nodePorts, directory, OPTIONS).store.close();
    expect(inspect().streams).toEqual([]);
  });

  test('is told from one where an engine died before it began', () => {
    const leftovers = { LOCK: '', 'SUPERBLOCK.tmp': 'half', 'segment-00000001.tmp': new Uint8Array(4096) };
    const directory = directoryWith(leftovers);
    const { store, generation } = openLog(nodePorts, directory, OPTIONS);
    expect(generation).toBe(1n);
    store.commit({ frames: [frameOf('a', 1)], frontiers: new Map(), generation });
    store.close();
    expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('that cannot be made is an error that says what to do', () => {
    const directory = directoryWith({ file: '' });
    expect(codeOf(() => openLog(nodePorts, join(directory, 'file', 'below'), OPTIONS))).toBe(
      'ERR_TIDEMARK_STORE_FAILED',
    );
  });
});

describe('the superblock', () => {
  test.each([
    ['the first slot', [0]],
    ['the second slot', [4096]],
  ])('with %s damaged serves by the other one, with a greater generation', (_, positions) => {
    const disk = filledDisk();
    for (const at of positions) disk.bytesOf(SUPERBLOCK).fill(0xff, at, at + 4096);
    const log = openOn(disk, OPTIONS);
    expect(kinds(log)).toEqual(['superblock']);
    expect(log.generation).toBeGreaterThan(3n);
    expect(newestOf(log)).toEqual(NEWEST);
    expect(log.frontiers).toEqual(FRONTIERS);
    expect(kinds(openOn(disk.copy(), OPTIONS))).toEqual([]);
  });

  test.each([
    ['damaged in both slots', (disk: SimulatedDisk) => disk.bytesOf(SUPERBLOCK).fill(7)],
    ['empty', (disk: SimulatedDisk) => disk.replace(SUPERBLOCK, new Uint8Array())],
    ['missing', (disk: SimulatedDisk) => disk.remove(SUPERBLOCK)],
  ])('%s is made anew from the segments, with a greater generation', (_, damage) => {
    const disk = filledDisk();
    damage(disk);
    const log = openOn(disk, OPTIONS);
    expect(kinds(log).every((kind) => kind === 'superblock')).toBe(true);
    expect(kinds(log).length).toBeGreaterThan(0);
    expect(log.generation).toBeGreaterThan(3n);
    expect(newestOf(log)).toEqual(NEWEST);
    expect(log.frontiers).toEqual(FRONTIERS);
    log.store.close();
    const again = openOn(disk, OPTIONS);
    expect(again.damage).toEqual([]);
    expect(again.generation).toBeGreaterThan(log.generation);
  });

  test('of a later format is refused with a clear error, and left as it is', () => {
    const disk = filledDisk();
    const slot = encodeSuperblock({
      directoryId: new Uint8Array(16).fill(7),
      counter: 99,
      generation: 9,
      durableCommit: 0,
      carryCommit: 0,
      settledCommit: 0,
      perStream: 3,
      diskBytes: MIB,
      headIndex: 0,
    });
    const view = new DataView(slot.buffer);
    view.setUint32(8, 2, true);
    view.setBigUint64(504, xxh64(slot, 0, 504), true);
    disk.bytesOf(SUPERBLOCK).set(slot, 0);
    const before = new Uint8Array(disk.bytesOf(SUPERBLOCK));
    expect(codeOf(() => openOn(disk, OPTIONS))).toBe('ERR_TIDEMARK_UNSUPPORTED');
    expect(disk.bytesOf(SUPERBLOCK)).toEqual(before);
  });
});

describe('the header of a segment', () => {
  test.each([0, 2048])('with the copy at %i damaged serves by the other one and is mended', (at) => {
    const disk = filledDisk();
    for (const file of segmentFiles(disk)) disk.bytesOf(file).fill(0xee, at, at + 100);
    const log = openOn(disk, OPTIONS);
    expect(new Set(kinds(log))).toEqual(new Set(['segment-header']));
    expect(newestOf(log)).toEqual(NEWEST);
    expect(log.frontiers).toEqual(FRONTIERS);
    log.store.close();
    const live = inspectDirectory(disk, DIRECTORY, { verify: false });
    expect(live.damage.length).toBeLessThan(segmentFiles(disk).length);
  });

  test('lost in both copies costs no checkpoint', () => {
    const disk = filledDisk();
    for (const file of segmentFiles(disk)) {
      const copy = disk.copy();
      copy.bytesOf(file).fill(0, 0, 4096);
      const log = openOn(copy, OPTIONS);
      expect(kinds(log)).toEqual(['segment-header']);
      expect(newestOf(log)).toEqual(NEWEST);
      const frames = [frameOf('c', 1)];
      log.store.commit({ frames, frontiers: new Map(), generation: log.generation });
      log.store.close();
      expect(newestOf(openOn(copy, OPTIONS)).size).toBe(3);
    }
  });
});

describe('a segment', () => {
  test('that was deleted is missed, and the frontier does not claim what was in it', () => {
    const disk = filledDisk();
    for (const file of segmentFiles(disk)) {
      const copy = disk.copy();
      copy.remove(file);
      const log = openOn(copy, OPTIONS);
      const offset = log.frontiers.get('s') ?? 0n;
      for (const stream of ['a', 'b']) {
        expect(offset).toBeLessThanOrEqual(newestOf(log).get(stream) ?? 0n);
      }
    }
  });

  test('of another directory is left alone and reported', () => {
    const disk = filledDisk();
    const other = new SimulatedDisk();
    const opened = openOn(other, OPTIONS);
    opened.store.commit({ frames: [frameOf('x', 1)], frontiers: new Map(), generation: 1n });
    const bytes = new Uint8Array(other.bytesOf(segmentFiles(other)[0] as string));
    // The directory id follows the magic and the version in each copy.
    for (const at of [0, 2048]) {
      bytes.fill(9, at + 16, at + 32);
      new DataView(bytes.buffer).setBigUint64(at + 504, xxh64(bytes, at, at + 504), true);
    }
    disk.replace(`${DIRECTORY}/segment-00000099.log`, bytes);
    const log = openOn(disk, OPTIONS);
    expect(kinds(log)).toEqual(['segment-foreign']);
    expect(newestOf(log)).toEqual(NEWEST);
    log.store.close();
    expect(disk.bytesOf(`${DIRECTORY}/segment-00000099.log`)).toEqual(bytes);
  });
});

describe('options', () => {
  test.each([
    { diskBytes: MIB - 1 },
    { diskBytes: Number.NaN },
    { perStream: 0 },
    { perStream: 1.5 },
    { lockWaitMs: -1 },
    { segmentBytesMax: 1000 },
    { diskBytes: MIB, segmentBytesMax: MIB },
  ])('%j are refused before anything is made', (wrong) => {
    const disk = new SimulatedDisk();
    expect(codeOf(() => openOn(disk, wrong))).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
    expect(disk.usedBytes()).toBe(0);
  });

  test('may ask for less disk later on', () => {
    const disk = new SimulatedDisk();
    const first = openOn(disk, { diskBytes: 16 * MIB });
    for (let i = 1; i <= 200; i++) {
      first.store.commit({
        frames: [frameOf('a', i, { stateBytes: 60_000 })],
        frontiers: new Map(),
        generation: 1n,
      });
    }
    first.store.close();
    const { store, generation } = openOn(disk, { diskBytes: 12 * MIB });
    for (let i = 201; i <= 400; i++) {
      store.commit({ frames: [frameOf('a', i, { stateBytes: 60_000 })], frontiers: new Map(), generation });
    }
    expect(disk.usedBytes()).toBeLessThanOrEqual(12 * MIB);
  });
});
