import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { isInstalled, missingRivals } from '../../bench/compare/packages.ts';

const MAIN = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));

/** Of those that are packages, the ones that are installed; the bench does without the others. */
const RIVAL_CODECS = ['msgpackr', 'cbor-x', 'protobufjs', 'avsc', 'bson'].filter(isInstalled);

const EXPECTED_STDERR =
  missingRivals().length === 0 ? /^$/ : /^bench: without .*; to install them: npm run bench:rivals\n$/;

/** A smoke takes seconds on a machine of its own; tests share theirs. */
const SMOKE_TIMEOUT_MS = 90_000;

interface Outcome {
  readonly code: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

async function runBench(...args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[unknown]>,
  ]);
  return { code, stdout, stderr };
}

interface Line {
  readonly suite: string;
  readonly case: string;
  readonly subject: string;
  readonly nsPerOp: number;
  readonly bytesPerOp: number;
  readonly samples: number;
}

function parseLines(stdout: string): Line[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

function requireForm(lines: readonly Line[], suite: string): void {
  for (const line of lines) {
    expect(Object.keys(line)).toEqual(['suite', 'case', 'subject', 'nsPerOp', 'bytesPerOp', 'samples']);
    expect(line.suite).toBe(suite);
    expect(line.nsPerOp).toBeGreaterThan(0);
    expect(line.bytesPerOp).toBeGreaterThan(0);
    expect(line.samples).toBeGreaterThanOrEqual(1);
  }
  const names = lines.map((line) => `${line.case} ${line.subject}`);
  expect(new Set(names).size).toBe(names.length);
}

describe('npm run bench', () => {
  test('codec --smoke --json prints one object a line for every shape, case and subject', {
    timeout: SMOKE_TIMEOUT_MS,
  }, async () => {
    const { code, stdout, stderr } = await runBench('codec', '--smoke', '--json');
    expect(stderr).toMatch(EXPECTED_STDERR);
    expect(code).toBe(0);
    const lines = parseLines(stdout);
    requireForm(lines, 'codec');
    const cases = new Set(lines.map((line) => line.case));
    for (const shape of ['empty', 'small', 'medium', 'large', 'xl', 'wide']) {
      for (const name of ['encode-body', 'encode', 'gather', 'view-body', 'view', 'decode', 'checksum']) {
        expect(cases).toContain(`${name}/${shape}`);
      }
    }
    for (const line of lines) expect(line.samples).toBeGreaterThanOrEqual(7);
    for (const name of cases) {
      const subjects = lines.filter((line) => line.case === name).map((line) => line.subject);
      expect(subjects).toContain('tidemark');
      if (name.startsWith('checksum/')) continue;
      for (const rival of ['v8.serialize', 'json-base64', ...RIVAL_CODECS]) expect(subjects).toContain(rival);
    }
    const limited = lines.filter((line) => line.subject === 'memcpy').map((line) => line.case.split('/')[0]);
    expect(new Set(limited)).toEqual(new Set(['encode-body', 'encode']));
  });

  test('engine --smoke --json prints one object a line for every case and subject', {
    timeout: SMOKE_TIMEOUT_MS,
  }, async () => {
    const { code, stdout, stderr } = await runBench('engine', '--smoke', '--json');
    expect(stderr).toMatch(EXPECTED_STDERR);
    expect(code).toBe(0);
    const lines = parseLines(stdout);
    requireForm(lines, 'engine');
    const diy = isInstalled('lmdb') && isInstalled('msgpackr') ? ['diy-piscina', 'diy-single'] : [];
    const subjects = ['tidemark', ...diy];
    expect(lines.map((line) => `${line.case} ${line.subject}`)).toEqual([
      ...subjects.map((subject) => `ingest/slots ${subject}`),
      'ingest/no-checkpoints tidemark',
      'ingest/quarantined tidemark',
      ...subjects.map((subject) => `ingest/json ${subject}`),
      ...subjects.map((subject) => `ingest/large-state ${subject}`),
      'saves/200MBps tidemark',
    ]);
  });

  test('store --smoke --json prints one object a line for every case and subject', {
    timeout: SMOKE_TIMEOUT_MS,
  }, async () => {
    const { code, stdout, stderr } = await runBench('store', '--smoke', '--json');
    expect(stderr).toMatch(EXPECTED_STDERR);
    expect(code).toBe(0);
    const lines = parseLines(stdout);
    requireForm(lines, 'store');
    const stores = [
      'tidemark',
      'tidemark-in-thread',
      ...['lmdb'].filter(isInstalled),
      'node:sqlite',
      ...['classic-level'].filter(isInstalled),
    ];
    const saves = ['save/1KiB', 'save/8KiB', 'save/64KiB', 'save/256KiB', 'save-one/1KiB'];
    expect(lines.map((line) => `${line.case} ${line.subject}`)).toEqual([
      ...saves.flatMap((name) =>
        [...stores, 'limit-preallocated-write'].map((subject) => `${name} ${subject}`),
      ),
      ...['recover/100k-streams', 'recover/1GiB'].flatMap((name) =>
        stores.map((subject) => `${name} ${subject}`),
      ),
    ]);
  });

  test.each([
    ['a suite that does not exist', ['nonsense'], /unknown suite 'nonsense'; there are codec, engine, store/],
    ['an option that does not exist', ['codec', '--nonsense'], /nonsense/],
  ])('%s is answered with exit code 2 and one line', async (_, args, message) => {
    const { code, stdout, stderr } = await runBench(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
