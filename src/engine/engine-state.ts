/** Where an engine is in its life, and the error that every call gets once that life is over. */
import { TidemarkError } from '../error.ts';

type Phase = 'opening' | 'open' | 'closing' | 'closed' | 'failed';

export class EngineState {
  phase: Phase = 'opening';
  failure: TidemarkError | undefined;

  /** False if it is over already: only the first failure counts. */
  fail(error: unknown): boolean {
    if (this.phase === 'failed' || this.phase === 'closed') return false;
    this.phase = 'failed';
    this.failure = asStoreError(error);
    return true;
  }

  /** @throws ERR_TIDEMARK_CLOSED, and what the engine failed with */
  requireOpen(): void {
    if (this.phase !== 'open') throw this.rejection();
  }

  /** As `requireOpen`, but closing is well. */
  requireAlive(): void {
    if (this.failure !== undefined) throw this.rejection();
  }

  /** A new error for each rejection: callers add to it, and stacks tell them apart. */
  rejection(accepted?: number): TidemarkError {
    const { failure } = this;
    const error =
      failure === undefined
        ? new TidemarkError('ERR_TIDEMARK_CLOSED', 'the engine is closed; open another one')
        : new TidemarkError(failure.code, failure.message, {
            cause: failure.cause ?? failure,
          });
    if (accepted !== undefined) error.accepted = accepted;
    if (failure?.notDurable !== undefined) error.notDurable = failure.notDurable;
    return error;
  }
}

/** An error of ours as it is; a store of the user's may throw anything else. */
export function asStoreError(error: unknown): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new TidemarkError('ERR_TIDEMARK_STORE_FAILED', `the store failed: ${message}`, { cause: error });
}
