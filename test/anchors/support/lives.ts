/** Processes that run `programs/life.ts` and end by SIGKILL. */
import { expect } from 'vitest';
import type { Event } from '../../../src/index.ts';
import { type RunningProgram, startProgram } from '../../engine/support/program.ts';

type Step =
  | { readonly push: readonly Event[] }
  /** Of one stream; null: of all. */
  | { readonly checkpoint: string | null }
  | { readonly forget: string };

/** What a life is told, as JSON: offsets are numbers. */
export interface Life {
  readonly directory: string;
  readonly steps: readonly Step[];
}

export interface RunningLife {
  /** What became of it: it has done everything, or was not let in. */
  readonly outcome: Promise<Record<string, unknown>>;
  kill(): Promise<void>;
}

export function startLife(life: Life): RunningLife {
  const { promise: outcome, resolve } = Promise.withResolvers<Record<string, unknown>>();
  const program: RunningProgram = startProgram(
    new URL('../programs/life.ts', import.meta.url),
    life,
    (report) => {
      if ('done' in report || 'refused' in report) resolve(report);
    },
  );
  // A program that ends without a word must not be waited for.
  void program.end.then(({ stderr }) => resolve({ ended: stderr }));
  return {
    outcome,
    async kill() {
      program.kill();
      await program.end;
    },
  };
}

/** A process that does all this and is killed then, without a chance to close anything. */
export async function liveAndDie(directory: string, steps: readonly Step[]): Promise<void> {
  const life = startLife({ directory, steps });
  expect(await life.outcome).toEqual({ done: true });
  await life.kill();
}
