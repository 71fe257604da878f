/** The `tidemark` command: from its arguments to an exit code. */
import { readFileSync } from 'node:fs';
import { type Command, HELP, parseCommand } from './arguments.ts';
import { demoCommand } from './demo/command.ts';
import { lsCommand, showCommand, verifyCommand } from './inspect.ts';
import { errorLine, exitCodeOf } from './output.ts';
import { runCommand } from './run-command.ts';
import type { RunPorts } from './runner.ts';

/** Ends the process: a source that ignores its signal must not keep it alive. */
export async function main(argv: readonly string[]): Promise<void> {
  ignoreClosedPipe(process.stdout);
  ignoreClosedPipe(process.stderr);
  const exitCode = await runProgram(argv, {
    terminal: process,
    // Loaded when a run begins: the other commands answer without it.
    open: async (options) => (await import('../engine/engine.ts')).CheckpointEngine.open(options),
    crash: () => process.kill(process.pid, 'SIGKILL'),
    on: (event, listener) => process.on(event, listener),
    off: (event, listener) => process.off(event, listener),
    exit: (code) => process.exit(code),
    now: () => performance.now(),
  });
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(exitCode);
}

export async function runProgram(argv: readonly string[], ports: RunPorts): Promise<number> {
  let command: Command;
  try {
    command = parseCommand(argv);
  } catch (error) {
    ports.terminal.stderr.write(errorLine(error));
    return 2;
  }
  try {
    return await dispatch(command, ports);
  } catch (error) {
    ports.terminal.stderr.write(errorLine(error));
    return exitCodeOf(error);
  }
}

function dispatch(command: Command, ports: RunPorts): Promise<number> | number {
  const { terminal } = ports;
  switch (command.name) {
    case 'help':
      terminal.stdout.write(HELP);
      return 0;
    case 'version':
      terminal.stdout.write(`${packageVersion()}\n`);
      return 0;
    case 'demo':
      return demoCommand(command.run, ports);
    case 'run':
      return runCommand(command.job, command.run, ports);
    case 'ls':
      return lsCommand(command, terminal);
    case 'show':
      return showCommand(command, terminal);
    case 'verify':
      return verifyCommand(command, terminal);
  }
}

/** package.json lies beside src/, and one folder further up from dist/src/. */
function packageVersion(): string {
  const path = import.meta.url.endsWith('.ts') ? '../../package.json' : '../../../package.json';
  const manifest: { version: string } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
  return manifest.version;
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}

/** `tidemark ls DIR | head` closes the pipe early: what is written then has no reader, and that is all. */
function ignoreClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
