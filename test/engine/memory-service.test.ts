/** The main thread's answers to a shard that asks for memory. */
import { describe, expect, test } from 'vitest';
import { serveMemory } from '../../src/engine/memory-service.ts';
import { ShardHandle } from '../../src/engine/shard-handle.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { completionRing, EntryConsumer, EntryProducer, returnRing } from '../../src/memory/entry-rings.ts';
import { type ArenaLayout, WORD } from '../../src/memory/layout.ts';
import { CentralStore } from '../../src/store/central-store.ts';
import { IndexedStream, StoredFrame } from '../../src/store/stored-frame.ts';
import { arenaOf } from '../support/shard-harness.ts';

const ALL = { frames: 1_000, bytes: 1e9 };

class Bench {
  readonly handle: ShardHandle;
  readonly central: CentralStore;
  readonly #memory = EngineMemory.reserve(2 ** 20);
  readonly #returns: EntryConsumer;
  readonly #arena: ArenaLayout;
  readonly capacity: number;
  #request = 0;
  #frames = 0;

  constructor(isDurable = true) {
    const arena = arenaOf(2 ** 20, 2 ** 12);
    this.#arena = arena;
    this.handle = new ShardHandle(this.#memory, arena, 0);
    this.#returns = new EntryConsumer(this.#memory, returnRing(arena));
    this.capacity = arena.returnEntries;
    this.central = new CentralStore({
      shards: 1,
      perStream: 10_000,
      isDurable,
      release: ({ address, bytes }) => this.handle.returnFrame(address, bytes),
    });
  }

  /** So many frames that may leave, of 100 bytes each. */
  addDurable(count: number): void {
    for (let i = 0; i < count; i++) {
      this.central.add(this.#frame());
      this.central.settle(this.central.takeBatch(ALL).frames);
    }
  }

  addWaiting(): void {
    this.central.add(this.#frame());
  }

  /** As the shard publishes something that main then reads. */
  publish(): { read: () => void } {
    const completions = new EntryProducer(this.#memory, completionRing(this.#arena));
    if (completions.reserve() === 0) throw new Error('the completion ring is full');
    completions.publish();
    return {
      read: () => {
        if (this.handle.completions.peek() !== 0) this.handle.completions.consume();
      },
    };
  }

  /** As the shard asks. */
  ask(bytes: number): void {
    this.handle.words.set(WORD.memoryWanted, bytes);
    this.handle.words.set(WORD.memoryRequest, ++this.#request);
  }

  get answer(): 'open' | 'met' | 'denied' {
    if (this.handle.words.get(WORD.memoryAnswered) !== this.#request) return 'open';
    return this.handle.words.get(WORD.memoryDenied) === this.#request ? 'denied' : 'met';
  }

  serve(): boolean {
    return serveMemory(this.handle, this.central);
  }

  /** As the shard drains what it is given back. */
  drain(most = Number.POSITIVE_INFINITY): number[] {
    const addresses: number[] = [];
    for (let at = this.#returns.peek(); at !== 0 && addresses.length < most; at = this.#returns.peek()) {
      addresses.push(this.#memory.u32[at] as number);
      this.#returns.consume();
    }
    return addresses;
  }

  #frame(): StoredFrame {
    const sequence = BigInt(++this.#frames);
    const stream = new IndexedStream(`s${this.#frames}`, 0);
    return new StoredFrame(stream, { sequence, address: this.#frames * 16, bytes: 100, seen: 1, lows: [] });
  }
}

describe('a request for memory', () => {
  test('is not denied while what the shard published before it has not been read', () => {
    const bench = new Bench();
    const published = bench.publish();
    bench.ask(100);
    bench.serve();
    expect(bench.answer).toBe('open');
    published.read();
    bench.serve();
    expect(bench.answer).toBe('denied');
  });

  test('that does not exist is not answered', () => {
    const bench = new Bench();
    bench.addDurable(3);
    expect(bench.serve()).toBe(false);
    expect(bench.drain()).toEqual([]);
  });

  test('is met with what may leave, the longest there first', () => {
    const bench = new Bench();
    bench.addDurable(5);
    bench.ask(150);
    expect(bench.serve()).toBe(true);
    expect(bench.answer).toBe('met');
    expect(bench.drain()).toEqual([16, 32]);
  });

  test('is new once only, however often it is looked at', () => {
    const bench = new Bench();
    bench.addWaiting();
    bench.ask(100);
    expect([bench.serve(), bench.serve(), bench.serve()]).toEqual([true, false, false]);
  });

  test('is denied when nothing may leave and nothing is on its way', () => {
    const bench = new Bench();
    bench.ask(100);
    bench.serve();
    expect(bench.answer).toBe('denied');
  });

  test('is denied when all that may leave is not enough, which is given back all the same', () => {
    const bench = new Bench();
    bench.addDurable(2);
    bench.ask(1_000);
    bench.serve();
    expect(bench.answer).toBe('denied');
    expect(bench.drain()).toHaveLength(2);
  });

  test('stays open while frames are on their way to the durable store', () => {
    const bench = new Bench();
    bench.addWaiting();
    bench.ask(100);
    bench.serve();
    expect(bench.answer).toBe('open');
    const { frames } = bench.central.takeBatch(ALL);
    bench.serve();
    expect(bench.answer).toBe('open');
    bench.central.settle(frames);
    bench.serve();
    expect(bench.answer).toBe('met');
  });

  test('counts what was given back for it before', () => {
    const bench = new Bench();
    bench.addDurable(1);
    bench.addWaiting();
    bench.ask(200);
    bench.serve();
    expect([bench.answer, bench.drain()]).toEqual(['open', [16]]);
    bench.central.settle(bench.central.takeBatch(ALL).frames);
    bench.addDurable(3);
    bench.serve();
    expect([bench.answer, bench.drain()]).toEqual(['met', [32]]);
  });

  test('is followed by the next one with a count of its own', () => {
    const bench = new Bench();
    bench.addDurable(4);
    for (const given of [1, 1]) {
      bench.ask(100);
      expect(bench.serve()).toBe(true);
      expect([bench.answer, bench.drain().length]).toEqual(['met', given]);
    }
  });

  test('is denied at once in memory only: newest frames never leave', () => {
    const bench = new Bench(false);
    bench.addWaiting();
    bench.ask(1);
    bench.serve();
    expect(bench.answer).toBe('denied');
  });
});

describe('more frames than the return ring holds', () => {
  test('are all given back in order, and the answer comes behind the last of them', () => {
    const bench = new Bench();
    const count = bench.capacity * 2 + 7;
    bench.addDurable(count);
    bench.ask(count * 100);
    const drained: number[] = [];
    for (let turn = 0; bench.answer === 'open' && turn < 10; turn++) {
      bench.serve();
      if (bench.answer === 'open') drained.push(...bench.drain(bench.capacity - 3));
    }
    drained.push(...bench.drain());
    expect(bench.answer).toBe('met');
    expect(drained).toEqual(Array.from({ length: count }, (_, i) => (i + 1) * 16));
  });

  test('are given back without a request, too', () => {
    const bench = new Bench();
    const count = bench.capacity + 5;
    for (let i = 1; i <= count; i++) bench.handle.returnFrame(i * 16, 100);
    expect(bench.drain()).toHaveLength(bench.capacity);
    expect(bench.serve()).toBe(false);
    expect(bench.drain()).toHaveLength(5);
  });
});
