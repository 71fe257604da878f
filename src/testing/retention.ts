/** Clauses about what a store keeps, and about one that is full. */
import assert from 'node:assert/strict';
import type { FrameRef } from '../store/contract.ts';
import { expectKept, expectRefused, sequencesOf } from './expect.ts';
import type { Clause, Opened, Trial } from './trial.ts';

/** So many frames would take the whole capacity, and so many have room for certain. */
const FRAMES_IN_CAPACITY = 64;
const FRAMES_WITH_ROOM = 15;
/** With so many frames of each stream, what was written is a multiple of the capacity. */
const ROUNDS = 20;

/** A store that has refused a commit, and what it took before. */
interface Full {
  readonly opened: Opened;
  /** One of each stream. */
  readonly kept: readonly FrameRef[];
  readonly refused: FrameRef;
  readonly refusal: () => Promise<void>;
}

const isBounded: Clause['suits'] = ({ capacityBytes }) => capacityBytes !== undefined;

export const RETENTION: readonly Clause[] = [
  {
    name: 'of each stream at least the newest checkpoints are kept, as many as the store promises',
    async check(trial) {
      const first = await trial.open();
      const saved = Array.from({ length: trial.perStream + 5 }, (_, n) => BigInt(n + 1));
      await first.save('s', ...saved);
      const promised = saved.slice(-trial.perStream);
      const expectPromised = async (opened: Opened): Promise<void> => {
        const sequences = await sequencesOf(opened, 's');
        assert.deepEqual(sequences.slice(-trial.perStream), promised);
        for (const sequence of promised) assert.ok(await opened.has('s', sequence), `sequence ${sequence}`);
      };
      await expectPromised(first);
      await expectPromised(await trial.reopen(first));
    },
  },
  {
    name: 'the checkpoint of a quiet stream stays, however many commits go to others',
    async check(trial) {
      const first = await trial.open();
      const quiet = first.frame('quiet', 1);
      await first.commit([quiet]);
      const commits = Array.from({ length: 300 }, (_, n) => first.commit([first.frame(`busy ${n % 10}`, n)]));
      await Promise.all(commits);
      await expectKept(first, [quiet]);
      await expectKept(await trial.reopen(first), [quiet]);
    },
  },
  {
    name: 'a full store refuses commits, which may be tried again',
    suits: isBounded,
    async check(trial) {
      const { refusal } = await fill(trial);
      const error = await expectRefused('a commit to a full store', refusal, 'ERR_TIDEMARK_STORE_FULL');
      assert.equal(error.retryable, true, 'the error is retryable');
    },
  },
  {
    name: 'a full store loses nothing that was durable, and keeps nothing of what it refuses',
    suits: isBounded,
    async check(trial) {
      const { opened, kept, refused } = await fill(trial);
      await expectKept(opened, kept);
      assert.equal(await opened.has(refused.stream, refused.sequence), false, 'what was refused is there');
      const again = await trial.reopen(opened);
      await expectKept(again, kept);
      assert.equal(
        await again.has(refused.stream, refused.sequence),
        false,
        'what was refused has come back',
      );
    },
  },
  {
    name: 'the frontiers of a commit that is refused do not count',
    suits: isBounded,
    async check(trial) {
      const { opened, kept } = await fill(trial);
      const again = await trial.reopen(opened);
      assert.equal(again.contents.frontiers.get('source'), BigInt(kept.length));
    },
  },
  {
    name: 'a full store takes commits again once streams are forgotten',
    suits: isBounded,
    async check(trial) {
      const { opened, kept, refused } = await fill(trial);
      for (const { stream } of halfOf(kept)) await opened.store.forget(stream);
      await opened.commit([refused]);
      await expectKept(opened, [refused, ...kept.slice(halfOf(kept).length)]);
    },
  },
  {
    name: 'a full store takes commits again once checkpoints are deleted',
    suits: isBounded,
    async check(trial) {
      const { opened, kept, refused } = await fill(trial);
      for (const { stream, sequence } of halfOf(kept)) await opened.store.deleteBefore(stream, sequence + 1n);
      await opened.commit([refused]);
      await expectKept(opened, [refused, ...kept.slice(halfOf(kept).length)]);
    },
  },
  {
    name: 'older checkpoints give way to newer ones, so what the newest have room for is never refused',
    suits: isBounded,
    async check(trial) {
      const opened = await trial.open();
      let newest: FrameRef[] = [];
      for (let round = 1; round <= ROUNDS; round++) {
        newest = Array.from({ length: FRAMES_WITH_ROOM }, (_, n) =>
          opened.frame(`stream ${n}`, round, { stateBytes: stateBytesOf(trial) }),
        );
        for (const frame of newest) await opened.commit([frame]);
      }
      await expectKept(opened, newest);
    },
  },
];

/** Commits one stream after the other until the store refuses one, for whatever reason it gives. */
async function fill(trial: Trial): Promise<Full> {
  const opened = await trial.open();
  const kept: FrameRef[] = [];
  for (let n = 1; n <= FRAMES_IN_CAPACITY; n++) {
    const refused = opened.frame(`stream ${n}`, n, { stateBytes: stateBytesOf(trial) });
    try {
      await opened.commit([refused], [['source', BigInt(n)]]);
    } catch (error) {
      return { opened, kept, refused, refusal: () => Promise.reject(error) };
    }
    kept.push(refused);
  }
  const { capacityBytes } = trial.factory;
  assert.fail(`the store took ${capacityBytes} bytes of newest checkpoints and has room for fewer`);
}

function stateBytesOf({ factory }: Trial): number {
  return Math.ceil((factory.capacityBytes ?? 0) / FRAMES_IN_CAPACITY);
}

/** The frames that were committed first. */
function halfOf(kept: readonly FrameRef[]): readonly FrameRef[] {
  return kept.slice(0, Math.ceil(kept.length / 2));
}
