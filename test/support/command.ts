/** Runs the `tidemark` command from its sources in a process group of its own, and kills such groups. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './source-code.ts';

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  readonly process: ChildProcess;
  readonly result: Promise<CommandResult>;
  /** SIGKILL to the process and everything that it started. */
  killGroup(): void;
}

export function startCommand(argv: readonly string[], env: NodeJS.ProcessEnv = {}): RunningCommand {
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), ...argv], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const result = new Promise<CommandResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return {
    process: child,
    result,
    killGroup() {
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch (error) {
        // It ended by itself in the meantime.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    },
  };
}

export function runCommand(argv: readonly string[], env?: NodeJS.ProcessEnv): Promise<CommandResult> {
  return startCommand(argv, env).result;
}

/** Objects of a run's stdout, one a line; throws with stderr when the run did not end with `code`. */
export async function runJson<T>(argv: readonly string[], code = 0): Promise<T[]> {
  const result = await runCommand([...argv, '--json']);
  if (result.code !== code) {
    throw new Error(
      `tidemark ${argv.join(' ')} ended with ${result.code ?? result.signal}: ${result.stderr}`,
    );
  }
  return parseLines<T>(result.stdout);
}

export function parseLines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

export function scratchDirectory(name: string): { readonly path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), `tidemark-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
