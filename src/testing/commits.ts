/** Clauses about `commit`: what it may be given, and several at once. */
import assert from 'node:assert/strict';
import { viewFrame } from '../codec/view.ts';
import { expectKept } from './expect.ts';
import type { Clause } from './trial.ts';

export const COMMITS: readonly Clause[] = [
  {
    name: 'the bytes of a frame may be used for something else once its commit has settled',
    async check(trial) {
      const opened = await trial.open();
      const frame = opened.frame('s', 1, { stateBytes: 5000 });
      const bytes = new Uint8Array(frame.bytes);
      await opened.commit([{ ...frame, bytes }]);
      bytes.fill(0xff);
      await expectKept(opened, [frame]);
    },
  },
  {
    name: 'frames may be parts of a larger piece of shared memory',
    async check(trial) {
      const opened = await trial.open();
      const frames = [1, 2, 3].map((n) => opened.frame(`stream ${n}`, n, { stateBytes: 50 * n }));
      const memory = new Uint8Array(new SharedArrayBuffer(2000)).fill(0xff);
      let end = 3;
      const placed = frames.map((frame) => {
        const start = end;
        end += frame.bytes.length;
        memory.set(frame.bytes, start);
        return { ...frame, bytes: memory.subarray(start, end) };
      });
      await opened.commit(placed);
      memory.fill(0);
      await expectKept(opened, frames);
    },
  },
  {
    name: 'many commits may be under way at once, and all of them are kept',
    async check(trial) {
      const first = await trial.open();
      const frames = Array.from({ length: 200 }, (_, n) => first.frame(`stream ${n % 100}`, n));
      await Promise.all(frames.map((frame) => first.commit([frame])));
      const second = await trial.reopen(first);
      // Of each stream the second one is the newest, which is all that every store keeps.
      await expectKept(second, frames.slice(100));
    },
  },
  {
    name: 'commits that are under way at once count in the order in which they were made',
    async check(trial) {
      const first = await trial.open();
      const commits = Array.from({ length: 100 }, (_, n) =>
        first.commit([first.frame('s', n)], [['source', BigInt(n)]]),
      );
      await Promise.all(commits);
      const second = await trial.reopen(first);
      assert.equal(second.contents.frontiers.get('source'), 99n, 'the frontier of the last commit');
    },
  },
  {
    name: 'a read beside commits gives one of the checkpoints, whole',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('s', 0);
      const commits: Promise<void>[] = [];
      const reads: Promise<Uint8Array | undefined>[] = [];
      for (let sequence = 1; sequence <= 50; sequence++) {
        commits.push(opened.commit([opened.frame('s', sequence, { stateBytes: 40 * sequence })]));
        reads.push(opened.bytes('s'));
      }
      const [found] = await Promise.all([Promise.all(reads), Promise.all(commits)]);
      for (const bytes of found) {
        assert.ok(bytes !== undefined, 'the stream has a checkpoint all along');
        assert.equal(viewFrame(bytes).streamId, 's');
      }
    },
  },
];
