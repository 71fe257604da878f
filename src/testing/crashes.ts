/** Clauses about what a crash leaves. They suit factories that can crash their stores. */
import assert from 'node:assert/strict';
import type { FrameRef } from '../store/contract.ts';
import { expectBytes, expectKept, sequencesOf } from './expect.ts';
import type { Clause, Opened, Trial } from './trial.ts';

const STREAMS = ['a', 'b', 'c'];
const COMMITS_UNDER_WAY = 10;
/** Crashes come after 0 to so many turns of the event loop. */
const TURNS_MAX = 8;

const canCrash: Clause['suits'] = (factory) => factory.crash !== undefined;

export const CRASHES: readonly Clause[] = [
  {
    name: 'checkpoints that were acknowledged outlive crashes',
    suits: canCrash,
    async check(trial) {
      const first = await trial.open();
      const frames = [1, 2, 3].map((n) => first.frame(`stream ${n}`, n, { stateBytes: 1000 * n }));
      for (const frame of frames) await first.commit([frame]);
      await trial.crash();
      const second = await trial.open();
      await expectKept(second, frames);
      const later = second.frame('stream 4', 4);
      await second.commit([later]);
      await trial.crash();
      await expectKept(await trial.open(), [...frames, later]);
    },
  },
  {
    name: 'frontiers that were acknowledged outlive a crash',
    suits: canCrash,
    async check(trial) {
      const first = await trial.open();
      await first.commit([first.frame('s', 1)], [['source', 1n]]);
      await first.commit([], [['source', 2n]]);
      await trial.crash();
      assert.equal((await trial.open()).contents.frontiers.get('source'), 2n);
    },
  },
  {
    name: 'removals that were acknowledged outlive a crash',
    suits: canCrash,
    async check(trial) {
      const first = await trial.open();
      await first.save('s', 1, 2, 5);
      await first.save('forgotten', 1);
      await first.store.deleteBefore('s', 4n);
      await first.store.forget('forgotten');
      await trial.crash();
      const second = await trial.open();
      assert.deepEqual(await sequencesOf(second, 's'), [5n]);
      assert.deepEqual(await sequencesOf(second, 'forgotten'), []);
    },
  },
  {
    name: 'a crash amid commits leaves whole checkpoints, and no frontier ahead of them',
    suits: canCrash,
    async check(trial) {
      const saved = new Map<string, FrameRef>();
      let opened = await trial.open();
      let last = 0;
      for (let turns = 0; turns <= TURNS_MAX; turns++) {
        const acknowledged = await crashAmidCommits(trial, { opened, saved, first: last + 1, turns });
        last += 1 + COMMITS_UNDER_WAY;
        opened = await trial.open();
        await expectWhole(opened, saved, acknowledged);
      }
    },
  },
];

interface Round {
  readonly opened: Opened;
  /** By stream and sequence, every frame that was ever handed to a store. */
  readonly saved: Map<string, FrameRef>;
  readonly first: number;
  readonly turns: number;
}

/**
 * Every commit has a checkpoint of all streams and, as the frontier, their sequence. One is awaited, the others
 * are under way when the crash comes. Returns the sequence of the last one that was acknowledged before it.
 */
async function crashAmidCommits(trial: Trial, { opened, saved, first, turns }: Round): Promise<bigint> {
  let acknowledged = 0n;
  const commit = (sequence: number): Promise<void> => {
    const frames = STREAMS.map((stream) => opened.frame(stream, sequence, { stateBytes: 700 }));
    for (const frame of frames) saved.set(`${frame.stream} ${sequence}`, frame);
    return opened.commit(frames, [['source', BigInt(sequence)]]).then(() => {
      acknowledged = BigInt(sequence);
    });
  };
  await commit(first);
  for (let n = 1; n <= COMMITS_UNDER_WAY; n++) {
    // The crash may end it with any error, or leave it without an answer for ever.
    commit(first + n).catch(() => undefined);
  }
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
  const before = acknowledged;
  await trial.crash();
  return before;
}

async function expectWhole(
  opened: Opened,
  saved: ReadonlyMap<string, FrameRef>,
  acknowledged: bigint,
): Promise<void> {
  const frontier = opened.contents.frontiers.get('source') ?? 0n;
  assert.ok(frontier >= acknowledged, `frontier ${frontier}, though ${acknowledged} was acknowledged`);
  const checkpoints = await opened.checkpoints();
  assert.deepEqual(checkpoints.map(({ stream }) => stream).sort(), STREAMS);
  for (const checkpoint of checkpoints) {
    const { stream, sequence, byteLength } = checkpoint;
    assert.ok(sequence >= frontier, `${stream} is at ${sequence}, though the frontier is ${frontier}`);
    const frame = saved.get(`${stream} ${sequence}`);
    assert.ok(frame !== undefined, `${stream} has a sequence that was never saved: ${sequence}`);
    const bytes = new Uint8Array(byteLength);
    await checkpoint.copyTo(bytes);
    expectBytes(bytes, frame);
  }
}
