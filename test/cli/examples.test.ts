/** The examples run, and README shows what runs. */
import { execFile } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import type { RunSummary } from '../../src/cli/summary.ts';
import { parseLines, runCommand, scratchDirectory } from '../support/command.ts';
import { ROOT } from '../support/source-code.ts';

const scratch = scratchDirectory('examples');
afterAll(() => scratch.remove());

test('README shows the example as it is', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  for (const name of ['counts-operators.ts', 'counts.ts']) {
    const example = readFileSync(join(ROOT, 'examples', name), 'utf8').replace(
      "'../src/index.ts'",
      "'tidemark'",
    );
    expect(readme).toContain(`\`\`\`ts\n${example}\`\`\`\n`);
  }
});

test('the example counts, and a second run reads on where the first one ended', async () => {
  const run = async () => {
    const argv = [join(ROOT, 'examples/counts.ts'), join(scratch.path, 'counts')];
    return (await promisify(execFile)(process.execPath, argv)).stdout;
  };
  expect(await run()).toBe('read from 0, s7 has 10000 events\n');
  expect(await run()).toBe('read from 100000, s7 has 10000 events\n');
});

test('the job counts the lines of a file, also of one that grew', async () => {
  const file = join(scratch.path, 'lines.txt');
  const run = async () => {
    const argv = ['run', 'examples/lines-job.ts', '--directory', join(scratch.path, 'lines'), '--json'];
    const { code, stdout, stderr } = await runCommand(argv, { LINES_FILE: file });
    expect(code, stderr).toBe(0);
    return parseLines<RunSummary>(stdout)[0]!;
  };
  writeFileSync(file, 'GET /a\nPOST /b\nGET /\u00E9\nnot whole');
  expect(await run()).toMatchObject({ events: 3, streams: 2, resumed: false, resumedFrom: null, applied: 3 });
  appendFileSync(file, ' yet\nGET /c\n');
  expect(await run()).toMatchObject({
    events: 5,
    streams: 3,
    resumed: true,
    resumedFrom: '23',
    applied: 2,
    replayed: 0,
  });
});
