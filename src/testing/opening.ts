/** Clauses about what `open` says. */
import assert from 'node:assert/strict';
import { expectBytes } from './expect.ts';
import type { Clause } from './trial.ts';

export const OPENING: readonly Clause[] = [
  {
    name: 'a new place holds nothing',
    async check(trial) {
      const opened = await trial.open();
      assert.equal(opened.contents.frontiers.size, 0, 'frontiers of a new place');
      assert.deepEqual(opened.contents.lost, [], 'lost streams of a new place');
      assert.deepEqual(await opened.checkpoints(), [], 'checkpoints of a new place');
      assert.deepEqual(await opened.streams(), [], 'streams of a new place');
    },
  },
  {
    name: 'every opening has a generation greater than all before',
    async check(trial) {
      let opened = await trial.open();
      for (let opening = 0; opening < 4; opening++) {
        const before = opened.generation;
        opened = await trial.reopen(opened);
        assert.ok(opened.generation > before, `generation ${opened.generation} after ${before}`);
      }
    },
  },
  {
    name: 'a generation counts although its engine crashed before it wrote anything',
    suits: (factory) => factory.crash !== undefined,
    async check(trial) {
      let { generation } = await trial.open();
      for (let opening = 0; opening < 3; opening++) {
        await trial.crash();
        const after = await trial.open();
        assert.ok(after.generation > generation, `generation ${after.generation} after ${generation}`);
        ({ generation } = after);
      }
    },
  },
  {
    name: 'a store that is opened again gives the newest checkpoint of each stream, once',
    async check(trial) {
      const first = await trial.open();
      await first.commit([first.frame('many', 1), first.frame('one', 5)]);
      await first.commit([first.frame('many', 4)]);
      const newest = [first.frame('many', 9), first.frame('one', 5)];
      await first.commit([newest[0]!]);
      const second = await trial.reopen(first);
      const checkpoints = await second.checkpoints();
      const found = checkpoints.map(({ stream, sequence, byteLength, fellBack }) => ({
        stream,
        sequence,
        byteLength,
        fellBack,
      }));
      const expected = newest.map(({ stream, sequence, bytes }) => ({
        stream,
        sequence,
        byteLength: bytes.length,
        fellBack: 0,
      }));
      assert.deepEqual(found.sort(byStream), expected);
      assert.deepEqual(second.contents.lost, [], 'streams that are lost');
    },
  },
  {
    name: 'checkpoints are copied when they are asked for, all at once and into shared memory too',
    async check(trial) {
      const first = await trial.open();
      const frames = Array.from({ length: 40 }, (_, n) =>
        first.frame(`stream ${n}`, n, { stateBytes: 100 * n }),
      );
      await first.commit(frames);
      const second = await trial.reopen(first);
      // The last one first: a copy may be asked for long after the checkpoint was named, and in any order.
      const checkpoints = (await second.checkpoints()).reverse();
      const targets = checkpoints.map(({ byteLength }, n) =>
        n % 2 === 0
          ? new Uint8Array(byteLength)
          : new Uint8Array(new SharedArrayBuffer(byteLength + 3), 3, byteLength),
      );
      await Promise.all(checkpoints.map((checkpoint, n) => checkpoint.copyTo(targets[n]!)));
      for (const frame of frames) {
        const at = checkpoints.findIndex(({ stream }) => stream === frame.stream);
        expectBytes(targets[at], frame);
      }
    },
  },
  {
    name: 'a checkpoint keeps the generation of the engine that took it',
    async check(trial) {
      const first = await trial.open();
      await first.save('early', 1);
      const second = await trial.reopen(first);
      await second.save('late', 1);
      const third = await trial.reopen(second);
      const generations = new Map(
        (await third.checkpoints()).map(({ stream, generation }) => [stream, generation]),
      );
      assert.equal(generations.get('early'), first.generation);
      assert.equal(generations.get('late'), second.generation);
    },
  },
  {
    name: 'a store that is opened again gives the frontiers of the last commit, lower ones too',
    async check(trial) {
      const first = await trial.open();
      await first.commit(
        [first.frame('s', 1)],
        [
          ['rises', 10n],
          ['falls', 20n],
          ['stays', 30n],
        ],
      );
      const last: [string, bigint][] = [
        ['rises', 11n],
        ['falls', 15n],
        ['stays', 30n],
      ];
      await first.commit([first.frame('s', 2)], last);
      const second = await trial.reopen(first);
      assert.deepEqual(new Map(second.contents.frontiers), new Map(last));
    },
  },
  {
    name: 'a commit without frames keeps its frontiers',
    async check(trial) {
      const first = await trial.open();
      await first.commit([], [['source', 7n]]);
      const second = await trial.reopen(first);
      assert.equal(second.contents.frontiers.get('source'), 7n);
    },
  },
];

function byStream(a: { readonly stream: string }, b: { readonly stream: string }): number {
  return a.stream < b.stream ? -1 : 1;
}
