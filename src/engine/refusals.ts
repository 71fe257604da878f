/** Ends the waits of those for whom the store has had no room for too long. The engine goes on; they may try again. */
import type { TidemarkError } from '../error.ts';
import { copyOf } from './engine-state.ts';
import type { Ingest } from './ingest.ts';

export function refuseWaiters(
  error: TidemarkError,
  ingest: Ingest,
  waits: readonly { failAll(reason: () => Error): void }[],
): void {
  for (const each of waits) each.failAll(() => copyOf(error));
  ingest.refuseAll((accepted) => copyOf(error, accepted));
}
