/** `tidemark run JOB`, and what `demo` shares with it. */
import type { EngineOptions } from '../engine/options.ts';
import { TidemarkError } from '../error.ts';
import type { RunArguments } from './arguments.ts';
import { DEFAULT_DIRECTORY, requireNoFile } from './directory.ts';
import { loadJob } from './load-job.ts';
import { type Terminal, toJsonLine } from './output.ts';
import { type RunPorts, runJob } from './runner.ts';
import { formatSummary, type RunSummary } from './summary.ts';

export async function runCommand(path: string, run: RunArguments, ports: RunPorts): Promise<number> {
  const { source, onExpired, ...options } = await loadJob(path);
  const { options: engineOptions, where } = withArguments(options, run);
  const outcome = await runJob(
    {
      title: `tidemark run ${path}: reads ${source.name}; ${where}`,
      source,
      options: engineOptions,
      onExpired,
      limit: run.limit,
      crashAfter: run.crashAfter,
      end: undefined,
      unit: 'offsets',
    },
    ports,
  );
  if (outcome.summary !== undefined) printSummary(outcome.summary, run, ports.terminal);
  return outcome.exitCode;
}

/**
 * The options of the command line go before those of the job.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT, ERR_TIDEMARK_NOT_A_STORE
 */
export function withArguments(
  options: EngineOptions,
  { directory, shards }: RunArguments,
): { options: EngineOptions; where: string } {
  const merged = { ...options, ...(shards === undefined ? {} : { shards }) };
  if (options.store !== undefined) {
    if (directory !== undefined) {
      throw new TidemarkError(
        'ERR_TIDEMARK_INVALID_ARGUMENT',
        'the job has a store of its own; --directory has no use',
      );
    }
    return { options: merged, where: 'checkpoints go to the store of the job' };
  }
  const place = directory ?? options.directory ?? DEFAULT_DIRECTORY;
  requireNoFile(place);
  return { options: { ...merged, directory: place }, where: `checkpoints are kept in ${place}` };
}

export function printSummary(summary: RunSummary, { json }: RunArguments, { stdout }: Terminal): void {
  stdout.write(json ? toJsonLine(summary) : formatSummary(summary));
}
