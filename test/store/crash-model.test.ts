/**
 * Crash: the power fails at any operation of a random workload on a tiny, constantly recycled log. Of what was not
 * synced, any subset of sectors survives. Lost would be an acknowledged checkpoint if a segment were reused
 * before its frames were carried durably, or if a torn commit were half believed. A model says what must be there.
 */
import { describe, expect, test } from 'vitest';
import { viewFrame } from '../../src/codec/view.ts';
import { TidemarkError } from '../../src/error.ts';
import type { OpenedLog } from '../../src/store/log/open-log.ts';
import { type Random, seeded } from '../support/random.ts';
import { frameOf } from './support/frames.ts';
import { MIB, openOn } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const OPTIONS = { diskBytes: MIB, perStream: 2 };
const CRASH = new Error('the power failed');

interface Model {
  /** Newest sequence of each stream. */
  readonly newest: ReadonlyMap<string, bigint>;
  readonly frontier: bigint | undefined;
}

interface Life {
  /** What was acknowledged, and what would be if the operation under way had been. */
  acknowledged: Model;
  attempted: Model;
}

/** One operation: the model after it, and the call. */
function nextOperation(random: Random, model: Model, log: OpenedLog, sequence: bigint): [Model, () => void] {
  const newest = new Map(model.newest);
  const { store, generation } = log;
  const known = [...newest.keys()];
  if (known.length > 0 && random.chance(0.05)) {
    const stream = random.pick(known);
    newest.delete(stream);
    return [{ ...model, newest }, () => store.forget(stream)];
  }
  if (known.length > 0 && random.chance(0.05)) {
    const stream = random.pick(known);
    return [model, () => store.deleteBefore(stream, newest.get(stream) as bigint)];
  }
  const frames = Array.from({ length: random.below(6) }, () => {
    const stream = `stream-${random.below(25)}`;
    newest.set(stream, sequence);
    return frameOf(stream, sequence, { stateBytes: random.magnitude(9000) });
  });
  const frontiers = new Map([['s', sequence]]);
  return [{ newest, frontier: sequence }, () => store.commit({ frames, frontiers, generation })];
}

function stateOf(log: OpenedLog): Model {
  const newest = new Map<string, bigint>();
  for (const stream of log.store.streams()) {
    newest.set(stream, viewFrame(log.store.readFrame(stream) as Uint8Array).sequence);
  }
  return { newest, frontier: log.frontiers.get('s') };
}

function expectOneOf(log: OpenedLog, life: Life): void {
  expect(log.damage).toEqual([]);
  expect(log.lost).toEqual([]);
  expect(log.fellBack.size).toBe(0);
  const found = stateOf(log);
  const matches = [life.acknowledged, life.attempted].some(
    (model) =>
      model.frontier === found.frontier &&
      model.newest.size === found.newest.size &&
      [...model.newest].every(([stream, sequence]) => found.newest.get(stream) === sequence),
  );
  if (!matches) expect(found).toEqual(life.acknowledged);
}

/** False when the store was full: then nothing has changed. */
function isDone(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof TidemarkError && error.code === 'ERR_TIDEMARK_STORE_FULL') return false;
    throw error;
  }
}

/** Runs a workload until the power fails at a random operation of the disk; returns what is left. */
function liveUntilCrash(random: Random, disk: SimulatedDisk, life: Life, sequence: { next: bigint }): void {
  let operationsLeft = random.magnitude(3000);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  disk.before = (operation) => {
    if (operation === 'read' || operation === 'open') return;
    operationsLeft -= 1;
    if (operationsLeft <= 0) throw CRASH;
  };
  try {
    const log = openOn(disk, OPTIONS);
    expectOneOf(log, life);
    const found = stateOf(log);
    life.acknowledged = found;
    life.attempted = found;
    for (;;) {
      sequence.next += 1n;
      const [model, run] = nextOperation(random, life.acknowledged, log, sequence.next);
      life.attempted = model;
      if (isDone(run)) life.acknowledged = model;
      life.attempted = life.acknowledged;
      // The disk is not ours alone: others fill it, and free it again.
      const isFilled = random.chance(0.2);
      disk.capacityBytes = isFilled
        ? disk.blockBytes() + random.magnitude(200_000)
        : Number.POSITIVE_INFINITY;
      disk.tellsFreeBytes = random.chance(0.5);
      if (random.chance(0.4)) log.store.idleStep(random.chance(0.5));
      expect(disk.usedBytes()).toBeLessThanOrEqual(OPTIONS.diskBytes);
    }
  } catch (error) {
    const cause = error instanceof TidemarkError ? error.cause : error;
    if (cause !== CRASH) throw error;
  }
}

describe('a power failure at any operation', () => {
  test(
    'loses nothing acknowledged and half-believes nothing, over many lives of one directory',
    seeded((random) => {
      for (let run = 0; run < 6; run++) {
        let disk = new SimulatedDisk();
        const nothing: Model = { newest: new Map(), frontier: undefined };
        const life: Life = { acknowledged: nothing, attempted: nothing };
        const sequence = { next: 0n };
        for (let crash = 0; crash < 12; crash++) {
          liveUntilCrash(random, disk, life, sequence);
          expect(disk.bytesMax).toBeLessThanOrEqual(OPTIONS.diskBytes);
          const survival = random.u32() / 2 ** 32;
          disk = disk.crash(() => random.chance(survival));
        }
        expectOneOf(openOn(disk, OPTIONS), life);
      }
    }),
    60_000,
  );
});
