/**
 * Threads of shards die at random events, and others take over.
 * What would be lost or doubled: events that a dead thread had read, applied, or checkpointed, in part or in full.
 * Why not: an event is in an image that outlives the thread, or in the ring until a frame covers it, and what is read
 * again is told apart by its place in the ring.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CheckpointEngine, EngineOptions, Event } from '../../src/index.ts';
import { type Folded, folded, NOTHING_FOLDED, readFolded } from '../support/folded.ts';
import { Random } from '../support/random.ts';
import { newDirectory, openEngine } from './support/engine.ts';

const OPERATORS = new URL('./operators/mortal.ts', import.meta.url);
const BATCH = 1_000;

function newMarks(): string {
  const marks = mkdtempSync(join(tmpdir(), 'tidemark-marks-'));
  onTestFinished(() => rmSync(marks, { recursive: true }));
  return marks;
}

async function expectExact(engine: CheckpointEngine, expected: ReadonlyMap<string, Folded>): Promise<void> {
  for (const [stream, state] of expected) {
    const checkpoint = await engine.latest(stream);
    expect(checkpoint?.eventCount, stream).toBe(BigInt(state.count));
    for (const [name, bytes] of checkpoint?.operatorStates ?? [])
      expect(readFolded(bytes), `${stream}, ${name}`).toEqual(state);
  }
}

class Job {
  readonly expected = new Map<string, Folded>();
  readonly random: Random;
  readonly #streams: readonly string[];
  readonly #ways: readonly string[];
  readonly #marks = newMarks();
  readonly #deaths: ReadonlySet<number>;
  readonly #hasSequences: boolean;

  constructor(job: {
    seed: number;
    streams: readonly string[];
    events: number;
    deaths: number;
    ways: readonly string[];
    hasSequences: boolean;
  }) {
    console.log(`seed ${job.seed}`);
    this.random = new Random(job.seed);
    this.#streams = job.streams;
    this.#ways = job.ways;
    this.#hasSequences = job.hasSequences;
    const deaths = new Set<number>();
    while (deaths.size < job.deaths) deaths.add(this.random.below(job.events));
    this.#deaths = deaths;
  }

  events(from: number, count: number): Event[] {
    return Array.from({ length: count }, (_, i) => this.#event(from + i));
  }

  #event(number: number): Event {
    const stream = this.#streams[number % this.#streams.length] as string;
    const way = this.#ways[number % this.#ways.length];
    const payload = this.#deaths.has(number) ? `${number} ${way} ${this.#marks}` : `${number}`;
    this.expected.set(stream, folded(this.expected.get(stream) ?? NOTHING_FOLDED, number));
    const event = { stream, payload, source: 'numbers', offset: number };
    return this.#hasSequences ? { ...event, sequence: number } : event;
  }
}

async function run(
  job: Job,
  count: number,
  options: Partial<EngineOptions>,
): Promise<{ engine: CheckpointEngine; restarts: number; last: Event[] }> {
  const engine = await openEngine({ operators: OPERATORS, ...options });
  let restarts = 0;
  engine.on('restart', () => restarts++);
  let last: Event[] = [];
  for (let from = 0; from < count; from += BATCH) {
    last = job.events(from, BATCH);
    await engine.push(last);
  }
  await engine.checkpoint();
  return { engine, restarts, last };
}

const seed = Number(process.env['TIDEMARK_SEED'] ?? Math.floor(Math.random() * 2 ** 32));

describe('operators that end their threads at random events of a million', () => {
  test.each([1, 2, 4])('leave an exact state on %i shards', { timeout: 120_000 }, async (shards) => {
    const streams = Array.from({ length: 1_000 }, (_, i) => `small-${i}`);
    const job = new Job({ seed, streams, events: 1_000_000, deaths: 12, ways: ['exit'], hasSequences: true });
    const { engine, restarts, last } = await run(job, 1_000_000, {
      shards,
      checkpoint: { everyEvents: 200 },
      memory: { bytes: 2 ** 27, ringBytes: 2 ** 20 },
    });
    expect(restarts).toBe(12);
    const { applied, dropped } = engine.metrics().events;
    expect({ applied, dropped }).toEqual({ applied: 1_000_000, dropped: 0 });
    await expectExact(engine, job.expected);
    // The last thousand once more change nothing.
    await engine.push(last.map(({ stream, payload, sequence = 0 }) => ({ stream, payload, sequence })));
    await engine.checkpoint();
    expect(engine.metrics().events.dropped).toBe(1_000);
    await expectExact(engine, job.expected);
  });
});

const STREAMS = ['small', 'large', 'heap', 'mixed'].flatMap((kind) =>
  Array.from({ length: 5 }, (_, i) => `${kind}-${i}`),
);

describe.each([true, false])('streams of all kinds, with sequences of their own: %s', (hasSequences) => {
  test.each([
    ['exit', undefined],
    ['late', undefined],
    ['hang', 300],
    ['memory', undefined],
  ] as const)('survive threads that end by %s', { timeout: 120_000 }, async (way, operatorTimeoutMs) => {
    const deaths = way === 'memory' ? 1 : 5;
    const job = new Job({ seed, streams: STREAMS, events: 30_000, deaths, ways: [way], hasSequences });
    const directory = await newDirectory();
    const { engine, restarts } = await run(job, 30_000, {
      directory,
      checkpoint: { everyEvents: 137 },
      memory: { bytes: 2 ** 25, ringBytes: 2 ** 14 },
      ...(operatorTimeoutMs === undefined ? {} : { operatorTimeoutMs }),
    });
    // A thread that is late to throw may have come to the next such event, and a busy machine may hold one up.
    if (way === 'late') expect(restarts).toBeGreaterThan(0);
    else if (way === 'hang') expect(restarts).toBeGreaterThanOrEqual(deaths);
    else expect(restarts).toBe(deaths);
    await expectExact(engine, job.expected);
    expect(engine.position('numbers')).toBe(30_000n);
    await engine.close();
    const again = await openEngine({ operators: OPERATORS, directory });
    expect(again.position('numbers')).toBe(30_000n);
    await expectExact(again, job.expected);
  });
});
