import { expect, test } from 'vitest';
import { CommitReader, packCommit, StreamNumbers } from '../../src/store/log/commit-table.ts';
import { type Random, seeded } from '../support/random.ts';

const MEMORY = new SharedArrayBuffer(4096);
const NAMES = ['', 'a', 'stream-1', 'żółw', '🐢', '\u0000', 'x'.repeat(300)];

function frame(random: Random) {
  const offset = random.below(2048);
  const length = random.below(2048);
  const inMemory = new Uint8Array(MEMORY, offset, length);
  return {
    stream: random.pick(NAMES),
    // Among them those whose bits are no number.
    sequence: random.chance(0.3) ? 0xfff0_0000_0000_0000n + BigInt(random.u32()) : random.u64(),
    bytes: random.chance(0.7) ? inMemory : random.bytes(length % 100),
  };
}

test(
  'commits arrive as they were given, whatever is new in them',
  seeded((random) => {
    new Uint8Array(MEMORY).set(random.bytes(4096));
    const numbers = new StreamNumbers();
    const streams = new Map<number, string>();
    for (let commit = 0; commit < 50; commit++) {
      const frames = Array.from({ length: random.below(5) }, () => frame(random));
      const sources = random.shuffle(NAMES).slice(random.below(NAMES.length));
      const frontiers = new Map(sources.map((source) => [source, random.u64()]));
      const table = packCommit({ frames, frontiers }, numbers, MEMORY);
      expect(table.copies).toHaveLength(frames.filter(({ bytes }) => bytes.buffer !== MEMORY).length);
      const reader = new CommitReader(structuredClone(table, { transfer: [table.numbers.buffer] }), streams);
      const memoryAt = (offset: number, length: number): Uint8Array => new Uint8Array(MEMORY, offset, length);
      expect(reader.frames(memoryAt)).toEqual(frames);
      expect(reader.frontiers()).toEqual(frontiers);
      // Of a stream that is forgotten, the next commit tells the name once more.
      const gone = numbers.remove(random.pick(NAMES));
      if (gone !== undefined) streams.delete(gone);
    }
  }),
);

test('a frame of a stream that was never named is refused', () => {
  const numbers = new StreamNumbers();
  const batch = { frames: [{ stream: 'a', sequence: 1n, bytes: new Uint8Array(1) }], frontiers: new Map() };
  packCommit(batch, numbers, MEMORY);
  const reader = new CommitReader(packCommit(batch, numbers, MEMORY), new Map());
  expect(() => reader.frames(() => new Uint8Array())).toThrow('not named');
});
