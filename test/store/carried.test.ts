/**
 * Damage to frames that compaction carried. Lost would be events if a stream fell back to a carried checkpoint with the
 * frontiers of the commit that carried it, or if a vanished carrying commit, which may have held a stream's only
 * checkpoints, cost no more than the commit before it says.
 */
import { describe, expect, test } from 'vitest';
import { type InspectedCheckpoint, inspectDirectory } from '../../src/store/log/inspect.ts';
import { segmentFileName } from '../../src/store/log/layout.ts';
import { frameOf } from './support/frames.ts';
import { DIRECTORY, MIB, newestOf, openOn } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const OPTIONS = { diskBytes: MIB, perStream: 2 };

interface Carried {
  readonly disk: SimulatedDisk;
  /** Where the checkpoints of the stream "cold" are now, ascending. */
  readonly places: readonly { readonly file: string; readonly position: number }[];
  readonly lastFrontier: bigint;
}

/** "cold" is saved twice, at frontiers 10 and 20; then others go around the log until both were carried twice. */
function carriedTwice(): Carried {
  const disk = new SimulatedDisk();
  const { store, generation } = openOn(disk, OPTIONS);
  let frontier = 0n;
  const save = (stream: string, sequence: number, stateBytes: number): void => {
    frontier += 10n;
    const frames = [frameOf(stream, sequence, { stateBytes })];
    store.commit({ frames, frontiers: new Map([['s', frontier]]), generation });
  };
  save('cold', 1, 500);
  save('cold', 2, 500);
  let cold: readonly InspectedCheckpoint[] = [];
  // Until they lie behind other commits of their segment, so that there is a commit to fall back to.
  for (let i = 1; i <= 100 || cold[0]?.offset === 4096; i++) {
    save(`hot-${i % 3}`, i, 3000 * (1 + (i % 5)));
    const { streams } = inspectDirectory(disk, DIRECTORY, { verify: false });
    cold = streams.find(({ stream }) => stream === 'cold')?.checkpoints ?? [];
  }
  // The next commits free the segment in which they were before.
  for (let i = 1; i <= 3; i++) save('hot-0', 1000 + i, 100);
  store.close();
  expect(cold.map(({ sequence, commit }) => [sequence, commit])).toEqual([
    [1n, 1],
    [2n, 2],
  ]);
  const places = cold.map(({ segment, offset }) => ({
    file: `${DIRECTORY}/${segmentFileName(segment)}`,
    position: offset,
  }));
  return { disk, places, lastFrontier: frontier };
}

function recordEnd(bytes: Uint8Array, position: number): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(position + 8, true);
  return position + 64 + Math.ceil(length / 64) * 64;
}

describe('a carried checkpoint', () => {
  test('is believed, and the frontiers are those of the newest commit', () => {
    const { disk, lastFrontier } = carriedTwice();
    const log = openOn(disk, OPTIONS);
    expect(newestOf(log).get('cold')).toBe(2n);
    expect(log.frontiers).toEqual(new Map([['s', lastFrontier]]));
    expect(log.damage).toEqual([]);
  });

  test('that is damaged takes the frontier back to where the older one was first saved', () => {
    const { disk, places } = carriedTwice();
    const [, newest] = places;
    const bytes = disk.bytesOf(newest?.file as string);
    bytes.fill(0xff, (newest?.position ?? 0) + 100, (newest?.position ?? 0) + 120);
    const log = openOn(disk, OPTIONS);
    expect(newestOf(log).get('cold')).toBe(1n);
    expect(log.fellBack.get('cold')?.count).toBe(1);
    expect(log.frontiers).toEqual(new Map([['s', 10n]]));
  });

  test('that is lost with its whole commit lets everything be read from the start', () => {
    const { disk, places } = carriedTwice();
    const { file, position } = places[0] as { file: string; position: number };
    const bytes = disk.bytesOf(file);
    // Up to the end of the COMMIT record, whose kind is 2.
    let end = position;
    for (let isCommit = false; !isCommit; ) {
      isCommit = bytes[end + 4] === 2;
      end = recordEnd(bytes, end);
    }
    const start = Math.floor(position / 512) * 512;
    bytes.fill(0, start, end);
    const log = openOn(disk, OPTIONS);
    expect(newestOf(log).has('cold')).toBe(false);
    expect(log.damage.map(({ kind }) => kind)).toContain('commits-missing');
    expect(log.frontiers.size).toBe(0);
  });
});
