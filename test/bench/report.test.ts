import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { writeChart } from '../../bench/chart.ts';
import { isInstalled } from '../../bench/compare/packages.ts';
import { benchmarksOf } from '../../bench/markdown.ts';
import { readRecords, recordOf, writeRecord } from '../../bench/record.ts';
import { caseLines, toJsonLine } from '../../bench/report.ts';
import type { Result } from '../../bench/suite.ts';

function result(fields: Partial<Result> & Pick<Result, 'case' | 'subject' | 'nsPerOp'>): Result {
  return {
    suite: 'codec',
    bytesPerOp: 100,
    samples: 11,
    spread: { median: 0.02, greatest: 0.3 },
    remarks: [],
    ...fields,
  };
}

const MICRO: readonly Result[] = [
  result({ case: 'view/small', subject: 'tidemark', nsPerOp: 10 }),
  result({ case: 'view/small', subject: 'msgpackr', nsPerOp: 40, remarks: ['has to decode everything'] }),
  result({ case: 'view/small', subject: 'avsc', nsPerOp: 30 }),
  result({ case: 'view/small', subject: 'memcpy', nsPerOp: 8 }),
  result({ case: 'view/wide', subject: 'tidemark', nsPerOp: 1_000 }),
];

const ENGINE: readonly Result[] = [
  result({
    suite: 'engine',
    case: 'ingest/slots',
    subject: 'tidemark',
    nsPerOp: 500,
    samples: 3,
    remarks: ['a', 'b'],
  }),
  result({ suite: 'engine', case: 'ingest/slots', subject: 'diy-single', nsPerOp: 250, samples: 3 }),
];

const STORE: readonly Result[] = [
  result({
    suite: 'store',
    case: 'save/1KiB',
    subject: 'tidemark',
    nsPerOp: 4_000,
    spread: { median: 0, greatest: 0.5, least: 0.25 },
    disk: { takenToKept: 1.5, writtenToSaved: 1.1 },
  }),
  result({
    suite: 'store',
    case: 'save/1KiB',
    subject: 'lmdb',
    nsPerOp: 8_000,
    disk: { takenToKept: 2 },
  }),
  result({ suite: 'store', case: 'save/1KiB', subject: 'limit-preallocated-write', nsPerOp: 2_000 }),
];

async function makeFolder(): Promise<URL> {
  const path = await mkdtemp(join(tmpdir(), 'tidemark-report-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return pathToFileURL(join(path, '/'));
}

describe('what the bench reports', () => {
  test('ratios are taken to the fastest rival and to the limit', () => {
    const lines = caseLines(MICRO.slice(0, 4)).split('\n');
    expect(lines[0]).toMatch(/^view\/small +tidemark +10 .* 3\.00× +0\.80×$/);
    expect(lines[1]).toMatch(/msgpackr .* 0\.75× +0\.20× +has to decode everything$/);
    expect(lines[2]).toMatch(/avsc .* 0\.27×$/);
  });

  test('a line for programs has six keys, whatever else was found', () => {
    expect(Object.keys(JSON.parse(toJsonLine(ENGINE[0] as Result)) as object)).toEqual([
      'suite',
      'case',
      'subject',
      'nsPerOp',
      'bytesPerOp',
      'samples',
    ]);
  });

  test('what is taken of the disk and written to it stands behind the ratios', () => {
    const lines = caseLines(STORE).split('\n');
    expect(lines[0]).toMatch(
      /-25% \+50% .* 2\.00× +0\.50× +takes 1\.50× what it keeps, writes 1\.10× what it saves$/,
    );
    expect(lines[1]).toMatch(/ 0\.25× +takes 2\.00× what it keeps$/);
    expect(lines[2]).toMatch(/ 4\.00×$/);
  });

  test('a record comes back as it was written, and a folder that does not exist has none', async () => {
    const folder = await makeFolder();
    const records = [recordOf('codec', MICRO), recordOf('engine', ENGINE), recordOf('store', STORE)];
    for (const record of records) await writeRecord(folder, record);
    expect(await readRecords(folder)).toEqual(records);
    expect(await readRecords(new URL('missing/', folder))).toEqual([]);
  });

  test('a record names versions and the machine', () => {
    const { node, machine } = recordOf('codec', MICRO);
    expect(node).toBe(process.version);
    expect(machine.cores).toBeGreaterThan(0);
    expect(Object.keys(machine)).toEqual(['cpu', 'cores', 'memoryGiB', 'platform']);
  });

  test('BENCHMARKS.md has the method, a table for each case and what was found besides', () => {
    const text = benchmarksOf('The method.', [recordOf('codec', MICRO), recordOf('engine', ENGINE)]);
    expect(text).toContain('The method.');
    expect(text).toContain('| ns/op | small | wide |');
    expect(text).toContain('| `msgpackr` | 40 |  |');
    expect(text).toContain('| **tidemark, to the best rival** | 3.00× |  |');
    expect(text).toContain('`msgpackr`: has to decode everything.');
    expect(text).toContain(
      "- `tidemark`: **500 ns/event**, 0.50× the best rival's speed, best of 3\n  - a\n  - b",
    );
    const store = benchmarksOf('The method.', [recordOf('store', STORE)]);
    expect(store).toContain('| `limit-preallocated-write` | 2,000 |');
    expect(store).toContain(
      '| on disk to kept, written to saved | 1KiB |\n| --- | ---: |\n| `tidemark` | 1.50×, 1.10× |\n| `lmdb` | 2.00× |\n',
    );
    expect(benchmarksOf('The method.', [])).toContain('No suite has been run yet.');
  });

  test.skipIf(!isInstalled('vega-lite'))('a chart is an SVG that names every case and subject', async () => {
    const folder = await makeFolder();
    expect(await writeChart(folder, recordOf('codec', MICRO))).toBe(true);
    const svg = await readFile(new URL('codec.svg', folder), 'utf8');
    expect(svg).toMatch(/^<svg /);
    for (const text of ['view/small', 'view/wide', 'tidemark', 'msgpackr', 'memcpy'])
      expect(svg).toContain(text);
  });
});
