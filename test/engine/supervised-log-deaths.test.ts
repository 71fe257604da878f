/**
 * Crash: of the store writer's thread alone, at every operation of the disk and at replies, and failures of the disk
 * before it. Lost would be what was durable and not answered, or held for durable; twice would be what is asked again.
 * Why not: the next writer looks at what the log has, and there is none once a sync has failed.
 */
import { strict as assert } from 'node:assert';
import { describe, expect, test } from 'vitest';
import { isStoreFull } from '../../src/engine/full-store.ts';
import type { LogFrame } from '../../src/store/log/log-store.ts';
import { frameOf } from '../store/support/frames.ts';
import {
  expectFound,
  findAll,
  NOTHING,
  type Promised,
  SOURCE,
  withFrames,
  without,
} from '../store/support/ledger.ts';
import { openOn, segmentFiles } from '../store/support/log.ts';
import { SimulatedDisk, systemError } from '../store/support/simulated-disk.ts';
import { type Random, seeded } from '../support/random.ts';
import { failure, failureCode } from './support/engine.ts';
import { type Fate, MORTAL_OPTIONS, type MortalLog, mortalLog } from './support/mortal-writer.ts';

function batch(...frames: readonly LogFrame[]) {
  return { frames, frontiers: new Map([[SOURCE, 5n]]), generation: 1n };
}

/** How often the frame is in the files, whether or not the log still needs it. */
function copiesOf({ bytes }: LogFrame, disk: SimulatedDisk): number {
  let copies = 0;
  for (const path of segmentFiles(disk)) {
    const file = Buffer.from(disk.bytesOf(path));
    for (let at = file.indexOf(bytes); at >= 0; at = file.indexOf(bytes, at + 1)) copies += 1;
  }
  return copies;
}

/** Dies once, where `at` says so after it was armed. */
function onceArmed(at: Fate): Fate & { arm(): void } {
  let isArmed = false;
  const once = (isThere: boolean | undefined): boolean => {
    if (!isArmed || isThere !== true) return false;
    isArmed = false;
    return true;
  };
  return {
    arm: () => {
      isArmed = true;
    },
    onChange: (change, moment) => isArmed && once(at.onChange?.(change, moment)),
    onReply: (reply, moment) => isArmed && once(at.onReply?.(reply, moment)),
  };
}

describe('a commit that its writer did not answer', () => {
  const MOMENTS: readonly (readonly [name: string, at: Fate])[] = [
    ['before it wrote', { onChange: (change, moment) => change === 'writev' && moment === 'before' }],
    ['after it wrote', { onChange: (change, moment) => change === 'writev' && moment === 'after' }],
    ['after it synced', { onChange: (change, moment) => change === 'datasync' && moment === 'after' }],
    ['before it answered', { onReply: ({ type }, moment) => type === 'done' && moment === 'before' }],
  ];

  test.each(MOMENTS)('is in the log once, though the writer died %s', async (_, at) => {
    const disk = new SimulatedDisk();
    const fate = onceArmed(at);
    const { log, restarts } = mortalLog(disk, fate);
    await log.open();
    await log.commit(batch(frameOf('a', 1)));
    fate.arm();
    const frame = frameOf('a', 2, { stateBytes: 3000 });
    await log.commit(batch(frame, frameOf('b', 1)));
    expect(copiesOf(frame, disk)).toBe(1);
    expect(restarts).toMatchObject([{ replayed: 2 }]);
    expect((await log.list('a')).map(({ sequence }) => sequence)).toEqual([1n, 2n]);
    await log.close();
    expect(disk.openHandles).toBe(0);
  });

  test('is not refused for want of room that it takes itself', async () => {
    const large = (n: number) => batch(frameOf(`stream-${n}`, 1, { stateBytes: 40_000 }));
    const healthy = mortalLog(new SimulatedDisk(), {});
    await healthy.log.open();
    let taken = 0;
    const full = await (async () => {
      for (; ; taken++) await healthy.log.commit(large(taken));
    })().catch((error: unknown) => error);
    expect(full).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL' });
    await healthy.log.close();
    const fate = onceArmed({ onReply: ({ type }, moment) => type === 'done' && moment === 'before' });
    const { log, counts } = mortalLog(new SimulatedDisk(), fate);
    await log.open();
    for (let n = 0; n < taken; n++) {
      if (n === taken - 1) fate.arm();
      await log.commit(large(n));
    }
    expect(counts.deaths).toBe(1);
    await log.close();
  });

  test('comes before others of the same checkpoint that are in the log already', async () => {
    const disk = new SimulatedDisk();
    const fate = onceArmed({ onReply: ({ type }, moment) => type === 'done' && moment === 'before' });
    const { log } = mortalLog(disk, fate);
    await log.open();
    fate.arm();
    const last = frameOf('a', 1, { salt: 2 });
    await Promise.all([log.commit(batch(frameOf('a', 1, { salt: 1 }))), log.commit(batch(last))]);
    expect(Buffer.from((await log.read('a'))?.bytes ?? [])).toEqual(Buffer.from(last.bytes));
    await log.close();
  });
});

test('commits that are merged in a store that they fill are there, or are refused', async () => {
  const { log } = mortalLog(new SimulatedDisk(), {});
  await log.open();
  // Of all of these together, only the first ones have room.
  const commits = Array.from({ length: 30 }, (_, n) =>
    log.commit(batch(frameOf(`stream-${n}`, 1, { stateBytes: 40_000 }))),
  );
  const outcomes = await Promise.allSettled(commits);
  const done = outcomes.flatMap(({ status }, n) => (status === 'fulfilled' ? [`stream-${n}`] : []));
  const found: string[] = [];
  for await (const name of log.streams()) found.push(name);
  expect(done.length).toBeGreaterThan(0);
  expect(done.length).toBeLessThan(commits.length);
  expect(new Set(found)).toEqual(new Set(done));
  await log.close();
});

describe('a store that could not write', () => {
  test.each(['writev', 'datasync'] as const)(
    'in a commit (%s) gets no other writer when this one dies',
    async (operation) => {
      const disk = new SimulatedDisk();
      const { log, counts, kill } = mortalLog(disk, {});
      await log.open();
      await log.commit(batch(frameOf('a', 1)));
      disk.before = (each) => {
        if (each === operation) throw systemError('EIO', operation);
      };
      const error = await failure(log.commit(batch(frameOf('a', 2))));
      disk.before = () => {};
      kill();
      expect(await failure(log.commit(batch(frameOf('a', 2))))).toMatchObject({
        code: 'ERR_TIDEMARK_STORE_FAILED',
        message: error.message,
      });
      expect(counts.started).toBe(1);
    },
  );

  test('and whose writer dies before it can say so gets no other one', async () => {
    const disk = new SimulatedDisk();
    const { log, counts } = mortalLog(disk, {
      onReply: ({ type }, moment) => type === 'failed' && moment === 'before',
    });
    await log.open();
    disk.before = (operation) => {
      if (operation !== 'datasync') return;
      disk.before = () => {};
      throw systemError('EIO', 'datasync');
    };
    const commits = [log.commit(batch(frameOf('a', 1))), log.commit(batch(frameOf('b', 1)))];
    const errors = await Promise.all(commits.map(failure));
    expect(errors.map(({ message }) => message)).toEqual([
      expect.stringContaining('EIO'),
      expect.stringContaining('EIO'),
    ]);
    expect(counts).toMatchObject({ started: 1, deaths: 1 });
  });

  test('in the background gets no other writer, though nobody has asked', async () => {
    const disk = new SimulatedDisk();
    const hasFailed = Promise.withResolvers<void>();
    const { log, counts, kill } = mortalLog(disk, {
      onReply: ({ type }, moment) => {
        if (type === 'broken' && moment === 'after') hasFailed.resolve();
        return false;
      },
    });
    await log.open();
    let isCommitted = false;
    disk.before = (operation) => {
      if (isCommitted && operation !== 'read') throw systemError('EIO', operation);
    };
    // What comes behind its answer is background work.
    await log.commit(batch(frameOf('a', 1, { stateBytes: 40_000 }))).then(() => {
      isCommitted = true;
    });
    await hasFailed.promise;
    disk.before = () => {};
    kill();
    expect(await failure(log.read('a'))).toMatchObject({ message: expect.stringContaining('EIO') });
    expect(counts.started).toBe(1);
  });

  test('when the next writer takes the directory fails the log', async () => {
    const disk = new SimulatedDisk();
    const { log, counts, kill } = mortalLog(disk, {});
    await log.open();
    await log.commit(batch(frameOf('a', 1)));
    disk.before = (operation) => {
      if (operation === 'datasync') throw systemError('EIO', 'datasync');
    };
    kill();
    expect(await failureCode(log.commit(batch(frameOf('a', 2))))).toBe('ERR_TIDEMARK_STORE_FAILED');
    expect(counts.started).toBe(2);
  });
});

/** Random rows of calls to one log, and what has been promised of them. */
class Rows {
  readonly #mortal: MortalLog;
  readonly #random: Random;
  promised: Promised = NOTHING;
  #sequence = 0n;

  readonly #generation: bigint;
  /** With large ones the store is full now and then. */
  readonly #isLarge: boolean;

  constructor(mortal: MortalLog, random: Random, generation: bigint) {
    this.#mortal = mortal;
    this.#random = random;
    this.#generation = generation;
    this.#isLarge = random.chance(0.5);
  }

  /** All are asked before any is answered; what is fulfilled is promised, in the order of the calls. */
  async perform(): Promise<void> {
    const calls = Array.from({ length: this.#random.between(1, 5) }, () => this.#call());
    const outcomes = await Promise.allSettled(calls.map(({ answer }) => answer));
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') this.promised = calls[at]?.effect(this.promised) ?? this.promised;
      else if (!isStoreFull(outcome.reason)) throw outcome.reason;
    }
  }

  #call(): { answer: Promise<unknown>; effect: (promised: Promised) => Promised } {
    const { log } = this.#mortal;
    const random = this.#random;
    const stream = this.#stream();
    const kind = random.below(10);
    if (kind === 0) {
      return { answer: log.forget(stream), effect: (promised) => without(promised, stream, undefined) };
    }
    if (kind === 1) {
      const below = this.#sequence;
      return {
        answer: log.deleteBefore(stream, below),
        effect: (promised) => without(promised, stream, below),
      };
    }
    if (kind === 2) return { answer: log.read(stream), effect: (promised) => promised };
    this.#sequence += 1n;
    const sequence = this.#sequence;
    const streams = new Set(
      Array.from({ length: this.#isLarge ? 1 : random.between(0, 3) }, () => this.#stream()),
    );
    // A batch of several goes out as one commit.
    const stateBytes = this.#isLarge ? random.between(20_000, 90_000) : random.magnitude(9_000);
    const frames = [...streams].map((name) => frameOf(name, sequence, { stateBytes }));
    const answer = log.commit({
      frames,
      frontiers: new Map([[SOURCE, sequence]]),
      generation: this.#generation,
    });
    return { answer, effect: (promised) => withFrames(promised, frames, sequence) };
  }

  #stream(): string {
    return `stream-${this.#random.below(12)}`;
  }
}

/** Some writers die at a random change of the disk or reply, but no three in a row that have answered nothing. */
function randomFate(random: Random): Fate & { readonly generations: bigint[] } {
  const generations: bigint[] = [];
  let left = random.magnitude(60);
  let inRow = 0;
  const pass = (): boolean => {
    if (inRow >= 2) return false;
    left -= 1;
    if (left >= 0) return false;
    left = random.magnitude(60);
    inRow += 1;
    return true;
  };
  return {
    generations,
    onChange: pass,
    onReply: (reply, moment) => {
      if (reply.type === 'opened' && moment === 'before') generations.push(reply.contents.generation);
      const isDeath = pass();
      if (!isDeath && moment === 'after' && reply.type !== 'opened') inRow = 0;
      return isDeath;
    },
  };
}

const ROUNDS = 40;

test.each(Array.from({ length: 20 }, (_, n) => n))(
  'random deaths between random calls lose nothing, and nothing is there twice (%i)',
  seeded(async (random) => {
    const disk = new SimulatedDisk();
    const fate = randomFate(random);
    const mortal = mortalLog(disk, fate);
    const rows = new Rows(mortal, random, (await mortal.log.open()).generation);
    const verify = (after: SimulatedDisk): void => {
      const opened = openOn(after, MORTAL_OPTIONS);
      assert.deepEqual(opened.damage, [], 'a death is no damage');
      for (const stream of opened.store.streams()) {
        const sequences = opened.store.list(stream).map(({ sequence }) => sequence);
        assert.equal(new Set(sequences).size, sequences.length);
      }
      const generation = fate.generations.at(-1) as bigint;
      expectFound(findAll(opened), { states: [rows.promised], held: new Map(), perStream: 2, generation });
    };
    for (let round = 0; round < ROUNDS; round++) {
      await rows.perform();
      // All that was answered is on the disk, also if the power fails now.
      if (random.chance(0.1)) verify(disk.crash(() => random.chance(0.5)));
    }
    await mortal.log.close();
    verify(disk.crash(() => false));
    expect(disk.bytesMax).toBeLessThanOrEqual(MORTAL_OPTIONS.diskBytes);
    expect(disk.openHandles).toBe(0);
    expect(fate.generations).toEqual([...new Set(fate.generations)].sort((a, b) => Number(a - b)));
    expect(mortal.restarts.length).toBeGreaterThan(0);
  }),
  60_000,
);
