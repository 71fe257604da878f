/** The command as a process: exit codes, streams, signals. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { RunSummary } from '../../src/cli/summary.ts';
import { parseLines, runCommand, runJson, scratchDirectory, startCommand } from '../support/command.ts';
import { ROOT } from '../support/source-code.ts';

const scratch = scratchDirectory('program');
afterAll(() => scratch.remove());

/** One line on stderr after news: the error. */
function lastLine(stderr: string): string {
  return stderr.trimEnd().split('\n').at(-1)!;
}

describe('requests', () => {
  test('--version and --help', async () => {
    const manifest: { version: string } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(await runCommand(['--version'])).toMatchObject({
      code: 0,
      stdout: `${manifest.version}\n`,
      stderr: '',
    });
    const help = await runCommand(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const command of ['demo', 'run JOB', 'ls DIR', 'show DIR STREAM [SEQ]', 'verify DIR']) {
      expect(help.stdout).toContain(`  ${command} `);
    }
  });

  const foreign = join(scratch.path, 'foreign');
  mkdirSync(foreign);
  writeFileSync(join(foreign, 'letter.txt'), 'Dear reader');

  test.each([
    [[], 'ERR_TIDEMARK_INVALID_ARGUMENT'],
    [['demo', '--shards', 'many'], 'ERR_TIDEMARK_INVALID_ARGUMENT'],
    [['demo', '--shards', '100000'], 'ERR_TIDEMARK_INVALID_ARGUMENT'],
    [['demo', '--directory', foreign], 'ERR_TIDEMARK_NOT_A_STORE'],
    [['demo', '--directory', join(foreign, 'letter.txt')], 'ERR_TIDEMARK_NOT_A_STORE'],
    [['run', join(foreign, 'missing.ts')], 'ERR_TIDEMARK_INVALID_JOB'],
    [['ls', foreign], 'ERR_TIDEMARK_NOT_A_STORE'],
    [['ls', join(foreign, 'missing')], 'ERR_TIDEMARK_NOT_A_STORE'],
    [['ls', join(foreign, 'letter.txt')], 'ERR_TIDEMARK_NOT_A_STORE'],
    [['show', foreign, 'a'], 'ERR_TIDEMARK_NOT_A_STORE'],
    [['verify', foreign], 'ERR_TIDEMARK_NOT_A_STORE'],
  ])('%j is a wrong request', async (argv, code) => {
    const result = await runCommand([...argv, '--json']);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(lastLine(result.stderr)).toMatch(new RegExp(`^tidemark: ${code}: .+; .+$`));
  });
});

describe('a job with a fault', () => {
  test.each([
    ['async', 'ERR_TIDEMARK_ASYNC_OPERATOR', 'count'],
    ['module', 'ERR_TIDEMARK_OPERATORS_MODULE', 'no such table'],
    ['large-payload', 'ERR_TIDEMARK_PAYLOAD_TOO_LARGE', 'ringBytes'],
    ['small-memory', 'ERR_TIDEMARK_MEMORY_FULL', 'memory'],
    ['event', 'ERR_TIDEMARK_INVALID_ARGUMENT', 'stream'],
    ['source', 'ERR_TIDEMARK_SOURCE', "the source 'numbers' failed: connection lost"],
  ])('%s ends with one line that says so', async (fault, code, message) => {
    const argv = [
      'run',
      'test/cli/jobs/fault-job.ts',
      '--directory',
      join(scratch.path, `fault-${fault}`),
      '--json',
    ];
    const result = await runCommand(argv, { FAULT: fault });
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(lastLine(result.stderr)).toMatch(new RegExp(`^tidemark: ${code}: `));
    expect(lastLine(result.stderr)).toContain(message);
  });

  test('in its operator ends with a summary that names the stream set aside', async () => {
    const argv = ['run', 'test/cli/jobs/fault-job.ts', '--directory', join(scratch.path, 'poison')];
    const { code, stdout, stderr } = await runCommand([...argv, '--json'], { FAULT: 'operator' });
    expect(code).toBe(1);
    expect(parseLines<RunSummary>(stdout)[0]).toMatchObject({
      events: 10,
      quarantined: [
        { stream: 'a', sequence: '11', offset: '10', error: expect.stringContaining('cannot divide') },
      ],
    });
    expect(stderr).toMatch(/stream a is set aside: .*cannot divide/);
    const again = await runCommand(argv);
    expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining('stream a was set aside') });
    expect(again.stdout).toMatch(/events +11 in 1 streams/);
  });

  test('loses nothing that was durable', async () => {
    const argv = ['run', 'test/cli/jobs/fault-job.ts', '--directory', join(scratch.path, 'durable')];
    const [first] = await runJson<RunSummary>([...argv, '--limit', '10']);
    expect(first).toMatchObject({ events: 10 });
    expect((await runCommand(argv, { FAULT: 'operator' })).code).toBe(1);
    const [last] = await runJson<RunSummary>(argv);
    expect(last).toMatchObject({ events: 11, resumed: true, resumedFrom: '10', applied: 1 });
  });
});

describe('a source that keeps only its newest events', () => {
  const argv = [
    'run',
    'test/cli/jobs/retention-job.ts',
    '--directory',
    join(scratch.path, 'retention'),
    '--json',
  ];
  const run = async (env: Record<string, string>): Promise<RunSummary | string> => {
    const { code, stdout, stderr } = await runCommand(argv, env);
    return code === 0 ? (parseLines<RunSummary>(stdout)[0] as RunSummary) : lastLine(stderr);
  };

  test('fails a run that comes too late, and is read on from where the job says', async () => {
    expect(await run({ LATEST: '10' })).toMatchObject({ events: 10, skipped: null });
    // What the next run is to read is there still.
    expect(await run({ EARLIEST: '10', LATEST: '20' })).toMatchObject({ events: 20, skipped: null });
    expect(await run({ EARLIEST: '50', LATEST: '60' })).toMatch(
      /^tidemark: ERR_TIDEMARK_SOURCE_EXPIRED: .*begins at offset 50, but 20 is the next/,
    );
    expect(await run({ EARLIEST: '50', LATEST: '60', ON_EXPIRED: 'earliest' })).toMatchObject({
      events: 30,
      resumedFrom: '50',
      skipped: { from: '20', to: '50' },
    });
    expect(await run({ EARLIEST: '90', LATEST: '99', ON_EXPIRED: 'latest' })).toMatchObject({
      events: 30,
      applied: 0,
      resumedFrom: '99',
      skipped: { from: '60', to: '99' },
    });
    // Nothing came since: where to go on is where the last event was, so the gap is found again.
    expect(await run({ EARLIEST: '90', LATEST: '100', ON_EXPIRED: 'earliest' })).toMatchObject({
      events: 40,
      skipped: { from: '60', to: '90' },
    });
    expect(await run({ EARLIEST: '90', LATEST: '102' })).toMatchObject({ events: 42, skipped: null });
  });
});

describe('a run that is told to stop', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: final checkpoints, summary, exit 0; the next run goes on',
    async (signal) => {
      const directory = join(scratch.path, signal);
      const argv = ['run', 'test/cli/jobs/endless-job.ts', '--directory', directory, '--json'];
      const command = startCommand(argv);
      await expect
        .poll(async () => parseLines((await runCommand(['ls', directory, '--json'])).stdout).length, {
          timeout: 20_000,
        })
        .toBeGreaterThan(1);
      command.process.kill(signal);
      const { code, stdout, stderr } = await command.result;
      expect(code, stderr).toBe(0);
      expect(stderr).toContain(`${signal}: reading ends`);
      const [summary] = parseLines<RunSummary>(stdout);
      expect(summary!.events).toBeGreaterThan(0);
      // Everything that was applied is durable: the next run reads on exactly there.
      const next = await runJson<RunSummary>([...argv.slice(0, -1), '--limit', String(summary!.events)]);
      expect(next[0]).toMatchObject({
        events: summary!.events,
        applied: 0,
        resumedFrom: String(summary!.events),
        stateDigest: summary!.stateDigest,
      });
    },
  );

  test('a directory in use is refused', async () => {
    const directory = join(scratch.path, 'in-use');
    const argv = ['run', 'test/cli/jobs/endless-job.ts', '--directory', directory, '--json'];
    const command = startCommand(argv);
    await expect.poll(async () => (await runCommand(['ls', directory])).code, { timeout: 20_000 }).toBe(0);
    const second = await runCommand(argv);
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(lastLine(second.stderr)).toMatch(/^tidemark: ERR_TIDEMARK_DIRECTORY_LOCKED: .+; .+$/);
    command.process.kill('SIGTERM');
    expect((await command.result).code).toBe(0);
  });
});
