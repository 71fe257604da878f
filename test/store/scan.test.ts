/** The kernel, which looks at many records at once, against the scan that looks at one after the other. */
import { describe, expect, test } from 'vitest';
import { xxh64 } from '../../src/codec/xxh64.ts';
import { readDirectory } from '../../src/store/log/directory.ts';
import { takeKernelBuffer } from '../../src/store/log/kernel-buffer.ts';
import { RECORD_MAGIC } from '../../src/store/log/record.ts';
import { type ScannedCommit, scanSegment } from '../../src/store/log/scan.ts';
import { SegmentReader } from '../../src/store/log/segment-reader.ts';
import { type Random, seeded } from '../support/random.ts';
import { frameOf } from './support/frames.ts';
import { DIRECTORY, MIB, openOn, segmentFiles } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const OPTIONS = { diskBytes: 16 * MIB, perStream: 2, segmentBytesMax: MIB };

/** Segments that have been written over several times, by several generations, with frames that were carried. */
function filledDisk(random: Random): SimulatedDisk {
  const disk = new SimulatedDisk();
  for (let generation = 1n; generation <= 3n; generation++) {
    const { store } = openOn(disk, OPTIONS);
    for (let commit = 1; commit <= 25; commit++) {
      const count = random.chance(0.1) ? 700 : 1 + random.below(10);
      const frames = Array.from({ length: count }, (_, i) =>
        frameOf(`stream-${(i + 7 * commit) % 800}`, Number(generation) * 100 + commit, {
          stateBytes: random.magnitude(count > 100 ? 200 : 20_000),
          generation,
        }),
      );
      store.commit({ frames, frontiers: new Map([['s', BigInt(commit)]]), generation });
      while (random.chance(0.5) && store.idleStep());
    }
    if (random.chance(0.5)) store.close();
    else return disk.fork();
  }
  return disk;
}

function damage(disk: SimulatedDisk, random: Random): void {
  const bytes = disk.bytesOf(random.pick(segmentFiles(disk)));
  // In what is written, not in the zeros behind it.
  const written = bytes.findLastIndex((byte) => byte !== 0);
  const at = random.below(written + 1);
  if (random.chance(0.5)) forgeHeader(bytes, at, random);
  else if (random.chance(0.8)) bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
  else bytes.copyWithin(64 * random.below(written / 64), at - (at % 64), at + random.below(2_000));
}

/** Makes the header of a record behind `at` one of another lap, commit, origin, generation or index. */
function forgeHeader(bytes: Uint8Array, from: number, random: Random): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = from - (from % 64); at + 64 <= bytes.length; at += 64) {
    if (view.getUint32(at, true) !== RECORD_MAGIC) continue;
    const field = at + random.pick([12, 16, 24, 32, 40]);
    view.setUint32(field, view.getUint32(field, true) + random.pick([-1, 1]), true);
    view.setBigUint64(at + 56, xxh64(bytes, at, at + 56), true);
    return;
  }
}

function scanAll(disk: SimulatedDisk, allocate: (length: number) => Uint8Array, window: number) {
  const { segments } = readDirectory(disk, DIRECTORY, 'read');
  return segments.map(({ handle, size, lap, header }) => {
    const reader = new SegmentReader({ fileSystem: disk, handle, size }, window, allocate);
    const expected = { lap, firstCommit: header?.firstCommit ?? 0, acknowledged: 0 };
    return [...scanSegment(reader, expected, 'verify')].map(plain);
  });
}

function plain({ rows, record, frames, ...commit }: ScannedCommit) {
  const { frames: named, ...fields } = record ?? {};
  return { ...commit, ...fields, frames, count: rows.count, named: named?.decode() };
}

describe('a scan by the kernel', () => {
  test(
    'finds what a scan without it finds, whatever is damaged',
    seeded((random) => {
      const states = new Map<string, number>();
      for (let round = 0; round < 10; round++) {
        const disk = filledDisk(random);
        for (let i = random.below(12); i > 0; i--) damage(disk, random);
        const expected = scanAll(disk, (length) => new Uint8Array(length), MIB);
        const window = random.pick([4096, 65_536, MIB]);
        expect(scanAll(disk, takeKernelBuffer, window)).toEqual(expected);
        for (const { state, frames } of expected.flat())
          states.set(state, (states.get(state) ?? 0) + frames.length);
      }
      expect(states.get('good')).toBeGreaterThan(1000);
      expect(states.get('damaged')).toBeGreaterThan(0);
    }),
    60_000,
  );
});
