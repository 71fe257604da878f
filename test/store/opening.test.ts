/**
 * A log whose newest checkpoints are copied while it is opened, and verified only then. Lost would be what was told of
 * a directory before it was known to be good: nothing is told before, and what is found is what `openLog` finds.
 */
import { describe, expect, test } from 'vitest';
import { TargetMemory } from '../../src/store/log/frame-copies.ts';
import { type FoundLog, findLog, type OpenedLog } from '../../src/store/log/open-log.ts';
import { namesOf } from '../../src/store/log/packed-names.ts';
import { type Random, seeded } from '../support/random.ts';
import { frameOf } from './support/frames.ts';
import { codeOf, DIRECTORY, MIB, openOn, portsOn, segmentFiles } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const OPTIONS = { diskBytes: 16 * MIB, perStream: 3, segmentBytesMax: MIB };

type Copied = Map<string, Uint8Array>;

function find(disk: SimulatedDisk): FoundLog {
  return findLog(portsOn(disk), DIRECTORY, OPTIONS);
}

/** As the store writer does it: in several pieces, and all of it again if one checkpoint is not good. */
function openByCopying(
  disk: SimulatedDisk,
  memory: WebAssembly.Memory | SharedArrayBuffer,
  pieces: () => number,
): { log: OpenedLog; copied: Copied; attempts: number } {
  const target = new TargetMemory(memory);
  const found = find(disk);
  for (let attempts = 1; ; attempts++) {
    if (attempts > 2) throw new Error('what was read whole is not good');
    target.u8.fill(0xee);
    const copied = copyAll(found, target, pieces);
    if (copied !== undefined) return { log: found.finish(), copied, attempts };
    found.readAll();
  }
}

function copyAll(found: FoundLog, target: TargetMemory, pieces: () => number): Copied | undefined {
  const { names, byteLengths } = found.newest.columns();
  const copied: Copied = new Map();
  let at = 4;
  const addresses = byteLengths.map((bytes, i) => {
    // Aligned as an allocator does it, and not.
    const address = at + (i % 5 === 0 ? 1 : 0);
    at = Math.ceil((address + bytes) / 4) * 4;
    return address;
  });
  for (let from = 0; from < addresses.length; ) {
    const piece = addresses.subarray(from, from + pieces());
    if (!found.copy(from, { memory: target, addresses: piece })) return undefined;
    from += piece.length;
  }
  for (const [i, name] of namesOf(names).entries()) {
    const address = addresses[i] as number;
    copied.set(name, target.u8.slice(address, address + (byteLengths[i] as number)));
  }
  return copied;
}

/** Several segments; frames of many sizes, some so large that they are read straight to their places. */
function filledDisk(random: Random): SimulatedDisk {
  const disk = new SimulatedDisk();
  const { store, generation } = openOn(disk, OPTIONS);
  for (let commit = 1; commit <= 30; commit++) {
    const streams = Array.from({ length: 8 }, () => random.below(40));
    const frames = [...new Set(streams)].map((stream) =>
      frameOf(stream === 7 ? 'ß 漢字 😀' : `stream-${stream}`, commit, {
        stateBytes: random.chance(0.1) ? 60_000 + random.below(20_000) : random.magnitude(5_000),
        generation,
      }),
    );
    store.commit({ frames, frontiers: new Map([['s', BigInt(commit)]]), generation });
    if (random.chance(0.1)) store.forget(`stream-${random.below(40)}`);
  }
  if (random.chance(0.5)) store.close();
  return random.chance(0.5) ? disk.copy() : disk.fork();
}

function damage(disk: SimulatedDisk, random: Random): void {
  const bytes = disk.bytesOf(random.pick(segmentFiles(disk)));
  const at = random.below(bytes.length);
  bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
}

function newestBytes({ store }: OpenedLog): Copied {
  return new Map([...store.streams()].map((stream) => [stream, store.readFrame(stream) as Uint8Array]));
}

function filesOf(disk: SimulatedDisk): Map<string, Uint8Array> {
  const names = disk.list(DIRECTORY) ?? [];
  return new Map(names.map((name) => [name, disk.bytesOf(`${DIRECTORY}/${name}`).slice()]));
}

describe('a log that is copied while it is opened', () => {
  const wasm = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
  test.each([
    ['an engine', wasm],
    ['a plain buffer', new SharedArrayBuffer(64 * 65_536)],
  ])(
    'to the memory of %s is what a log is that is verified, whatever is damaged',
    (_, memory) =>
      seeded((random) => {
        let fellBack = 0;
        // Damage may spare all newest checkpoints for a while: on, until it has not.
        for (let round = 0; round < 12 || (fellBack === 0 && round < 500); round++) {
          const disk = filledDisk(random);
          for (let i = random.below(8); i > 0; i--) damage(disk, random);
          const expected = openOn(disk.copy(), OPTIONS);
          const { log, copied, attempts } = openByCopying(disk, memory, () => 1 + random.below(20));
          const { fellBack: behind, lost, frontiers, generation } = log;
          expect({ behind, lost, frontiers, generation }).toEqual({
            behind: expected.fellBack,
            lost: expected.lost,
            frontiers: expected.frontiers,
            generation: expected.generation,
          });
          expect(copied).toEqual(newestBytes(expected));
          expect(newestBytes(log)).toEqual(copied);
          if (attempts > 1) fellBack += 1;
        }
        expect(fellBack).toBeGreaterThan(0);
      })(),
    60_000,
  );

  test('changes nothing of the directory before all is good', () => {
    const disk = new SimulatedDisk();
    const { store, generation } = openOn(disk, OPTIONS);
    store.commit({ frames: [frameOf('a', 1)], frontiers: new Map(), generation });
    store.close();
    const before = filesOf(disk);
    const found = find(disk);
    const memory = new TargetMemory(wasm);
    expect(found.copy(0, { memory, addresses: Float64Array.of(64) })).toBe(true);
    expect(filesOf(disk)).toEqual(before);
    found.finish().store.close();
    expect(filesOf(disk)).not.toEqual(before);
  });

  test('leaves the directory to others when it is given up', () => {
    const disk = new SimulatedDisk();
    openOn(disk, OPTIONS).store.close();
    const found = find(disk);
    expect(codeOf(() => find(disk))).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
    found.abandon();
    found.abandon();
    expect(disk.openHandles).toBe(0);
    expect(openOn(disk, OPTIONS).generation).toBe(2n);
  });
});
