/** Clauses about several stores on one place: who may write. */
import assert from 'node:assert/strict';
import { expectRefused } from './expect.ts';
import type { Clause } from './trial.ts';

const isFencing: Clause['suits'] = ({ secondOpener }) => secondOpener === 'fences';
const isLocking: Clause['suits'] = ({ secondOpener }) => secondOpener === 'refused';

export const OWNERS: readonly Clause[] = [
  {
    name: 'a batch of an earlier generation is refused, and nothing of it is kept',
    async check(trial) {
      const first = await trial.open();
      const stale = first.frame('s', 1);
      const second = await trial.reopen(first);
      const batch = { frames: [stale], frontiers: new Map([['source', 5n]]), generation: first.generation };
      await expectRefused('the batch', () => second.store.commit(batch), 'ERR_TIDEMARK_FENCED');
      assert.equal(await second.has('s', 1), false, 'its checkpoint is there');
      const third = await trial.reopen(second);
      assert.equal(third.contents.frontiers.get('source'), undefined, 'its frontier');
    },
  },
  {
    name: 'a second opener is refused, and the first one goes on',
    suits: isLocking,
    async check(trial) {
      const first = await trial.open();
      await first.save('s', 1);
      const second = await trial.connect();
      await expectRefused('opening it', () => second.open(), 'ERR_TIDEMARK_DIRECTORY_LOCKED');
      await first.save('s', 2);
      await second.close();
      await first.save('s', 3);
      assert.ok(await first.has('s', 3), 'what the first one saved');
    },
  },
  {
    name: 'a second opener finds what was durable, and fences the first one off',
    suits: isFencing,
    async check(trial) {
      const first = await trial.open();
      await first.save('s', 1);
      const second = await trial.open();
      await expectRefused('a commit of the first', () => first.save('s', 2), 'ERR_TIDEMARK_FENCED');
      assert.ok(await second.has('s', 1), 'what was durable before');
      assert.equal(await second.has('s', 2), false, 'what was refused is there');
      await second.save('s', 3);
      assert.ok(await second.has('s', 3), 'what the second one saved');
    },
  },
  {
    name: 'a writer that wakes after its successors have gone is refused still',
    suits: isFencing,
    async check(trial) {
      const sleeper = await trial.open();
      const successor = await trial.open();
      await successor.save('s', 5);
      await successor.store.close();
      await expectRefused('a late commit', () => sleeper.save('s', 6), 'ERR_TIDEMARK_FENCED');
      const last = await trial.open();
      assert.equal(await last.has('s', 6), false, 'what was refused is there');
    },
  },
  {
    name: 'a commit that a second opener overtakes is refused, or the opener has seen it',
    suits: isFencing,
    async check(trial) {
      const first = await trial.open();
      const isAcknowledged = first.save('s', 1).then(
        () => true,
        () => false,
      );
      const second = await trial.open();
      // Listed before the commit is awaited: what comes later is what the second engine does not know of.
      const seen = await second.checkpoints();
      if (await isAcknowledged) {
        assert.ok(
          seen.some(({ stream }) => stream === 's'),
          'it was acknowledged and not seen',
        );
      }
    },
  },
];
