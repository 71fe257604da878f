/**
 * `npm run bench -- [SUITE ...] [--smoke] [--json]`: runs the named suites, or all of them.
 *
 * Exit codes: 0 done, 1 a suite failed or found a wrong result, 2 the request is wrong.
 */
import { parseArgs } from 'node:util';
import { caseLines, headerLine, toJsonLine } from './report.ts';
import type { Suite } from './suite.ts';

/** Loaded on demand: each suite brings what it measures. */
const SUITES: ReadonlyMap<string, () => Promise<Suite>> = new Map([
  ['codec', async () => (await import('./codec.ts')).suite],
  ['engine', async () => (await import('./engine.ts')).suite],
]);

interface Request {
  readonly suites: readonly string[];
  readonly isSmoke: boolean;
  readonly isJson: boolean;
}

/** @throws Error saying what is wrong with the arguments */
function parseRequest(args: readonly string[]): Request {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { smoke: { type: 'boolean' }, json: { type: 'boolean' } },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => !SUITES.has(name));
  if (unknown !== undefined) {
    throw new Error(`unknown suite '${unknown}'; there are ${[...SUITES.keys()].join(', ')}`);
  }
  return {
    suites: positionals.length === 0 ? [...SUITES.keys()] : [...new Set(positionals)],
    isSmoke: values.smoke === true,
    isJson: values.json === true,
  };
}

async function run(request: Request): Promise<void> {
  for (const name of request.suites) {
    const suite = await SUITES.get(name)?.();
    if (suite === undefined) continue;
    if (!request.isJson) process.stdout.write(headerLine());
    for await (const results of suite.run({ isSmoke: request.isSmoke })) {
      process.stdout.write(request.isJson ? results.map(toJsonLine).join('') : caseLines(results));
    }
  }
}

async function main(args: readonly string[]): Promise<number> {
  let request: Request;
  try {
    request = parseRequest(args);
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  try {
    await run(request);
    return 0;
  } catch (error) {
    process.stderr.write(
      `bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return 1;
  }
}

// Whoever reads the lines may have seen enough, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
process.exitCode = await main(process.argv.slice(2));
