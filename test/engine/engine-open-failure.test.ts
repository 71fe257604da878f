/** Engines that cannot be opened: one clear error, nothing left behind, nothing durable touched. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CheckpointStore, EngineOptions, ErrorCode } from '../../src/index.ts';
import { newDirectory, OPERATORS, openEngine, openFailure } from './support/engine.ts';
import { startProgram } from './support/program.ts';

const SOURCE = 'data:text/javascript,';

interface BadModule {
  readonly what: string;
  readonly operators: string | URL;
  readonly code: ErrorCode;
  readonly message: RegExp;
  readonly startTimeoutMs?: number;
}

const MODULES: readonly BadModule[] = [
  {
    what: 'is not there',
    operators: new URL('./operators/missing.ts', import.meta.url),
    code: 'ERR_TIDEMARK_OPERATORS_MODULE',
    message: /missing\.ts cannot be loaded: Cannot find module/,
  },
  {
    what: 'is no JavaScript',
    operators: `${SOURCE}export default (`,
    code: 'ERR_TIDEMARK_OPERATORS_MODULE',
    message: /cannot be loaded: Unexpected/,
  },
  {
    what: 'throws while it loads',
    operators: `${SOURCE}throw new TypeError('not today')`,
    code: 'ERR_TIDEMARK_OPERATORS_MODULE',
    message: /cannot be loaded: not today/,
  },
  {
    what: 'has no default export',
    operators: OPERATORS.noDefault,
    code: 'ERR_TIDEMARK_OPERATORS_MODULE',
    message: /no default export/,
  },
  {
    what: 'exports an array instead of a function',
    operators: `${SOURCE}export default []`,
    code: 'ERR_TIDEMARK_OPERATORS_MODULE',
    message: /no default export that is a function/,
  },
  {
    what: 'ends its thread',
    operators: OPERATORS.exits,
    code: 'ERR_TIDEMARK_SHARD_EXITED',
    message: /shard \d ended unexpectedly/,
  },
  {
    what: 'never finishes loading',
    operators: OPERATORS.neverLoads,
    code: 'ERR_TIDEMARK_OPERATORS_MODULE',
    message: /not ready within 300 ms/,
    startTimeoutMs: 300,
  },
  {
    what: 'loops while it loads',
    operators: `${SOURCE}for (;;);`,
    code: 'ERR_TIDEMARK_OPERATORS_MODULE',
    message: /not ready within 300 ms/,
    startTimeoutMs: 300,
  },
];

describe.each(MODULES)('an operators module that $what', ({ operators, code, message, startTimeoutMs }) => {
  const options = { operators, ...(startTimeoutMs === undefined ? {} : { startTimeoutMs }) };

  test(`makes open reject with ${code}, and the directory is free and whole afterwards`, async () => {
    const directory = await newDirectory();
    const first = await openEngine({ directory });
    await first.push({ stream: 'a', payload: 'x' });
    await first.close();
    const error = await openFailure({ directory, ...options });
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    const again = await openEngine({ directory });
    expect((await again.latest('a'))?.eventCount).toBe(1n);
  });

  test('leaves nothing that keeps the process', async () => {
    const { end } = startProgram(new URL('./programs/fault.ts', import.meta.url), {
      options: { ...options, operators: String(operators), directory: await newDirectory(), shards: 2 },
    });
    expect(await end).toMatchObject({ code: 0, signal: null, reports: [{ code }], stderr: '' });
  });
});

test('a module that cannot be loaded passes on why', async () => {
  const error = await openFailure({ operators: `${SOURCE}throw new TypeError('not today')` });
  expect(error.cause).toMatchObject({ name: 'TypeError', message: 'not today' });
});

test('worker files that are not where workersUrl says are missed at once', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-workers-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const directory = await newDirectory();
  const error = await openFailure({ directory, workersUrl: new URL(`file://${folder}/`) });
  expect(error).toMatchObject({
    code: 'ERR_TIDEMARK_WORKER_LOAD',
    message: expect.stringContaining('workersUrl'),
  });
  expect(existsSync(directory)).toBe(false);
});

describe('options', () => {
  const bad: readonly [what: string, options: object, named: RegExp][] = [
    ['no operators', { operators: undefined }, /operators is missing/],
    ['a relative path to operators', { operators: './operators.ts' }, /absolute/],
    ['an option that there is not', { shard: 2 }, /unknown option shard/],
    [
      'a part of an option that there is not',
      { checkpoint: { everyEvent: 1 } },
      /unknown option checkpoint\.everyEvent/,
    ],
    ['no shards', { shards: 0 }, /shards must be an integer from 1/],
    ['half a shard', { shards: 1.5 }, /shards/],
    ['shards in words', { shards: '2' }, /shards/],
    ['a trigger of zero events', { checkpoint: { everyEvents: 0 } }, /everyEvents/],
    ['a trigger that is not a number', { checkpoint: { everyMs: Number.NaN } }, /everyMs/],
    ['a ring that is no power of two', { memory: { ringBytes: 5_000 } }, /power of two/],
    ['a tiny ring', { memory: { ringBytes: 16 } }, /ringBytes/],
    ['more memory than there can be', { memory: { bytes: 2 ** 33 } }, /memory\.bytes/],
    ['less memory than the rings take', { memory: { bytes: 2 ** 20, ringBytes: 2 ** 20 } }, /too small/],
    ['no checkpoint of a stream', { retain: { perStream: 0 } }, /perStream/],
    ['a disk of bytes', { retain: { diskBytes: 1_000 } }, /diskBytes/],
    ['an empty directory name', { directory: '' }, /directory/],
    ['a store that is none', { directory: undefined, store: {} }, /store lacks the method open/],
    ['a store beside a directory', { directory: '/nowhere', store: {} as CheckpointStore }, /not both/],
    ['a policy that there is not', { onPoison: 'panic' }, /onPoison/],
    ['a yes instead of true', { allowUnclaimedState: 'yes' }, /allowUnclaimedState/],
    ['no time to start', { startTimeoutMs: 0 }, /startTimeoutMs/],
    ['workers on the web', { workersUrl: new URL('https://workers.example/') }, /workersUrl/],
    ['workersUrl as text', { workersUrl: '/workers' }, /workersUrl/],
  ];

  test.each(bad)('%s is refused by name, before anything is touched', async (_what, options, named) => {
    const directory = await newDirectory();
    const error = await openFailure({ directory, ...(options as Partial<EngineOptions>) });
    expect(error).toMatchObject({
      code: 'ERR_TIDEMARK_INVALID_ARGUMENT',
      message: expect.stringMatching(named),
    });
    expect(existsSync(directory)).toBe(false);
  });
});
