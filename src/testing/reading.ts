/** Clauses about `read`, `list` and `streams`. */
import assert from 'node:assert/strict';
import { expectBytes, expectKept, sequencesOf } from './expect.ts';
import { type Clause, CREATED_AT } from './trial.ts';

export const READING: readonly Clause[] = [
  {
    name: 'reading a sequence gives the checkpoint at that sequence, byte for byte',
    async check(trial) {
      const opened = await trial.open();
      const frames = [3, 5, 8].map((sequence) => opened.frame('s', sequence, { stateBytes: 10 * sequence }));
      for (const frame of frames) await opened.commit([frame]);
      await expectKept(opened, frames.slice(-trial.perStream));
    },
  },
  {
    name: 'reading without a sequence gives the greatest one, whatever came last',
    async check(trial) {
      const opened = await trial.open();
      const newest = opened.frame('s', 10);
      await opened.save('s', 2);
      await opened.commit([newest]);
      await opened.save('s', 9);
      expectBytes(await opened.bytes('s'), newest);
    },
  },
  {
    name: 'reading what is not there gives undefined',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('s', 10, 20);
      assert.equal(await opened.store.read('nobody'), undefined, 'a stream that is not there');
      assert.equal(await opened.store.read('nobody', 10n), undefined, 'a stream that is not there, at 10');
      for (const sequence of [0n, 9n, 15n, 21n]) {
        assert.equal(await opened.store.read('s', sequence), undefined, `sequence ${sequence}`);
      }
    },
  },
  {
    name: 'a view tells what the checkpoint is',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('s', 10);
      const view = await opened.store.read('s', 10n);
      assert.equal(view?.streamId, 's');
      assert.equal(view.sequence, 10n);
      assert.equal(view.generation, opened.generation);
      assert.equal(view.eventCount, 10n);
    },
  },
  {
    name: 'lists ascend by sequence, whatever the order of the commits',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('s', 30, 10, 20);
      const sequences = (await opened.store.list('s')).map(({ sequence }) => sequence);
      assert.deepEqual(sequences, [10n, 20n, 30n].slice(-sequences.length));
      assert.ok(sequences.length >= Math.min(trial.perStream, 3), 'the newest checkpoints are listed');
    },
  },
  {
    name: 'lists tell the stream and the time of each checkpoint',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('s', 1, 2);
      const ids = await opened.store.list('s');
      assert.ok(ids.length > 0, 'the list is empty');
      for (const { streamId, createdAt } of ids) {
        assert.equal(streamId, 's');
        assert.deepEqual(createdAt, CREATED_AT);
      }
    },
  },
  {
    name: 'the list of a stream that is not there is empty',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('s', 1);
      assert.deepEqual(await opened.store.list('nobody'), []);
    },
  },
  {
    name: 'streams are named once each, however many checkpoints they have',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('b', 1, 2, 3);
      await opened.save('a', 1);
      await opened.save('c', 1, 2);
      assert.deepEqual((await opened.streams()).sort(), ['a', 'b', 'c']);
    },
  },
  {
    name: 'a checkpoint that is saved again replaces the one before',
    async check(trial) {
      const first = await trial.open();
      await first.commit([first.frame('s', 5, { stateBytes: 90 })]);
      const later = first.frame('s', 5, { stateBytes: 60, salt: 1 });
      await first.commit([later]);
      assert.deepEqual(await sequencesOf(first, 's'), [5n]);
      await expectKept(first, [later]);
    },
  },
  {
    name: 'a checkpoint that replaced another still does when the store is opened again',
    async check(trial) {
      const first = await trial.open();
      await first.commit([first.frame('s', 5)]);
      const second = await trial.reopen(first);
      const later = second.frame('s', 5, { salt: 1 });
      await second.commit([later]);
      const third = await trial.reopen(second);
      const checkpoints = await third.checkpoints();
      assert.equal(checkpoints.length, 1, 'checkpoints of the one stream');
      await expectKept(third, [later]);
    },
  },
];
