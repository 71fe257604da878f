/**
 * Bytes that turn bad after they were durable. Lost would be more than those bytes if damage were taken for
 * the end of the log, and events would be lost if a stream fell back without the frontiers. Neither happens.
 */
import { describe, expect, test } from 'vitest';
import { viewFrame } from '../../src/codec/view.ts';
import { inspectDirectory } from '../../src/store/log/inspect.ts';
import { type Random, seeded } from '../support/random.ts';
import { frameOf } from './support/frames.ts';
import { DIRECTORY, newestOf, openOn, segmentFiles } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const STREAMS = 5;
const ROUNDS = 12;

/** Streams are saved in turn; after round r the frontier is 10 × r. Closed cleanly, so all of it is known durable. */
function filledDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  const { store } = openOn(disk);
  for (let round = 1; round <= ROUNDS; round++) {
    const frames = Array.from({ length: STREAMS }, (_, i) =>
      frameOf(`stream-${i}`, round, { stateBytes: 200 }),
    );
    store.commit({ frames, frontiers: new Map([['s', BigInt(10 * round)]]), generation: 1n });
  }
  store.close();
  return disk;
}

function find(disk: SimulatedDisk, stream: string, sequence: bigint): { file: string; position: number } {
  const { streams } = inspectDirectory(disk, DIRECTORY, { verify: false });
  const checkpoints = streams.find((found) => found.stream === stream)?.checkpoints ?? [];
  const checkpoint = checkpoints.find((found) => found.sequence === sequence);
  if (checkpoint === undefined) throw new Error(`no checkpoint of ${stream} at ${sequence}`);
  return { file: segmentFiles(disk)[0] as string, position: checkpoint.offset };
}

function flip(disk: SimulatedDisk, place: { file: string; position: number }, offset: number): void {
  const bytes = disk.bytesOf(place.file);
  bytes[place.position + offset] = (bytes[place.position + offset] as number) ^ 0x10;
}

describe('a damaged newest frame', () => {
  test.each([
    ['its state', 100],
    ['the header of its record', 20],
  ])('in %s makes its stream fall back, and the frontier with it', (_, offset) => {
    const disk = filledDisk();
    flip(disk, find(disk, 'stream-2', 12n), offset);
    const log = openOn(disk);
    expect(newestOf(log).get('stream-2')).toBe(11n);
    expect(log.fellBack.get('stream-2')).toMatchObject({ count: 1 });
    expect(log.fellBack.size).toBe(1);
    expect(log.frontiers).toEqual(new Map([['s', 110n]]));
    for (const i of [0, 1, 3, 4]) expect(newestOf(log).get(`stream-${i}`)).toBe(12n);
    expect(log.damage).toMatchObject([{ kind: 'frame', stream: 'stream-2', sequence: 12n }]);
  });

  test('with older ones damaged too falls back further', () => {
    const disk = filledDisk();
    for (const sequence of [12n, 11n]) flip(disk, find(disk, 'stream-0', sequence), 90);
    const log = openOn(disk);
    expect(newestOf(log).get('stream-0')).toBe(10n);
    expect(log.fellBack.get('stream-0')).toMatchObject({ count: 2 });
    expect(log.frontiers).toEqual(new Map([['s', 100n]]));
  });

  test('without any good one makes the stream lost, and everything is read again', () => {
    const disk = new SimulatedDisk();
    const first = openOn(disk);
    const frames = [frameOf('a', 1), frameOf('b', 1)];
    first.store.commit({ frames, frontiers: new Map([['s', 10n]]), generation: 1n });
    first.store.close();
    flip(disk, find(disk, 'a', 1n), 90);
    const log = openOn(disk);
    expect(log.lost.map(({ stream }) => stream)).toEqual(['a']);
    expect([...log.store.streams()]).toEqual(['b']);
    expect(log.frontiers.size).toBe(0);
  });

  test('lowers the frontier once, not again at every opening', () => {
    const disk = filledDisk();
    flip(disk, find(disk, 'stream-2', 12n), 100);
    const { store, generation, frontiers } = openOn(disk);
    expect(frontiers).toEqual(new Map([['s', 110n]]));
    store.commit({ frames: [], frontiers: new Map([['s', 300n]]), generation });
    const later = openOn(disk.copy());
    expect(later.frontiers).toEqual(new Map([['s', 300n]]));
    expect(later.fellBack.get('stream-2')).toMatchObject({ count: 1 });
  });

  test('lowers the frontier again when nothing was written since', () => {
    const disk = filledDisk();
    flip(disk, find(disk, 'stream-2', 12n), 100);
    for (let life = 0; life < 3; life++)
      expect(openOn(disk.copy()).frontiers).toEqual(new Map([['s', 110n]]));
    openOn(disk).store.close();
    expect(openOn(disk).frontiers).toEqual(new Map([['s', 110n]]));
  });

  test('is not missed when its stream was forgotten', () => {
    const disk = filledDisk();
    const place = find(disk, 'stream-2', 12n);
    const { store } = openOn(disk);
    store.forget('stream-2');
    store.close();
    flip(disk, place, 100);
    const log = openOn(disk);
    expect(log.lost).toEqual([]);
    expect(log.frontiers).toEqual(new Map([['s', 120n]]));
  });

  test('is not missed when a good one of the same sequence or a later one was saved', () => {
    const disk = filledDisk();
    const place = find(disk, 'stream-2', 12n);
    const { store, generation } = openOn(disk);
    store.commit({ frames: [frameOf('stream-2', 12)], frontiers: new Map([['s', 130n]]), generation });
    store.close();
    flip(disk, place, 100);
    const log = openOn(disk);
    expect(log.fellBack.size).toBe(0);
    expect(log.frontiers).toEqual(new Map([['s', 130n]]));
  });
});

/** Behind the record of a frame that is the last one of its commit: the payload of the COMMIT record. */
function flipCommitBehind(disk: SimulatedDisk, stream: string, sequence: bigint): void {
  const bytes = frameOf(stream, sequence, { stateBytes: 200 }).bytes.length;
  flip(disk, find(disk, stream, sequence), 64 + Math.ceil(bytes / 64) * 64 + 80);
}

/** Where the index of the only segment is, as the superblock's newer slot says. */
function indexOf(disk: SimulatedDisk): { file: string; position: number } {
  const bytes = disk.bytesOf(`${DIRECTORY}/SUPERBLOCK`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const slot = view.getBigUint64(32, true) > view.getBigUint64(4096 + 32, true) ? 0 : 4096;
  const position = Number(view.getBigUint64(slot + 80, true));
  expect(position).toBeGreaterThan(0);
  return { file: segmentFiles(disk)[0] as string, position };
}

function kindsOf(disk: SimulatedDisk): string[] {
  return inspectDirectory(disk, DIRECTORY, { verify: true }).damage.map(({ kind }) => kind);
}

describe('a damaged COMMIT record', () => {
  test('costs none of the checkpoints of its commit', () => {
    const disk = filledDisk();
    flipCommitBehind(disk, 'stream-4', 11n);
    expect(kindsOf(disk)).toEqual(['commit']);
    const log = openOn(disk);
    expect([...newestOf(log).values()]).toEqual(Array(STREAMS).fill(12n));
    expect(log.frontiers).toEqual(new Map([['s', 120n]]));
  });

  test('of the last commit costs nothing while the index of the segment is good', () => {
    const disk = filledDisk();
    flipCommitBehind(disk, 'stream-4', 12n);
    expect(kindsOf(disk)).toEqual(['commit']);
    const log = openOn(disk);
    expect([...newestOf(log).values()]).toEqual(Array(STREAMS).fill(12n));
    expect(log.frontiers).toEqual(new Map([['s', 120n]]));
  });

  test('of the last commit takes the frontier back to the one before without it', () => {
    const disk = filledDisk();
    flipCommitBehind(disk, 'stream-4', 12n);
    flip(disk, indexOf(disk), 100);
    expect(kindsOf(disk)).toEqual(['commit', 'index']);
    const log = openOn(disk);
    expect([...newestOf(log).values()]).toEqual(Array(STREAMS).fill(12n));
    expect(log.frontiers).toEqual(new Map([['s', 110n]]));
    expect(log.damage.map(({ kind }) => kind)).toEqual(['commit', 'index']);
  });
});

describe('a damaged index', () => {
  test.each([
    ['the header of its record', 30],
    ['what it says', 150],
  ])('in %s costs nothing, and is found', (_, offset) => {
    const disk = filledDisk();
    flip(disk, indexOf(disk), offset);
    expect(kindsOf(disk)).toEqual(['index']);
    const log = openOn(disk);
    expect([...newestOf(log).values()]).toEqual(Array(STREAMS).fill(12n));
    expect(log.frontiers).toEqual(new Map([['s', 120n]]));
    expect(log.damage).toMatchObject([{ kind: 'index' }]);
  });
});

describe('damage of any kind', () => {
  /** What every opening of a damaged copy must hold to, whatever bytes were hit. */
  function expectSound(damaged: SimulatedDisk, sound: SimulatedDisk): ReturnType<typeof openOn> {
    const log = openOn(damaged);
    const offset = log.frontiers.get('s') ?? 0n;
    const newest = newestOf(log);
    for (let i = 0; i < STREAMS; i++) {
      const sequence = newest.get(`stream-${i}`) ?? 0n;
      // The events behind a checkpoint are those from its commit's frontier on.
      expect(offset, `frontier ${offset} is ahead of stream-${i} at ${sequence}`).toBeLessThanOrEqual(
        sequence * 10n,
      );
      if (sequence === 0n) continue;
      const bytes = log.store.readFrame(`stream-${i}`) as Uint8Array;
      expect(viewFrame(bytes).sequence).toBe(sequence);
      expect(bytes).toEqual(frameOf(`stream-${i}`, sequence, { stateBytes: 200 }).bytes);
    }
    expect(sound.usedBytes()).toBeGreaterThan(0);
    return log;
  }

  const sound = filledDisk();
  const written = lastWrittenByte(sound);

  test(
    'one flipped bit is found, never believed, and costs at most one checkpoint a stream',
    seeded((random) => {
      for (let round = 0; round < 400; round++) {
        const disk = sound.copy();
        const bytes = disk.bytesOf(segmentFiles(disk)[0] as string);
        const at = random.below(written);
        bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
        const { damage } = inspectDirectory(disk, DIRECTORY, { verify: true });
        expect(damage.length, `bit flipped at ${at}`).toBeGreaterThan(0);
        const log = expectSound(disk, sound);
        const fallen = [...newestOf(log).values()].filter((sequence) => sequence !== 12n);
        expect(fallen.length, `bit flipped at ${at}`).toBeLessThanOrEqual(1);
        expect(fallen.every((sequence) => sequence === 11n)).toBe(true);
      }
    }),
  );

  test(
    'a stretch of garbage is never believed and costs what it covers',
    seeded((random) => {
      for (let round = 0; round < 300; round++) {
        const disk = sound.copy();
        garble(disk, random, written);
        expectSound(disk, sound);
      }
    }),
  );

  test(
    'several stretches of garbage and restarts after them are survived',
    seeded((random) => {
      for (let round = 0; round < 100; round++) {
        const disk = sound.copy();
        for (let i = random.between(2, 5); i > 0; i--) garble(disk, random, written);
        const log = expectSound(disk, sound);
        log.store.close();
        const again = openOn(disk);
        expect(again.frontiers).toEqual(log.frontiers);
        expect(newestOf(again)).toEqual(newestOf({ store: again.store }));
      }
    }),
  );
});

function garble(disk: SimulatedDisk, random: Random, written: number): void {
  const bytes = disk.bytesOf(segmentFiles(disk)[0] as string);
  const at = random.below(written);
  bytes.set(random.bytes(Math.min(random.magnitude(8000), written - at)), at);
}

function lastWrittenByte(disk: SimulatedDisk): number {
  const bytes = disk.bytesOf(segmentFiles(disk)[0] as string);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}
