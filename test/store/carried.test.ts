/**
 * Damage to frames that compaction carried. Lost would be events if a stream fell back to a carried checkpoint with the
 * frontiers of the commit that carried it, or if a vanished carrying commit, which may have held a stream's only
 * checkpoints, cost no more than the commit before it says.
 */
import { describe, expect, test } from 'vitest';
import { inspectDirectory } from '../../src/store/log/inspect.ts';
import { segmentFileName } from '../../src/store/log/layout.ts';
import { frameOf } from './support/frames.ts';
import { DIRECTORY, MIB, newestOf, openOn } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const OPTIONS = { diskBytes: MIB, perStream: 2 };
/** Where the first commit of a segment begins. */
const FIRST_RECORD = 4096;

interface Place {
  readonly file: string;
  readonly position: number;
}

interface Carried {
  readonly disk: SimulatedDisk;
  /** Where the checkpoints of the stream "cold" are now, ascending. */
  readonly places: readonly Place[];
  readonly lastFrontier: bigint;
}

/**
 * "cold" is saved twice, at frontiers 10 and 20. Then others go around the log until both were carried behind
 * another commit of their segment, and the segment where they were before is free.
 */
function carried(reopens: boolean): Carried {
  const disk = new SimulatedDisk();
  let { store, generation } = openOn(disk, OPTIONS);
  let frontier = 0n;
  const save = (stream: string, sequence: number, stateBytes: number): void => {
    frontier += 10n;
    const frames = [frameOf(stream, sequence, { stateBytes })];
    store.commit({ frames, frontiers: new Map([['s', frontier]]), generation });
  };
  save('cold', 1, 500);
  save('cold', 2, 500);
  if (reopens) {
    store.close();
    ({ store, generation } = openOn(disk, OPTIONS));
  }
  let places: Place[] = [];
  for (let i = 1; i <= 100 || !areOnlyCopies(disk, places); i++) {
    if (i === 1000) throw new Error('the checkpoints never came to lie as the tests need them');
    save(`hot-${i % 3}`, i, 3000 * (1 + (i % 5)));
    places = coldPlaces(disk);
  }
  store.close();
  return { disk, places, lastFrontier: frontier };
}

function coldPlaces(disk: SimulatedDisk): Place[] {
  const { streams } = inspectDirectory(disk, DIRECTORY, { verify: false });
  const checkpoints = streams.find(({ stream }) => stream === 'cold')?.checkpoints ?? [];
  expect(checkpoints.map(({ sequence, commit }) => [sequence, commit])).toEqual([
    [1n, 1],
    [2n, 2],
  ]);
  return checkpoints.map(({ segment, offset }) => ({
    file: `${DIRECTORY}/${segmentFileName(segment)}`,
    position: offset,
  }));
}

function areOnlyCopies(disk: SimulatedDisk, places: readonly Place[]): boolean {
  if (places[0]?.position === FIRST_RECORD) return false;
  const copy = disk.copy();
  for (const place of places) wipeCommit(copy, place);
  return !newestOf(openOn(copy, OPTIONS)).has('cold');
}

/** Zeros from the record at `place` to the end of its commit. */
function wipeCommit(disk: SimulatedDisk, { file, position }: Place): void {
  const bytes = disk.bytesOf(file);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let end = position;
  // It may be gone already, with a record that lay before it. The COMMIT record, the last one, has kind 2.
  for (let isCommit = bytes[position] === 0; !isCommit; ) {
    isCommit = bytes[end + 4] === 2;
    end += 64 + Math.ceil(view.getUint32(end + 8, true) / 64) * 64;
  }
  bytes.fill(0, Math.floor(position / 512) * 512, end);
}

// A session knows where its own commits lie; what is there from before is searched for them.
describe.each([
  ['by the session that saved it', false],
  ['by a later session', true],
])('a checkpoint that is carried %s', (_, reopens) => {
  test('is believed, and the frontiers are those of the newest commit', () => {
    const { disk, lastFrontier } = carried(reopens);
    const log = openOn(disk, OPTIONS);
    expect(newestOf(log).get('cold')).toBe(2n);
    expect(log.frontiers).toEqual(new Map([['s', lastFrontier]]));
    expect(log.damage).toEqual([]);
  });

  test('that is damaged takes the frontier back to where the older one was first saved', () => {
    const { disk, places } = carried(reopens);
    const [, newest] = places;
    const bytes = disk.bytesOf(newest?.file as string);
    bytes.fill(0xff, (newest?.position ?? 0) + 100, (newest?.position ?? 0) + 120);
    const log = openOn(disk, OPTIONS);
    expect(newestOf(log).get('cold')).toBe(1n);
    expect(log.fellBack.get('cold')?.count).toBe(1);
    expect(log.frontiers).toEqual(new Map([['s', 10n]]));
  });

  test('that is lost with its whole commit lets everything be read from the start', () => {
    const { disk, places } = carried(reopens);
    for (const place of places) wipeCommit(disk, place);
    const log = openOn(disk, OPTIONS);
    expect(newestOf(log).has('cold')).toBe(false);
    expect(log.damage.map(({ kind }) => kind)).toContain('commits-missing');
    expect(log.frontiers.size).toBe(0);
  });
});
