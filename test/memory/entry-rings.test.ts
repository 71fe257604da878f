import { describe, expect, test } from 'vitest';
import {
  COMPLETION,
  completionRing,
  ENTRY,
  EntryConsumer,
  EntryProducer,
  returnRing,
} from '../../src/memory/entry-rings.ts';
import { COMPLETION_ENTRY_BYTES } from '../../src/memory/layout.ts';
import { seeded } from '../support/random.ts';
import { type SmallEngine, smallEngine, startIndicesAt } from './support/arena.ts';

const RINGS = { completion: completionRing, returns: returnRing } as const;

class Pair {
  readonly engine: SmallEngine;
  readonly ring: ReturnType<typeof completionRing>;
  readonly producer: EntryProducer;
  readonly consumer: EntryConsumer;

  constructor(kind: keyof typeof RINGS, start: number) {
    this.engine = smallEngine();
    startIndicesAt(this.engine, { bytes: 0, entries: start });
    this.ring = RINGS[kind](this.engine.arena);
    this.producer = new EntryProducer(this.engine.memory, this.ring);
    this.consumer = new EntryConsumer(this.engine.memory, this.ring);
  }

  /** Fills every word of the next entry; false when there is no room. */
  write(value: number): boolean {
    const word = this.producer.reserve();
    if (word === 0) return false;
    this.engine.memory.u32.fill(value, word, word + this.ring.entryBytes / 4);
    this.producer.publish();
    return true;
  }

  read(value: number): number {
    const word = this.consumer.peek();
    expect(word).not.toBe(0);
    const found = this.engine.memory.u32.subarray(word, word + this.ring.entryBytes / 4);
    expect([...found]).toEqual(new Array(this.ring.entryBytes / 4).fill(value));
    return word;
  }
}

for (const kind of ['completion', 'returns'] as const) {
  for (const start of [0, 2 ** 31 - 10, 2 ** 32 - 10]) {
    describe(`the ${kind} ring from entry ${start}`, () => {
      test('has nothing to read at first', () => {
        expect(new Pair(kind, start).consumer.peek()).toBe(0);
      });

      test('shows an entry only once it is published', () => {
        const { engine, producer, consumer } = new Pair(kind, start);
        const word = producer.reserve();
        engine.memory.u32[word] = 7;
        expect(consumer.peek()).toBe(0);
        producer.publish();
        expect(consumer.peek()).toBe(word);
        expect(consumer.peek()).toBe(word);
      });

      test('is exactly full after as many entries as it has, and refuses until one is consumed', () => {
        const pair = new Pair(kind, start);
        for (let i = 0; i < pair.ring.entries; i++) expect(pair.write(i)).toBe(true);
        expect(pair.write(0)).toBe(false);
        pair.read(0);
        // A look is not the end of it.
        expect(pair.write(0)).toBe(false);
        pair.consumer.consume();
        expect(pair.write(1_000)).toBe(true);
        expect(pair.write(0)).toBe(false);
        for (let i = 1; i < pair.ring.entries; i++) {
          pair.read(i);
          pair.consumer.consume();
        }
        pair.read(1_000);
        pair.consumer.consume();
        expect(pair.consumer.peek()).toBe(0);
      });

      test('lies in its own part of the arena', () => {
        const pair = new Pair(kind, start);
        const end = pair.ring.base + pair.ring.entries * pair.ring.entryBytes;
        for (let i = 0; i < pair.ring.entries * 2; i++) {
          expect(pair.write(i)).toBe(true);
          const address = pair.read(i) * 4;
          expect(address).toBeGreaterThanOrEqual(pair.ring.base);
          expect(address + pair.ring.entryBytes).toBeLessThanOrEqual(end);
          pair.consumer.consume();
        }
      });

      test('goes on where it was when either side is constructed anew', () => {
        const pair = new Pair(kind, start);
        for (let i = 0; i < pair.ring.entries; i++) pair.write(i);
        pair.consumer.consume();
        const producer = new EntryProducer(pair.engine.memory, pair.ring);
        const consumer = new EntryConsumer(pair.engine.memory, pair.ring);
        expect(consumer.peek()).toBe(pair.consumer.peek());
        expect(producer.reserve()).not.toBe(0);
        producer.publish();
        expect(producer.reserve()).toBe(0);
      });

      test(
        'passes entries in random batches, whole and in order',
        seeded((random) => {
          const pair = new Pair(kind, start);
          let written = 0;
          let consumed = 0;
          for (let step = 0; step < 3_000; step++) {
            const batch = random.magnitude(pair.ring.entries);
            if (random.chance(0.5)) {
              for (let i = 0; i < batch && pair.write(written); i++) written++;
              continue;
            }
            for (let i = 0; i < batch && pair.consumer.peek() !== 0; i++) {
              pair.read(consumed++);
              pair.consumer.consume();
            }
          }
          expect(consumed).toBeLessThanOrEqual(written);
          expect(written - consumed).toBeLessThanOrEqual(pair.ring.entries);
        }),
      );
    });
  }
}

test('the words of a completion entry do not overlap and fit into it', () => {
  const twoWords: ReadonlySet<string> = new Set(['sequence', 'seen', 'offset', 'lastOffset', 'count']);
  // An entry is of a frame or of a source: one has a position where the other has an offset.
  const { isRestored, position, ...others } = ENTRY;
  expect([isRestored, position]).toEqual([ENTRY.hasOffset, ENTRY.lastOffset]);
  const words = Object.entries(others).flatMap(([name, at]) => (twoWords.has(name) ? [at, at + 1] : [at]));
  expect(new Set(words).size).toBe(words.length);
  expect(Math.max(...words)).toBeLessThan(COMPLETION_ENTRY_BYTES / 4);
});

test('kinds of completion differ from each other and from zeroed memory', () => {
  expect(new Set([0, ...Object.values(COMPLETION)]).size).toBe(Object.keys(COMPLETION).length + 1);
});
