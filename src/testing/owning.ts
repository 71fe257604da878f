/** Clauses about who may write: generations, second openers, crashes, closed stores. */
import { strict as assert } from 'node:assert';
import type { Clause } from './clause.ts';
import { frameOf, type OpenStore, refused, type Session } from './session.ts';

export const owningClauses: readonly Clause[] = [
  {
    name: 'every opening has a greater generation than all before',
    async check(session) {
      const generations: bigint[] = [];
      for (let life = 0; life < 4; life++) {
        const open = await session.open();
        generations.push(open.contents.generation);
        if (life % 2 === 0) await open.save([frameOf('a', life)]);
        await open.store.close();
      }
      for (const [i, generation] of generations.entries()) {
        assert(i === 0 || generation > (generations[i - 1] as bigint), `generations were ${generations}`);
      }
    },
  },
  {
    name: 'a commit of an earlier generation is refused with ERR_TIDEMARK_FENCED',
    async check(session) {
      const first = await session.open();
      await first.save([frameOf('a', 1)]);
      const open = await session.reopen(first);
      const { generation } = first.contents;
      await refused(open.save([frameOf('a', 2)], { generation }), 'ERR_TIDEMARK_FENCED');
      await open.lacks('a', 2n);
      await open.save([frameOf('a', 3)]);
      await open.has(frameOf('a', 3));
      await open.store.close();
    },
  },
  {
    name: 'a second opener is refused, and the first goes on',
    applies: ({ secondOpener }) => secondOpener === 'refused',
    async check(session) {
      const open = await session.open();
      await open.save([frameOf('a', 1)]);
      const second = await session.place.store();
      await refused(second.open(), 'ERR_TIDEMARK_DIRECTORY_LOCKED');
      await second.close();
      await open.save([frameOf('a', 2)]);
      await open.has(frameOf('a', 2));
      const again = await session.reopen(open);
      await again.has(frameOf('a', 2));
      await again.store.close();
    },
  },
  {
    name: 'a second opener takes over, and what the first one writes then is refused',
    applies: ({ secondOpener }) => secondOpener === 'fenced',
    async check(session) {
      const first = await session.open();
      await first.save([frameOf('a', 1)]);
      const second = await session.open();
      await second.save([frameOf('a', 2)]);
      await refused(first.save([frameOf('a', 3)]), 'ERR_TIDEMARK_FENCED');
      await refused(first.store.forget('a'));
      await second.lacks('a', 3n);
      await second.has(frameOf('a', 2));
      await second.store.close();
    },
  },
  {
    name: 'a crash loses nothing that was acknowledged, and leaves nothing half there',
    applies: ({ canCrash }) => canCrash,
    async check(session) {
      let next = 1;
      for (let life = 0; life < 3; life++) {
        const open = await session.open();
        if (life > 0) await open.has(frameOf('a', next - 1));
        for (const last = next + 5; next < last; next++) {
          await open.save([frameOf('a', next), frameOf('b', next)], {
            frontiers: new Map([['s', BigInt(next)]]),
          });
        }
        const under = open.save([frameOf('a', next), frameOf('b', next)], {
          frontiers: new Map([['s', BigInt(next)]]),
        });
        await crash(session, under);
        const after = await session.open();
        next = await expectWhole(after, next);
        await after.store.close();
      }
    },
  },
  {
    name: 'a writer that wakes after a crash and a later opening changes nothing any more',
    applies: ({ canCrash }) => canCrash,
    async check(session) {
      const stalled = await session.open();
      await stalled.save([frameOf('a', 1)]);
      await crash(session, Promise.resolve());
      const open = await session.open();
      await open.save([frameOf('a', 2)]);
      await refused(stalled.save([frameOf('a', 9)]));
      await open.lacks('a', 9n);
      const again = await session.reopen(open);
      await again.has(frameOf('a', 2));
      assert.deepEqual(await again.streams(), ['a']);
      await again.store.close();
    },
  },
  {
    name: 'a closed store refuses everything, and may be closed again',
    async check(session) {
      const open = await session.open();
      await open.save([frameOf('a', 1)]);
      const { store } = open;
      await store.close();
      await refused(open.save([frameOf('a', 2)]));
      await refused(store.read('a'));
      await refused(store.list('a'));
      await refused(open.streams());
      await refused(store.deleteBefore('a', 1n));
      await refused(store.forget('a'));
      await store.close();
      const again = await session.open();
      await again.has(frameOf('a', 1));
      await again.lacks('a', 2n);
      await again.store.close();
    },
  },
];

/** Crashes while `under` is on its way, which may be acknowledged or not, but not left hanging. */
async function crash({ place }: Session, under: Promise<unknown>): Promise<void> {
  assert(place.crash !== undefined, 'the factory says that its places can crash, and this one cannot');
  const [crashed] = await Promise.allSettled([place.crash(), under]);
  if (crashed.status === 'rejected') throw crashed.reason;
}

/** All of the commit of `sequence`, or all of the one before; returns the next sequence. */
async function expectWhole(open: OpenStore, sequence: number): Promise<number> {
  const frontier = open.contents.frontiers.get('s');
  const found = [...(await open.checkpoints()).values()].map((checkpoint) => checkpoint.sequence);
  assert.equal(found.length, 2);
  assert(
    found.every((each) => each === frontier),
    `the frontier is ${frontier}, the checkpoints are at ${found}`,
  );
  assert(
    frontier === BigInt(sequence) || frontier === BigInt(sequence - 1),
    `what was acknowledged at ${sequence - 1} is at ${frontier}`,
  );
  for (const stream of ['a', 'b']) await open.has(frameOf(stream, frontier));
  return Number(frontier) + 1;
}
