import { expect, test } from 'vitest';
import { MainBell, ringShard } from '../../src/memory/doorbells.ts';
import { completionRing, EntryConsumer, EntryProducer, returnRing } from '../../src/memory/entry-rings.ts';
import { IngestWriter } from '../../src/memory/ingest-ring.ts';
import { COMPLETION_ENTRY_BYTES, RETURN_ENTRY_BYTES } from '../../src/memory/layout.ts';
import { seeded } from '../support/random.ts';
import { type SmallEngine, smallEngine, startIndicesAt } from './support/arena.ts';
import { Peer } from './support/peer.ts';
import { bytesOf, writeRecord } from './support/record.ts';
import { entryWord, RecordSequence, type TrafficReport, type TrafficTask } from './support/traffic.ts';

const RECORDS = 1_000_000;
const TRAFFIC_WORKER = new URL('./support/traffic-worker.ts', import.meta.url);

/** The main thread's side: writes records, checks every completion and returns it. */
class MainSide {
  completed = 0;
  /** How often the ingest ring had no room. */
  refused = 0;
  waits = 0;
  #written = 0;
  readonly #engine: SmallEngine;
  readonly #seed: number;
  readonly #writer: IngestWriter;
  readonly #completions: EntryConsumer;
  readonly #returns: EntryProducer;
  readonly #bell: MainBell;
  readonly #sequence: RecordSequence;
  #next;
  #wake: () => void = () => undefined;

  constructor(engine: SmallEngine, seed: number) {
    this.#engine = engine;
    this.#seed = seed;
    this.#writer = new IngestWriter(engine.memory, engine.arena);
    this.#completions = new EntryConsumer(engine.memory, completionRing(engine.arena));
    this.#returns = new EntryProducer(engine.memory, returnRing(engine.arena));
    this.#bell = new MainBell(engine.memory);
    this.#sequence = new RecordSequence(seed, this.#writer.recordBytesMax - 16);
    this.#next = this.#sequence.next();
  }

  async run(): Promise<void> {
    while (this.completed < RECORDS) {
      this.#bell.arm(() => this.#wake());
      if (this.#turn()) {
        ringShard(this.#engine.memory, this.#engine.arena);
        continue;
      }
      this.waits++;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #turn(): boolean {
    const hasWritten = this.#writeRecords();
    return this.#takeCompletions() || hasWritten;
  }

  #writeRecords(): boolean {
    let hasWritten = false;
    while (this.#written < RECORDS) {
      const address = this.#writer.reserve(bytesOf(this.#next));
      if (address === 0) {
        this.refused++;
        break;
      }
      writeRecord(this.#engine.memory, address, this.#next);
      this.#next = this.#sequence.next();
      this.#written++;
      hasWritten = true;
    }
    this.#writer.publish();
    return hasWritten;
  }

  #takeCompletions(): boolean {
    const { u32 } = this.#engine.memory;
    let hasTaken = false;
    for (;;) {
      const back = this.#returns.reserve();
      const word = back === 0 ? 0 : this.#completions.peek();
      if (word === 0) return hasTaken;
      for (let i = 0; i < COMPLETION_ENTRY_BYTES / 4; i++) {
        const found = u32[word + i];
        if (found !== entryWord(this.#seed, this.completed, i))
          expect.fail(`completion ${this.completed} is wrong`);
      }
      this.#completions.consume();
      for (let i = 0; i < RETURN_ENTRY_BYTES / 4; i++)
        u32[back + i] = entryWord(this.#seed, this.completed, i);
      this.#returns.publish();
      this.completed++;
      hasTaken = true;
    }
  }
}

for (const [name, start] of [
  ['fresh rings', { bytes: 0, entries: 0 }],
  ['rings whose u32 indices wrap on the way', { bytes: 2 ** 32 - 2 ** 25, entries: 2 ** 32 - 2 ** 18 }],
] as const) {
  test(
    `two threads pass ${RECORDS} records, completions and returns through small ${name}`,
    seeded(async (random) => {
      const engine = smallEngine(4_096);
      startIndicesAt(engine, start);
      const main = new MainSide(engine, random.seed);
      const task: TrafficTask = { seed: random.seed, records: RECORDS };
      await using peer = new Peer(TRAFFIC_WORKER, engine, task);
      const report = peer.report() as Promise<TrafficReport>;
      // The worker reports early only when something was wrong.
      await Promise.race([main.run(), report]);
      expect(await report).toMatchObject({ failure: undefined, records: RECORDS, returns: RECORDS });
      expect(main.completed).toBe(RECORDS);
      // Otherwise the rings were never full and nobody ever slept.
      expect(main.refused).toBeGreaterThan(1_000);
      expect(main.waits).toBeGreaterThan(10);
    }),
  );
}
