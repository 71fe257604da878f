/** Clauses about `deleteBefore` and `forget`. */
import assert from 'node:assert/strict';
import { U64_MAX } from '../codec/u64.ts';
import { expectKept, sequencesOf } from './expect.ts';
import type { Clause, Opened } from './trial.ts';

export const REMOVAL: readonly Clause[] = [
  {
    name: 'deleteBefore removes the checkpoints below a sequence and leaves the others',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('s', 1, 2, 3);
      await opened.save('other', 1);
      await opened.store.deleteBefore('s', 3n);
      assert.deepEqual(await sequencesOf(opened, 's'), [3n]);
      for (const gone of [1, 2]) assert.equal(await opened.has('s', gone), false, `sequence ${gone}`);
      assert.ok(await opened.has('s', 3), 'the sequence itself stays');
      assert.ok(await opened.has('other', 1), 'another stream stays');
    },
  },
  {
    name: 'deleteBefore takes a sequence of which there is no checkpoint',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('s', 10, 20);
      await opened.store.deleteBefore('s', 15n);
      assert.deepEqual(await sequencesOf(opened, 's'), [20n]);
      await opened.store.deleteBefore('s', 0n);
      assert.deepEqual(await sequencesOf(opened, 's'), [20n]);
    },
  },
  {
    name: 'deleteBefore above the newest checkpoint leaves nothing of the stream',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('s', 10, 20);
      await opened.store.deleteBefore('s', U64_MAX);
      await expectGone(opened, 's');
      assert.ok(!(await opened.streams()).includes('s'), 'the stream is still named');
    },
  },
  {
    name: 'what deleteBefore removed stays away when the store is opened again',
    async check(trial) {
      const first = await trial.open();
      await first.save('s', 1, 2, 5);
      await first.save('all', 1);
      await first.store.deleteBefore('s', 4n);
      await first.store.deleteBefore('all', 4n);
      const second = await trial.reopen(first);
      assert.deepEqual(await sequencesOf(second, 's'), [5n]);
      await expectGone(second, 'all');
      assert.deepEqual(await restoredStreams(second), ['s']);
      assert.deepEqual(second.contents.lost, [], 'a stream that was deleted is not lost');
    },
  },
  {
    name: 'deleteBefore does not reach checkpoints that are saved after it',
    async check(trial) {
      const first = await trial.open();
      await first.save('s', 10);
      await first.store.deleteBefore('s', 100n);
      await first.save('s', 11);
      assert.ok(await first.has('s', 11), 'a checkpoint that was saved later');
      const second = await trial.reopen(first);
      assert.ok(await second.has('s', 11), 'a checkpoint that was saved later, opened again');
    },
  },
  {
    name: 'forget removes everything about a stream and nothing about others',
    async check(trial) {
      const opened = await trial.open();
      await opened.save('s', 1, U64_MAX);
      await opened.save('other', 1);
      await opened.store.forget('s');
      await expectGone(opened, 's');
      assert.deepEqual(await opened.streams(), ['other']);
      assert.ok(await opened.has('other', 1), 'another stream stays');
    },
  },
  {
    name: 'what was forgotten stays forgotten when the store is opened again',
    async check(trial) {
      const first = await trial.open();
      await first.save('s', 1, 2);
      await first.save('other', 1);
      await first.store.forget('s');
      const second = await trial.reopen(first);
      await expectGone(second, 's');
      assert.deepEqual(await restoredStreams(second), ['other']);
      assert.deepEqual(second.contents.lost, [], 'a stream that was forgotten is not lost');
    },
  },
  {
    name: 'a name that was forgotten is as good as new, for lower sequences too',
    async check(trial) {
      const first = await trial.open();
      await first.save('s', 100, 200);
      await first.store.forget('s');
      const reborn = first.frame('s', 7, { salt: 1 });
      await first.commit([reborn]);
      assert.deepEqual(await sequencesOf(first, 's'), [7n]);
      await expectKept(first, [reborn]);
      const second = await trial.reopen(first);
      assert.deepEqual(await sequencesOf(second, 's'), [7n]);
      await expectKept(second, [reborn]);
    },
  },
  {
    name: 'removing what is not there is no error',
    async check(trial) {
      const opened = await trial.open();
      await opened.store.forget('nobody');
      await opened.store.deleteBefore('nobody', 5n);
      await opened.save('s', 10);
      await opened.store.deleteBefore('s', 10n);
      await opened.store.forget('s');
      await opened.store.forget('s');
    },
  },
];

/** Nothing of `stream` can be read. */
async function expectGone(opened: Opened, stream: string): Promise<void> {
  assert.equal(await opened.store.read(stream), undefined, `${stream} can still be read`);
  assert.deepEqual(await opened.store.list(stream), [], `${stream} is still listed`);
}

async function restoredStreams(opened: Opened): Promise<string[]> {
  return (await opened.checkpoints()).map(({ stream }) => stream).sort();
}
