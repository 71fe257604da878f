import { describe, expect, test } from 'vitest';
import { IngestReader, IngestWriter, RECORD, recordsBetween } from '../../src/memory/ingest-ring.ts';
import { WORD, type Word, wordIndex } from '../../src/memory/layout.ts';
import { seeded } from '../support/random.ts';
import { type SmallEngine, smallEngine, startIndicesAt } from './support/arena.ts';
import { bytesOf, findDifference, type NumberedRecord, writeRecord } from './support/record.ts';

const CAPACITY = 4_096;

/** Every test runs from a fresh ring, and from one whose indices are about to wrap. */
const STARTS: readonly (readonly [string, number])[] = [
  ['a fresh ring', 0],
  ['a ring whose u32 indices wrap', 2 ** 32 - CAPACITY / 2],
  ['a ring whose indices change sign', 2 ** 31 - CAPACITY / 2],
];

class Pair {
  readonly engine: SmallEngine;
  readonly writer: IngestWriter;
  readonly reader: IngestReader;
  #written = 0;

  constructor(start: number) {
    this.engine = smallEngine(CAPACITY);
    startIndicesAt(this.engine, { bytes: start, entries: start });
    this.writer = new IngestWriter(this.engine.memory, this.engine.arena);
    this.reader = new IngestReader(this.engine.memory, this.engine.arena);
  }

  record(bytes: number, number = this.#written): NumberedRecord {
    return { seed: 1, number, contentBytes: bytes - 16 };
  }

  /** Writes and publishes the next record of `bytes` bytes; false when there is no room. */
  write(bytes: number): boolean {
    const address = this.writer.reserve(bytes);
    if (address === 0) return false;
    writeRecord(this.engine.memory, address, this.record(bytes));
    this.#written++;
    this.writer.publish();
    return true;
  }

  /** Reads the next record, which must be the given one. */
  read(bytes: number, number: number): number {
    const address = this.reader.next();
    expect(address).not.toBe(0);
    expect(findDifference(this.engine.memory, address, this.record(bytes, number))).toBeUndefined();
    this.reader.advance(address);
    return address;
  }

  word(word: Word): number {
    return Atomics.load(this.engine.memory.u32, wordIndex(this.engine.arena, word));
  }
}

for (const [name, start] of STARTS) {
  describe(name, () => {
    test('has nothing to read at first', () => {
      const { reader, writer } = new Pair(start);
      expect(reader.next()).toBe(0);
      expect(reader.hasMore).toBe(false);
      expect(reader.hasReached(writer.position)).toBe(true);
      expect(writer.usedBytes).toBe(0);
      expect(reader.freeBytes).toBe(CAPACITY);
    });

    test('shows a record only once it is published', () => {
      const { engine, reader, writer } = new Pair(start);
      const record = { seed: 1, number: 0, contentBytes: 8 };
      writeRecord(engine.memory, writer.reserve(bytesOf(record)), record);
      expect(reader.next()).toBe(0);
      expect(reader.hasMore).toBe(false);
      writer.publish();
      expect(reader.hasMore).toBe(true);
      expect(reader.hasReached(writer.position)).toBe(false);
      const address = reader.next();
      expect(findDifference(engine.memory, address, record)).toBeUndefined();
      reader.advance(address);
      expect(reader.hasReached(writer.position)).toBe(true);
    });

    test(
      'names the records ahead as they are read later, over the end of the ring too',
      seeded((random) => {
        const { writer, reader, engine } = new Pair(start);
        for (let round = 0; round < 200; round++) {
          for (;;) {
            const bytes = 8 * random.between(3, 40);
            const address = writer.reserve(bytes);
            if (address === 0) break;
            writeRecord(engine.memory, address, { seed: 1, number: 0, contentBytes: bytes - 16 });
          }
          writer.publish();
          // It may know of fewer records than there are, but of one once it has looked.
          expect(reader.next()).not.toBe(0);
          const ahead = new Array<number>(random.between(1, 30)).fill(0);
          const count = reader.ahead(ahead);
          expect(count).toBeGreaterThan(0);
          for (const expected of ahead.slice(0, count)) {
            const address = reader.next();
            expect(address).toBe(expected);
            reader.advance(address);
          }
          reader.release();
        }
      }),
    );

    test('publishes many records at once, in order', () => {
      const pair = new Pair(start);
      for (let number = 0; number < 3; number++) {
        const record = pair.record(64, number);
        writeRecord(pair.engine.memory, pair.writer.reserve(64), record);
      }
      pair.writer.publish();
      for (let number = 0; number < 3; number++) pair.read(64, number);
      expect(pair.reader.next()).toBe(0);
    });

    test('is exactly full when records fill it to the last byte, and refuses until bytes are released', () => {
      const pair = new Pair(start);
      for (let i = 0; i < 4; i++) expect(pair.write(CAPACITY / 4)).toBe(true);
      expect(pair.writer.usedBytes).toBe(CAPACITY);
      expect(pair.reader.freeBytes).toBe(0);
      expect(pair.write(16)).toBe(false);
      for (let i = 0; i < 4; i++) pair.read(CAPACITY / 4, i);
      // Read is not released.
      expect(pair.write(16)).toBe(false);
      pair.reader.release();
      expect(pair.write(16)).toBe(true);
      pair.read(16, 4);
    });

    test('is filled to the last byte again by what was released since it last looked', () => {
      const pair = new Pair(start);
      for (let i = 0; i < 4; i++) pair.write(CAPACITY / 4);
      pair.read(CAPACITY / 4, 0);
      pair.reader.release();
      expect(pair.write(CAPACITY / 4)).toBe(true);
      expect(pair.writer.usedBytes).toBe(CAPACITY);
      for (let i = 1; i < 5; i++) pair.read(CAPACITY / 4, i);
    });

    test('takes two records of the greatest size', () => {
      const pair = new Pair(start);
      expect(pair.writer.recordBytesMax).toBe(CAPACITY / 2);
      expect(pair.write(CAPACITY / 2)).toBe(true);
      expect(pair.write(CAPACITY / 2)).toBe(true);
      expect(pair.write(CAPACITY / 2)).toBe(false);
      pair.read(CAPACITY / 2, 0);
      pair.read(CAPACITY / 2, 1);
    });

    test('takes a record of the greatest size wherever an empty ring begins', () => {
      for (let offset = 16; offset < CAPACITY; offset += 8) {
        const pair = new Pair((start + offset) >>> 0);
        expect(pair.write(CAPACITY / 2)).toBe(true);
        pair.read(CAPACITY / 2, 0);
      }
    });

    test('fills what is left at the end with a skip marker, and the record begins at the bottom', () => {
      const pair = new Pair(start);
      const { arena, memory } = pair.engine;
      const filler = CAPACITY - 24 - (start & (CAPACITY - 1));
      expect(pair.write(filler)).toBe(true);
      pair.read(filler, 0);
      pair.reader.release();
      expect(pair.write(32)).toBe(true);
      const end = (arena.ingest + CAPACITY - 24) >>> 2;
      expect([memory.u32[end], memory.u32[end + 1]]).toEqual([24, RECORD.skip]);
      // The marker's bytes are in use like those of a record.
      expect(pair.writer.usedBytes).toBe(24 + 32);
      expect(pair.read(32, 1)).toBe(arena.ingest);
    });

    test('needs no skip marker for a record that ends with the ring', () => {
      const pair = new Pair(start);
      const filler = CAPACITY - 24 - (start & (CAPACITY - 1));
      pair.write(filler);
      pair.read(filler, 0);
      pair.reader.release();
      expect(pair.write(24)).toBe(true);
      expect(pair.writer.usedBytes).toBe(24);
      expect(pair.read(24, 1)).toBe(pair.engine.arena.ingest + CAPACITY - 24);
      expect(pair.write(16)).toBe(true);
      expect(pair.read(16, 2)).toBe(pair.engine.arena.ingest);
    });

    test('refuses a record whose skip marker would overwrite what is not released', () => {
      const pair = new Pair(start);
      const filler = CAPACITY - 24 - (start & (CAPACITY - 1));
      pair.write(filler);
      pair.read(filler, 0);
      pair.reader.release();
      for (const bytes of [24, 1_024, 1_024, 1_024]) expect(pair.write(bytes)).toBe(true);
      pair.read(24, 1);
      pair.read(1_024, 2);
      pair.reader.release();
      // 1,024 bytes are free at the end and as many at the bottom, but a record does not straddle the end.
      const { position } = pair.writer;
      expect(pair.write(1_032)).toBe(false);
      pair.writer.publish();
      expect(pair.writer.position).toBe(position);
      pair.read(1_024, 3);
      pair.reader.release();
      expect(pair.write(1_032)).toBe(true);
      pair.read(1_024, 4);
      pair.read(1_032, 5);
    });

    test('does not overwrite what was read but not released', () => {
      const pair = new Pair(start);
      const lengths = [256, 1_024, 512];
      const addresses = lengths.map((bytes, number) => {
        expect(pair.write(bytes)).toBe(true);
        return pair.read(bytes, number);
      });
      for (let number = lengths.length; pair.write(64); number++) pair.read(64, number);
      for (const [number, bytes] of lengths.entries()) {
        const record = pair.record(bytes, number);
        expect(findDifference(pair.engine.memory, addresses[number] as number, record)).toBeUndefined();
      }
    });

    test('stores the read and the release index together, and the current event when told', () => {
      const pair = new Pair(start);
      pair.write(64);
      pair.write(64);
      pair.read(64, 0);
      expect(pair.word(WORD.ingestRead)).toBe(start);
      pair.reader.markCurrent();
      expect(pair.word(WORD.currentEvent)).toBe((start + 64) >>> 0);
      pair.reader.release();
      expect(pair.word(WORD.ingestRead)).toBe((start + 64) >>> 0);
      expect(pair.word(WORD.ingestRelease)).toBe((start + 64) >>> 0);
    });

    test('goes on where it was when either side is constructed anew', () => {
      const pair = new Pair(start);
      pair.write(64);
      pair.read(64, 0);
      pair.reader.release();
      pair.write(128);
      const { memory, arena } = pair.engine;
      const reader = new IngestReader(memory, arena);
      expect(findDifference(memory, reader.next(), pair.record(128, 1))).toBeUndefined();
      const writer = new IngestWriter(memory, arena);
      expect(writer.position).toBe(pair.writer.position);
      expect(writer.usedBytes).toBe(128);
    });

    test(
      'says beforehand whether it has room for several records, and reserves nothing by that',
      seeded((random) => {
        const pair = new Pair(start);
        const waiting: number[] = [];
        let read = 0;
        const seen = new Set<boolean>();
        for (let step = 0; step < 2_000; step++) {
          const sizes = Array.from({ length: random.below(4) }, () =>
            Math.max(16, (random.magnitude(CAPACITY / 2) + 7) & ~7),
          );
          const before = pair.writer.usedBytes;
          const hasRoom = pair.writer.hasRoom(pair.writer.neededFor(sizes));
          expect(pair.writer.usedBytes).toBe(before);
          const written = sizes.filter((bytes) => pair.write(bytes));
          waiting.push(...written);
          // Without room for all, those before the first that is refused still go in.
          expect(written.length === sizes.length).toBe(hasRoom);
          seen.add(hasRoom);
          while (waiting.length > 0 && random.chance(0.8)) pair.read(waiting.shift() as number, read++);
          if (random.chance(0.5)) pair.reader.release();
        }
        expect(seen).toEqual(new Set([true, false]));
      }),
    );

    test(
      'passes random records, read and released in random batches, all whole and in order',
      seeded((random) => {
        const pair = new Pair(start);
        const waiting: number[] = [];
        let read = 0;
        let refused = 0;
        for (let step = 0; step < 20_000; step++) {
          if (random.chance(0.5)) {
            const bytes = Math.max(16, (random.magnitude(CAPACITY / 2) + 7) & ~7);
            if (pair.write(bytes)) waiting.push(bytes);
            else refused++;
          } else if (waiting.length > 0) {
            pair.read(waiting.shift() as number, read++);
            if (random.chance(0.3)) pair.reader.release();
          } else {
            expect(pair.reader.next()).toBe(0);
            pair.reader.release();
          }
        }
        expect(refused).toBeGreaterThan(100);
      }),
    );
  });
}

test('positions are compared by difference, across the sign and the wrap', () => {
  for (const start of [2 ** 31 - 64, 2 ** 32 - 64]) {
    const pair = new Pair(start);
    pair.write(64);
    const before = pair.writer.position;
    pair.write(64);
    const after = pair.writer.position;
    expect(pair.reader.hasReached(before)).toBe(false);
    pair.read(64, 0);
    expect(pair.reader.hasReached(before)).toBe(true);
    expect(pair.reader.hasReached(after)).toBe(false);
    pair.read(64, 1);
    expect(pair.reader.hasReached(before)).toBe(true);
    expect(pair.reader.hasReached(after)).toBe(true);
  }
});

test('what is kept can be walked once more, and where no record is, the walk ends', () => {
  const { engine, writer } = new Pair(0);
  for (const bytes of [64, 24]) {
    const address = writer.reserve(bytes);
    engine.memory.u32[address >>> 2] = bytes;
    engine.memory.u32[(address >>> 2) + 1] = RECORD.event;
  }
  const walk = (through: number) =>
    [...recordsBetween(engine.memory, engine.arena, { from: 0, through })].map(({ position }) => position);
  expect(walk(88)).toEqual([0, 64]);
  expect(() => walk(96)).toThrow('no record at position 88');
});
