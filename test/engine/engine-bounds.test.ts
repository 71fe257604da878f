/** What must not grow however long an engine runs, and what must fit into the memory that it has by default. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/index.ts';
import { newDirectory, OPERATORS, openEngine } from './support/engine.ts';
import { startProgram } from './support/program.ts';

const MIB = 2 ** 20;

interface Weight {
  readonly stored: number;
  readonly durable: number;
  readonly rss: number;
  readonly disk: number;
  readonly frames: number;
}

const GROWTH_MAX = 32 * MIB;
const DISK_BYTES = 4 * MIB;

/** What a program reports on the way; the first report is of when it is warm. */
async function weigh(url: URL, argument: object): Promise<Weight[]> {
  // Where there is much memory V8 lets garbage pile up for long. In a small heap only what is held can.
  const heap = ['--max-old-space-size=64', '--max-semi-space-size=4'];
  const { code, reports, stderr } = await startProgram(url, argument, undefined, heap).end;
  expect(code, stderr).toBe(0);
  return reports as unknown as Weight[];
}

function expectFlat(weights: readonly Weight[], most: { stored: number; frames: number }): void {
  const megabytes = weights.map(({ rss }) => Math.round(rss / MIB));
  console.log(`resident memory in MiB, a part of the way apart: ${megabytes.join(', ')}`);
  expect(weights.at(-1)?.stored).toBe(most.stored);
  const [warm] = weights;
  for (const { rss, frames } of weights) {
    expect(rss - warm!.rss).toBeLessThan(GROWTH_MAX);
    expect(frames).toBeLessThanOrEqual(most.frames);
  }
}

describe('a million checkpoints on a thousand streams', () => {
  const WARM_UP = 250_000;
  const CHECKPOINTS = 1_000_000;
  const PROGRAM = new URL('./programs/flat.ts', import.meta.url);
  const MOST = { stored: WARM_UP + CHECKPOINTS, frames: 3_000 };

  function run(directory?: string): Promise<Weight[]> {
    return weigh(PROGRAM, { checkpoints: MOST.stored, every: WARM_UP, directory, diskBytes: DISK_BYTES });
  }

  test('leave resident memory flat', async () => {
    expectFlat(await run(), MOST);
  }, 120_000);

  test('leave resident memory flat and the disk within its limit with a directory', async () => {
    const weights = await run(await newDirectory());
    expectFlat(weights, MOST);
    for (const { disk } of weights) expect(disk).toBeLessThanOrEqual(DISK_BYTES);
    expect(weights.at(-1)?.durable).toBeGreaterThan(10_000);
  }, 120_000);
});

describe('sessions of which each is a stream that is forgotten', () => {
  const PROGRAM = new URL('./programs/sessions.ts', import.meta.url);

  test('leave resident memory flat', async () => {
    const weights = await weigh(PROGRAM, { sessions: 240_000, every: 40_000 });
    expectFlat(weights, { stored: 240_000, frames: 0 });
  }, 120_000);

  test('leave resident memory flat and the disk within its limit with a directory', async () => {
    const argument = {
      sessions: 120_000,
      every: 20_000,
      directory: await newDirectory(),
      diskBytes: DISK_BYTES,
    };
    const weights = await weigh(PROGRAM, argument);
    expectFlat(weights, { stored: 120_000, frames: 0 });
    for (const { disk } of weights) expect(disk).toBeLessThanOrEqual(DISK_BYTES);
    expect(weights.at(-1)?.durable).toBeGreaterThan(1_000);
  }, 120_000);
});

test('a million events over a hundred thousand streams are all durable in the default memory', async () => {
  const STREAMS = 100_000;
  const ROUNDS = 10;
  const BATCH = 1_000;
  const directory = await newDirectory();
  const defaults = {
    operators: OPERATORS.tally,
    directory,
    shards: undefined,
    checkpoint: undefined,
    memory: undefined,
  };
  const engine = await openEngine(defaults);
  for (let round = 0; round < ROUNDS; round++) {
    for (let first = 0; first < STREAMS; first += BATCH) {
      const events = Array.from({ length: BATCH }, (_, n): Event => {
        const offset = round * STREAMS + first + n;
        return { stream: `stream ${first + n}`, payload: `${round}`, source: 'src', offset };
      });
      await engine.push(events);
    }
  }
  await engine.checkpoint();
  expect(engine.metrics()).toMatchObject({
    streams: STREAMS,
    events: { accepted: 1_000_000, applied: 1_000_000 },
  });
  await engine.close();
  const again = await openEngine(defaults);
  expect(again.position('src')).toBe(1_000_000n);
  expect(again.receipt.streams.length).toBe(STREAMS);
  expect(again.receipt.streams.every(({ sequence, fellBack }) => sequence === 10n && fellBack === 0)).toBe(
    true,
  );
  for (const stream of ['stream 0', 'stream 77777', 'stream 99999']) {
    const state = await again.latest(stream);
    expect(state).toMatchObject({ eventCount: 10n });
    const tally = Buffer.from(state?.operatorStates.get('tally') ?? []);
    expect([tally.readBigUInt64LE(0), tally.readBigUInt64LE(8)]).toEqual([10n, 525n]);
  }
}, 120_000);
