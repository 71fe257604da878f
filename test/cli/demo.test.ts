/**
 * The demo on the real flights, compared with what the file itself says: here it is read in another way, row
 * by row of two columns, without anything of the demo's own reader.
 */
import { asyncBufferFromFile, parquetRead } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFlightsFile } from '../../src/cli/demo/flights-source.ts';
import type { RankedAirport } from '../../src/cli/demo/ranking.ts';
import type { RunSummary } from '../../src/cli/summary.ts';
import { runCommand, runJson, scratchDirectory } from '../support/command.ts';

type DemoSummary = RunSummary & { readonly top: readonly RankedAirport[] };

const FLIGHTS = 3_000_000;
const PART = 600_000;

const scratch = scratchDirectory('demo');
afterAll(() => scratch.remove());

async function demo(directory: string, ...options: readonly string[]): Promise<DemoSummary> {
  const lines = await runJson<DemoSummary>([
    'demo',
    '--directory',
    `${scratch.path}/${directory}`,
    ...options,
  ]);
  expect(lines).toHaveLength(1);
  return lines[0]!;
}

/** The ten airports with the worst mean delay, straight from the file. */
async function rankFromFile(): Promise<RankedAirport[]> {
  const file = await asyncBufferFromFile(findFlightsFile());
  const byOrigin = new Map<string, { flights: number; sum: number; max: number }>();
  await parquetRead({
    file,
    compressors,
    columns: ['origin', 'delay'],
    rowFormat: 'array',
    onComplete(rows) {
      for (const [origin, delay] of rows as [string, bigint][]) {
        const minutes = Number(delay);
        const stats = byOrigin.get(origin);
        if (stats === undefined) {
          byOrigin.set(origin, { flights: 1, sum: minutes, max: minutes });
        } else {
          stats.flights += 1;
          stats.sum += minutes;
          stats.max = Math.max(stats.max, minutes);
        }
      }
    },
  });
  return [...byOrigin]
    .filter(([, { flights }]) => flights >= 1_000)
    .map(([stream, { flights, sum, max }]) => ({ stream, flights, meanDelay: sum / flights, maxDelay: max }))
    .sort((a, b) => b.meanDelay - a.meanDelay)
    .slice(0, 10);
}

describe('all flights', () => {
  let summary: DemoSummary;
  beforeAll(async () => {
    summary = await demo('all');
  }, 120_000);

  test('are applied and durable', () => {
    expect(summary).toMatchObject({
      events: FLIGHTS,
      applied: FLIGHTS,
      streams: 229,
      dropped: 0,
      replayed: 0,
      resumed: false,
      resumedFrom: null,
    });
    expect(summary.checkpoints).toBeGreaterThanOrEqual(FLIGHTS / 1_000 - 229);
    expect(summary.durable).toBeGreaterThanOrEqual(229);
    expect(summary.durable).toBeLessThanOrEqual(summary.checkpoints);
  });

  test('give the airports that the file itself gives', async () => {
    expect(summary.top).toEqual(await rankFromFile());
  }, 60_000);

  test('leave nothing to do for a second run', async () => {
    const { code, stdout, stderr } = await runCommand([
      'demo',
      '--directory',
      `${scratch.path}/all`,
      '--json',
    ]);
    expect(code).toBe(0);
    expect(stderr).toContain('restored 229 streams; reading flights on from offset 3,000,000');
    expect(stderr).toContain('nothing to do');
    expect(JSON.parse(stdout)).toMatchObject({
      events: FLIGHTS,
      applied: 0,
      resumed: true,
      resumedFrom: String(FLIGHTS),
      stateDigest: summary.stateDigest,
      top: summary.top,
    });
  });
});

describe('a part of the flights', () => {
  test('ends in the same state on any number of shards, and in two steps', async () => {
    const runs = [
      await demo('one', '--limit', String(PART), '--shards', '1'),
      await demo('two', '--limit', String(PART), '--shards', '2'),
      await demo('three', '--limit', String(PART), '--shards', '3'),
    ];
    expect(runs.map(({ shards }) => shards)).toEqual([1, 2, 3]);
    expect(runs.map(({ events }) => events)).toEqual([PART, PART, PART]);
    await demo('steps', '--limit', '250000', '--shards', '2');
    // Another number of shards than before: streams move.
    const last = await demo('steps', '--limit', String(PART), '--shards', '3');
    expect(last).toMatchObject({
      events: PART,
      resumed: true,
      resumedFrom: '250000',
      applied: PART - 250_000,
    });
    expect(new Set([...runs, last].map(({ stateDigest }) => stateDigest)).size).toBe(1);
  }, 120_000);

  test('is printed as a table with its summary', async () => {
    const { code, stdout } = await runCommand([
      'demo',
      '--directory',
      `${scratch.path}/one`,
      '--limit',
      String(PART),
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/airport +flights +mean delay/);
    expect(stdout).toMatch(/^events +600,000 in \d+ streams on \d shards?$/m);
    expect(stdout).toMatch(/^state digest +[0-9a-f]{64}$/m);
  });
});

describe('signals and crashes', () => {
  test('--crash-after ends the process as a crash does, and the next run recovers', async () => {
    const argv = ['demo', '--directory', `${scratch.path}/crash`, '--limit', '200000', '--json'];
    const crashed = await runCommand([...argv, '--crash-after', '150000']);
    expect(crashed.signal).toBe('SIGKILL');
    expect(crashed.stdout).toBe('');
    const recovered = await demo('crash', '--limit', '200000');
    const uninterrupted = await demo('whole', '--limit', '200000');
    expect(recovered.events).toBe(200_000);
    expect(recovered.stateDigest).toBe(uninterrupted.stateDigest);
  });
});
