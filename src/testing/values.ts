/** Clauses about the values that names and numbers may have, and about many and large checkpoints. */
import assert from 'node:assert/strict';
import { U64_MAX } from '../codec/u64.ts';
import { expectKept, sequencesOf } from './expect.ts';
import type { Clause } from './trial.ts';

/** What file systems, URLs, objects, collations and other encodings tend to mistake for something else. */
const NAMES = [
  '',
  ' ',
  'a',
  'A',
  'a ',
  'a.',
  '.',
  '..',
  '../up',
  'a/b',
  'a\\b',
  'C:\\con',
  'a%2Fb',
  'a:b',
  '*?"<>|',
  "it's; DROP TABLE streams; --",
  'line\nbreak',
  'nul\0',
  'nul\0byte',
  '__proto__',
  'constructor',
  // One accented letter and a letter with an accent: two names.
  '\u00e9',
  'e\u0301',
  'ß',
  'ss',
  '\ufeffmarked',
  'marked',
  // UTF-16 sorts these two the other way round than UTF-8 does.
  '\ue000',
  '\u{1f30a}',
  '\u{10ffff}',
  '\uffff',
  // Longer than the name of a file may be.
  'n'.repeat(300),
  `${'n'.repeat(300)}x`,
  '\u{1f30a}'.repeat(300),
];

const SEQUENCES = [
  0n,
  1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  U64_MAX - 1n,
  U64_MAX,
];

export const VALUES: readonly Clause[] = [
  {
    name: 'names of streams may be any text and are kept apart',
    async check(trial) {
      const first = await trial.open();
      const frames = NAMES.map((name, n) => first.frame(name, n + 1));
      await first.commit(frames);
      await expectKept(first, frames);
      const second = await trial.reopen(first);
      await expectKept(second, frames);
      assert.deepEqual((await second.streams()).sort(), [...NAMES].sort());
    },
  },
  {
    name: 'names of sources may be any text and are kept apart',
    async check(trial) {
      const first = await trial.open();
      const frontiers = NAMES.map((name, n): [string, bigint] => [name, BigInt(n)]);
      await first.commit([first.frame('s', 1)], frontiers);
      const second = await trial.reopen(first);
      assert.deepEqual(new Map(second.contents.frontiers), new Map(frontiers));
    },
  },
  {
    name: 'sequences reach from 0 to 2^64 - 1',
    async check(trial) {
      const first = await trial.open();
      const frames = SEQUENCES.map((sequence) => first.frame(`at ${sequence}`, sequence));
      await first.commit(frames);
      const second = await trial.reopen(first);
      await expectKept(second, frames);
      for (const { stream, sequence } of frames)
        assert.deepEqual(await sequencesOf(second, stream), [sequence]);
    },
  },
  {
    name: 'sequences are ordered as numbers up to 2^64 - 1',
    async check(trial) {
      const opened = await trial.open();
      for (const [n, greater] of SEQUENCES.slice(1).entries()) {
        const stream = `stream ${n}`;
        const ascending = [SEQUENCES[n]!, greater];
        await opened.save(stream, ...ascending);
        const listed = (await opened.store.list(stream)).map(({ sequence }) => sequence);
        assert.deepEqual(listed, ascending.slice(-listed.length));
      }
    },
  },
  {
    name: 'frontiers reach from 0 to 2^64 - 1',
    async check(trial) {
      const first = await trial.open();
      const frontiers = SEQUENCES.map((offset): [string, bigint] => [`at ${offset}`, offset]);
      await first.commit([first.frame('s', 1)], frontiers);
      const second = await trial.reopen(first);
      assert.deepEqual(new Map(second.contents.frontiers), new Map(frontiers));
    },
  },
  {
    name: 'checkpoints may be small and large',
    async check(trial) {
      const first = await trial.open();
      const frames = [0, 1, 511, 512, 4096, 65_536, 150_000].map((stateBytes) =>
        first.frame(`${stateBytes} bytes`, 1, { stateBytes }),
      );
      await first.commit(frames);
      const second = await trial.reopen(first);
      await expectKept(second, frames);
    },
  },
  {
    name: 'a thousand streams are kept, also when few commits bring them',
    async check(trial) {
      const first = await trial.open();
      const frames = Array.from({ length: 1000 }, (_, n) => first.frame(`stream ${n}`, n));
      await first.commit(frames.slice(0, 800));
      await first.commit(frames.slice(800));
      const second = await trial.reopen(first);
      assert.equal(new Set(await second.streams()).size, frames.length);
      await expectKept(second, frames);
    },
  },
];
