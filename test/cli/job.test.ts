import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { defineJob, isJob, type JobDefinition } from '../../src/cli/job.ts';
import { loadJob } from '../../src/cli/load-job.ts';
import { withArguments } from '../../src/cli/run-command.ts';

const scratch = mkdtempSync(join(tmpdir(), 'tidemark-job-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const jobModule = new URL('../../src/cli/job.ts', import.meta.url).href;
const definition: JobDefinition = {
  source: { name: 'numbers', async *read() {} },
  operators: new URL('file:///operators.ts'),
};
const run = { json: false, directory: undefined, shards: undefined, limit: undefined, crashAfter: undefined };

function moduleOf(name: string, text: string): string {
  const path = join(scratch, name);
  writeFileSync(path, text);
  return path;
}

function invalidJob(message: string) {
  return expect.objectContaining({
    code: 'ERR_TIDEMARK_INVALID_JOB',
    message: expect.stringContaining(message),
  });
}

describe('defineJob', () => {
  test('gives back a job with all options', () => {
    const job = defineJob({ ...definition, shards: 2 });
    expect(isJob(job)).toBe(true);
    expect(job.shards).toBe(2);
  });

  test.each([
    [null, 'takes an object'],
    [{ ...definition, source: undefined }, 'needs a source'],
    [{ ...definition, source: { name: '', read: () => {} } }, 'non-empty string'],
    [{ ...definition, source: { name: 'n' } }, "the source 'n' needs a method read"],
    [{ source: definition.source }, 'needs operators'],
    [{ ...definition, source: { ...definition.source, range: 7 } }, 'range'],
    [{ ...definition, onExpired: 'latests' }, "'fail', 'earliest' or 'latest'"],
  ])('refuses %j', (wrong, message) => {
    expect(() => defineJob(wrong as unknown as JobDefinition)).toThrow(invalidJob(message));
  });
});

describe('loading a job', () => {
  test('the default export of a module', async () => {
    const path = moduleOf(
      'job.mjs',
      `import { defineJob } from ${JSON.stringify(jobModule)};
       export default defineJob({ source: { name: 'n', async *read() {} }, operators: 'file:///o.js' });`,
    );
    expect((await loadJob(path)).source.name).toBe('n');
  });

  test.each([
    ['missing.mjs', undefined, 'there is no file'],
    ['empty.mjs', '', 'has no job as its default export'],
    [
      'plain.mjs',
      "export default { source: { name: 'n', async *read() {} } };",
      'has no job as its default export',
    ],
    ['throws.mjs', "throw new Error('no database');", 'cannot be loaded: no database'],
    ['syntax.mjs', 'export default (', 'cannot be loaded'],
  ])('%s is refused', async (name, text, message) => {
    const path = text === undefined ? join(scratch, name) : moduleOf(name, text);
    await expect(loadJob(path)).rejects.toThrow(invalidJob(message));
  });
});

describe('options', () => {
  test('the command line goes before the job, the job before the default', () => {
    expect(withArguments({ operators: 'file:///o.js' }, run).options.directory).toBe('./tidemark-data');
    const job = { operators: 'file:///o.js', directory: 'of-job', shards: 4 };
    expect(withArguments(job, run).options).toEqual(job);
    expect(withArguments(job, { ...run, directory: 'given', shards: 2 }).options).toEqual({
      ...job,
      directory: 'given',
      shards: 2,
    });
  });

  test('a store of the job leaves no room for a directory', () => {
    const store = {} as NonNullable<JobDefinition['store']>;
    expect(withArguments({ operators: 'file:///o.js', store }, run).options).not.toHaveProperty('directory');
    expect(() => withArguments({ operators: 'file:///o.js', store }, { ...run, directory: 'd' })).toThrow(
      expect.objectContaining({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' }),
    );
  });
});
