/** `tidemark demo`: real flights, one stream for each origin airport, killed and resumed as often as you like. */
import type { RunArguments } from '../arguments.ts';
import { formatCount, toJsonLine } from '../output.ts';
import { printSummary, withArguments } from '../run-command.ts';
import { type RunPorts, runJob } from '../runner.ts';
import { FLIGHTS_TOTAL } from './flight.ts';
import { findFlightsFile, flightsSource } from './flights-source.ts';
import { Ranking } from './ranking.ts';

const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

export async function demoCommand(run: RunArguments, ports: RunPorts): Promise<number> {
  const { options, where } = withArguments(
    {
      operators: new URL(`./flights-operators.${EXTENSION}`, import.meta.url),
      checkpoint: { everyEvents: 1_000, everyMs: 50 },
    },
    run,
  );
  const ranking = new Ranking();
  const outcome = await runJob(
    {
      title: `tidemark demo: ${formatCount(FLIGHTS_TOTAL)} flights, one stream for each origin airport; ${where}`,
      source: flightsSource(findFlightsFile(), run.limit),
      options,
      limit: run.limit,
      crashAfter: run.crashAfter,
      end: FLIGHTS_TOTAL,
      unit: 'rows',
      onFinalState: (final) => ranking.add(final),
    },
    ports,
  );
  if (outcome.summary === undefined) return outcome.exitCode;
  const { stdout } = ports.terminal;
  if (run.json) {
    stdout.write(toJsonLine({ ...outcome.summary, top: ranking.top() }));
  } else {
    stdout.write(`\n${ranking.format()}\n`);
    printSummary(outcome.summary, run, ports.terminal);
  }
  return outcome.exitCode;
}
