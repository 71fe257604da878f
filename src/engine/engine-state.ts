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
    this.failure = error instanceof TidemarkError ? error : storeFailed(error);
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
            retryable: failure.retryable,
          });
    if (accepted !== undefined) error.accepted = accepted;
    return error;
  }
}

/** A store of the user's may throw anything. */
function storeFailed(cause: unknown): TidemarkError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new TidemarkError('ERR_TIDEMARK_STORE_FAILED', `the store failed: ${message}`, { cause });
}
