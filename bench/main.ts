/**
 * `npm run bench -- [SUITE ...] [--smoke] [--json] [--results FOLDER]`: runs the named suites, or all of
 * them. Results and charts go to `bench/results`; those of a smoke go nowhere unless a folder is given.
 *
 * Exit codes: 0 done, 1 a suite failed or found a wrong result, 2 the request is wrong.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { writeChart } from './chart.ts';
import { INSTALL_COMMAND, missingRivals } from './compare/packages.ts';
import { RESULTS, recordOf, type SuiteRecord, writeRecord } from './record.ts';
import { caseLines, headerLine, toJsonLine } from './report.ts';
import type { Result, Suite } from './suite.ts';

/** Loaded on demand: each suite brings what it measures. */
const SUITES: ReadonlyMap<string, () => Promise<Suite>> = new Map([
  ['codec', async () => (await import('./codec.ts')).suite],
  ['engine', async () => (await import('./engine.ts')).suite],
  ['store', async () => (await import('./store.ts')).suite],
]);

interface Request {
  readonly suites: readonly string[];
  readonly isSmoke: boolean;
  readonly isJson: boolean;
  /** Ends with a slash. */
  readonly results: URL | undefined;
}

/** @throws Error saying what is wrong with the arguments */
function parseRequest(args: readonly string[]): Request {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { smoke: { type: 'boolean' }, json: { type: 'boolean' }, results: { type: 'string' } },
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
    results: resultsFolder(values.results, values.smoke === true),
  };
}

function resultsFolder(given: string | undefined, isSmoke: boolean): URL | undefined {
  if (given !== undefined) return pathToFileURL(join(given, '/'));
  return isSmoke ? undefined : RESULTS;
}

async function run(request: Request): Promise<void> {
  const missing = missingRivals();
  if (missing.length > 0)
    process.stderr.write(`bench: without ${missing.join(', ')}; to install them: ${INSTALL_COMMAND}\n`);
  for (const name of request.suites) {
    const suite = await SUITES.get(name)?.();
    if (suite === undefined) continue;
    if (!request.isJson) process.stdout.write(headerLine());
    const results: Result[] = [];
    for await (const some of suite.run({ isSmoke: request.isSmoke })) {
      process.stdout.write(request.isJson ? some.map(toJsonLine).join('') : caseLines(some));
      results.push(...some);
    }
    if (request.results !== undefined) await keep(request.results, recordOf(name, results));
  }
}

async function keep(folder: URL, record: SuiteRecord): Promise<void> {
  await writeRecord(folder, record);
  if (!(await writeChart(folder, record)))
    process.stderr.write(`bench: no chart without vega; to install it: ${INSTALL_COMMAND}\n`);
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
