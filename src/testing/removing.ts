/** Clauses about what is removed, and about a store without room. */
import { strict as assert } from 'node:assert';
import type { FrameRef } from '../store/contract.ts';
import type { Clause } from './clause.ts';
import { frameOf, refused } from './session.ts';

const LARGE_BYTES = 100_000;
/** A small place is full long before so many large checkpoints. */
const LARGE_MAX = 2_000;

export const removingClauses: readonly Clause[] = [
  {
    name: 'deleteBefore removes the lower sequences of one stream, for good',
    applies: ({ perStream }) => perStream > 1,
    async check(session) {
      const open = await session.open();
      for (const sequence of [4n, 5n]) await open.save([frameOf('a', sequence), frameOf('b', sequence)]);
      await open.store.deleteBefore('a', 5n);
      assert.deepEqual(await open.sequences('a'), [5n]);
      const again = await session.reopen(open);
      assert.deepEqual(await again.sequences('a'), [5n]);
      assert.deepEqual(await again.sequences('b'), [4n, 5n]);
      await again.lacks('a', 4n);
      await again.store.close();
    },
  },
  {
    name: 'forget removes all of one stream, for good',
    async check(session) {
      const open = await session.open();
      for (const sequence of [4n, 5n]) await open.save([frameOf('a', sequence), frameOf('b', sequence)]);
      await open.store.forget('a');
      await open.lacks('a');
      assert.deepEqual(await open.sequences('a'), []);
      const again = await session.reopen(open);
      assert.deepEqual(await again.streams(), ['b']);
      assert.deepEqual([...(await again.checkpoints()).keys()], ['b']);
      await again.has(frameOf('b', 5));
      await again.store.close();
    },
  },
  {
    name: 'a name that was forgotten begins anew, with lower sequences too',
    async check(session) {
      const open = await session.open();
      await open.save([frameOf('a', 50)]);
      await open.store.forget('a');
      const anew = frameOf('a', 2, { salt: 9 });
      await open.save([anew]);
      assert.deepEqual(await open.sequences('a'), [2n]);
      const again = await session.reopen(open);
      assert.deepEqual(await again.sequences('a'), [2n]);
      await again.has(anew);
      await again.store.close();
    },
  },
  {
    name: 'streams lists each stream that has a checkpoint once',
    async check(session) {
      const open = await session.open();
      assert.deepEqual(await open.streams(), []);
      await open.save([frameOf('b', 1), frameOf('a', 1)]);
      await open.save([frameOf('a', 2)]);
      assert.deepEqual(await open.streams(), ['a', 'b']);
      await open.store.close();
    },
  },
  {
    name: 'a full store refuses with ERR_TIDEMARK_STORE_FULL, loses nothing, and goes on once there is room',
    applies: (factory) => 'createSmall' in factory,
    needsSmall: true,
    async check(session) {
      const open = await session.open();
      const saved: FrameRef[] = [];
      let full: Promise<void> | undefined;
      while (full === undefined) {
        assert(saved.length < LARGE_MAX, 'the store is never full');
        const frame = frameOf(`stream-${saved.length}`, 1, { bytes: LARGE_BYTES });
        const commit = open.save([frame], { frontiers: new Map([['s', BigInt(saved.length)]]) });
        if (await isDone(commit)) saved.push(frame);
        else full = commit;
      }
      const error = await refused(full, 'ERR_TIDEMARK_STORE_FULL');
      assert.equal(error.retryable, true);
      for (const frame of saved) await open.has(frame);
      const again = await session.reopen(open);
      for (const frame of saved) await again.has(frame);
      assert.equal(again.contents.frontiers.get('s'), BigInt(saved.length - 1));
      for (const { stream } of saved.slice(0, saved.length / 2)) await again.store.forget(stream);
      const more = frameOf('more', 1, { bytes: LARGE_BYTES });
      await again.save([more]);
      await again.has(more);
      await again.store.close();
    },
  },
];

async function isDone(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch {
    // What it was refused with is looked at by whoever asks.
    return false;
  }
}
