/** Clauses about what is saved, found again, replaced and kept. */
import { strict as assert } from 'node:assert';
import type { Clause } from './clause.ts';
import { expectState, frameOf, type Session } from './session.ts';

const STREAMS = 2_000;
const U64_MAX = 2n ** 64n - 1n;
const NAMES = [
  '',
  ' ',
  'a/b',
  '../a',
  'a\\b',
  '\u0000',
  'nul\u0000nul',
  '__proto__',
  'é',
  'e\u0301',
  '\ufeffa',
  '🌊',
  '\uffff',
  'x'.repeat(500),
];

export const savingClauses: readonly Clause[] = [
  {
    name: 'what a commit saved is there when it has resolved, and after the store was opened again',
    async check(session) {
      const open = await session.open();
      const frames = ['a', 'b', 'c'].map((stream) => frameOf(stream, 7));
      await open.save(frames);
      for (const frame of frames) await open.has(frame);
      const again = await session.reopen(open);
      for (const frame of frames) await again.has(frame, 7n);
      await again.store.close();
    },
  },
  {
    name: 'open lists the newest checkpoint of every stream and copies it on request',
    async check(session) {
      const open = await session.open();
      await open.save([frameOf('a', 1), frameOf('b', 5)]);
      const newest = frameOf('a', 2, { bytes: 5_000 });
      await open.save([newest]);
      const again = await session.reopen(open);
      const found = await again.checkpoints();
      assert.deepEqual([...found.keys()].sort(), ['a', 'b']);
      const a = found.get('a');
      assert(a !== undefined);
      assert.deepEqual([a.sequence, a.fellBack, found.get('b')?.sequence], [2n, 0, 5n]);
      const target = new Uint8Array(new SharedArrayBuffer(a.byteLength));
      await a.copyTo(target);
      expectState(Uint8Array.from(target), newest);
      assert.deepEqual(again.contents.lost, []);
      await again.store.close();
    },
  },
  {
    name: 'open has the frontiers of the last commit',
    async check(session) {
      const open = await session.open();
      assert.equal(open.contents.frontiers.size, 0);
      await open.save([frameOf('a', 1)], { frontiers: new Map([['s', 1n]]) });
      const frontiers = new Map([
        ['s', 9n],
        ['t', U64_MAX],
      ]);
      await open.save([frameOf('a', 2)], { frontiers });
      const again = await session.reopen(open);
      assert.deepEqual(new Map(again.contents.frontiers), frontiers);
      await again.store.close();
    },
  },
  {
    name: 'a commit without checkpoints makes frontiers durable, and may lower them',
    async check(session) {
      const open = await session.open();
      await open.save([frameOf('a', 1)], { frontiers: new Map([['s', 5n]]) });
      await open.save([], { frontiers: new Map([['s', 8n]]) });
      const again = await session.reopen(open);
      assert.equal(again.contents.frontiers.get('s'), 8n);
      await again.save([], { frontiers: new Map([['s', 3n]]) });
      const last = await session.reopen(again);
      assert.equal(last.contents.frontiers.get('s'), 3n);
      await last.store.close();
    },
  },
  {
    name: 'list ascends by sequence, and read without one gives the newest, in whatever order they were saved',
    async check(session) {
      const open = await session.open();
      const { perStream } = session.factory;
      const sequences = [9n, 10n, 100n, 2n ** 63n, U64_MAX].slice(-perStream);
      for (const sequence of [...sequences].reverse()) await open.save([frameOf('a', sequence)]);
      assert.deepEqual(await open.sequences('a'), sequences);
      await open.has(frameOf('a', U64_MAX));
      const again = await session.reopen(open);
      assert.deepEqual(await again.sequences('a'), sequences);
      for (const sequence of sequences) await again.has(frameOf('a', sequence), sequence);
      assert.equal((await again.checkpoints()).get('a')?.sequence, U64_MAX);
      await again.store.close();
    },
  },
  {
    name: 'a checkpoint of the same stream and sequence takes the place of the one before',
    async check(session) {
      const open = await session.open();
      await open.save([frameOf('a', 4, { salt: 1 })]);
      const later = frameOf('a', 4, { salt: 2, bytes: 300 });
      await open.save([later]);
      assert.deepEqual(await open.sequences('a'), [4n]);
      await open.has(later);
      const again = await session.reopen(open);
      assert.deepEqual(await again.sequences('a'), [4n]);
      await again.has(later, 4n);
      await again.store.close();
    },
  },
  {
    name: 'the newest checkpoints of each stream are kept, as many as the store says',
    async check(session) {
      const { perStream } = session.factory;
      const open = await session.open();
      const last = perStream + 3;
      for (let sequence = 1; sequence <= last; sequence++) {
        await open.save([frameOf('a', sequence), frameOf('b', 10 * sequence)]);
      }
      const again = await session.reopen(open);
      for (const [stream, step] of [
        ['a', 1],
        ['b', 10],
      ] as const) {
        const kept = Array.from({ length: perStream }, (_, i) => BigInt(step * (last - perStream + 1 + i)));
        assert.deepEqual((await again.sequences(stream)).slice(-perStream), kept);
        for (const sequence of kept) await again.has(frameOf(stream, sequence), sequence);
      }
      await again.store.close();
    },
  },
  {
    name: 'what is not there is undefined or empty, not an error',
    async check(session) {
      const open = await session.open();
      await open.save([frameOf('a', 3)]);
      await open.lacks('b');
      await open.lacks('a', 2n);
      assert.deepEqual(await open.store.list('b'), []);
      await open.store.deleteBefore('b', 5n);
      await open.store.forget('b');
      await open.has(frameOf('a', 3));
      await open.store.close();
    },
  },
  {
    name: 'any well-formed string is the name of a stream of its own',
    async check(session) {
      const open = await session.open();
      const frames = NAMES.map((name, i) => frameOf(name, i + 1));
      await open.save(frames);
      const again = await session.reopen(open);
      assert.deepEqual(await again.streams(), [...NAMES].sort());
      for (const frame of frames) await again.has(frame);
      assert.equal((await again.checkpoints()).size, NAMES.length);
      await again.store.close();
    },
  },
  {
    name: 'thousands of streams in one commit are all there',
    async check(session) {
      const open = await session.open();
      const frames = Array.from({ length: STREAMS }, (_, i) => frameOf(`stream-${i}`, i));
      await open.save(frames);
      const again = await session.reopen(open);
      assert.equal((await again.checkpoints()).size, STREAMS);
      for (const i of [0, 1, 999, STREAMS - 1]) await again.has(frameOf(`stream-${i}`, i));
      await again.store.close();
    },
  },
  {
    name: 'commits that are not waited for are all there in the end',
    async check(session) {
      const open = await session.open();
      await Promise.all(commitsAtOnce().map((frames) => open.save(frames)));
      await expectCommitsAtOnce(session, await session.reopen(open));
    },
  },
  {
    name: 'the bytes of a commit may be written over once it has resolved',
    async check(session) {
      const open = await session.open();
      const frame = frameOf('a', 1);
      const bytes = new Uint8Array(frame.bytes);
      await open.save([{ ...frame, bytes }]);
      bytes.fill(0);
      await open.has(frame);
      const again = await session.reopen(open);
      await again.has(frame);
      await again.store.close();
    },
  },
];

function commitsAtOnce() {
  return Array.from({ length: 60 }, (_, i) => [frameOf(`stream-${i % 12}`, i), frameOf(`other-${i}`, 1)]);
}

async function expectCommitsAtOnce(
  session: Session,
  again: Awaited<ReturnType<Session['open']>>,
): Promise<void> {
  for (let i = 48; i < 60; i++) await again.has(frameOf(`stream-${i % 12}`, i));
  for (let i = 0; i < 60; i++) await again.has(frameOf(`other-${i}`, 1));
  assert.equal((await again.streams()).length, 72);
  assert(session.factory.perStream > 0);
  await again.store.close();
}
