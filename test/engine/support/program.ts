/** Programs that run an engine in a process of their own: to be killed, to end by themselves, to be weighed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it reported, object by object. */
  readonly reports: readonly Record<string, unknown>[];
  readonly stderr: string;
}

export interface RunningProgram {
  readonly end: Promise<ProgramEnd>;
  kill(): void;
}

/**
 * Starts a program with one argument, which it reads with `argument()`, and collects the lines of JSON that it
 * prints. Resolves `end` when it has ended and everything it printed is read.
 */
export function startProgram(
  url: URL,
  argument: object,
  onReport: (report: Record<string, unknown>) => void = () => undefined,
  execArgv: readonly string[] = [],
): RunningProgram {
  const child = spawn(process.execPath, [...execArgv, fileURLToPath(url), JSON.stringify(argument)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const reports: Record<string, unknown>[] = [];
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const report = parse(line);
    if (report === undefined) return;
    reports.push(report);
    onReport(report);
  });
  const read = once(lines, 'close');
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const end = Promise.all([ended, read]).then(([[code, signal]]) => ({ code, signal, reports, stderr }));
  return { end, kill: () => void child.kill('SIGKILL') };
}

/** Undefined for a line that a kill has cut short. */
function parse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** In a program: what it was started with. */
export function argument<Argument>(): Argument {
  return JSON.parse(process.argv[2] ?? '{}') as Argument;
}

/** In a program: tells the test something. Written at once, so that a kill right after it does not unsay it. */
export function report(what: object): void {
  process.stdout.write(
    `${JSON.stringify(what, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))}\n`,
  );
}
