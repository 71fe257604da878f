/**
 * Since when the durable store has been full, and who has waited too long for that. It is full from the first commit
 * that it refuses for want of room until one goes through behind which nothing waits that was refused. Who has
 * waited for `timeoutMs` of that, without a break, is rejected; the engine goes on, and who comes later waits anew.
 */
import { type Clock, systemClock } from '../clock.ts';
import { TidemarkError } from '../error.ts';

/** Looks at who waits this often in the time that they are to wait. */
const LOOKS = 8;

export interface FullStorePorts {
  readonly timeoutMs: number;
  readonly clock?: Clock;
  /** The store begins to be full. */
  readonly onBegin: () => void;
  /** Who has waited since `before`, or longer, is to be rejected; `reason` makes an error for each. */
  readonly onLate: (reason: () => TidemarkError, before: number) => void;
}

export class FullStore {
  /** Commits, and requests to forget streams, that the store has refused. */
  refusals = 0;
  readonly #ports: FullStorePorts;
  readonly #clock: Clock;
  #full: { readonly since: number; error: TidemarkError; readonly timer: NodeJS.Timeout } | undefined;

  constructor(ports: FullStorePorts) {
    this.#ports = ports;
    this.#clock = ports.clock ?? systemClock;
  }

  get isFull(): boolean {
    return this.#full !== undefined;
  }

  /** What the store said when it refused something. */
  onRefused(error: TidemarkError): void {
    this.refusals++;
    if (this.#full !== undefined) {
      this.#full.error = error;
      return;
    }
    // Keeps the process alive: what is not durable yet may become so, and who waits for it is to be told.
    const timer = setInterval(() => this.#look(), Math.max(1, this.#ports.timeoutMs / LOOKS));
    this.#full = { since: this.#clock.now(), error, timer };
    this.#ports.onBegin();
  }

  /** Nothing that it refused waits any more; or nothing will be asked of it any more. */
  end(): void {
    clearInterval(this.#full?.timer);
    this.#full = undefined;
  }

  #look(): void {
    const full = this.#full;
    const before = this.#clock.now() - this.#ports.timeoutMs;
    if (full === undefined || full.since > before) return;
    this.#ports.onLate(() => waitedTooLong(full.error, this.#ports.timeoutMs), before);
  }
}

/** For want of room that may come later. One for which there can never be room is an error as any other. */
export function isStoreFull(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError && error.code === 'ERR_TIDEMARK_STORE_FULL' && error.retryable;
}

function waitedTooLong(cause: TidemarkError, ms: number): TidemarkError {
  const message = `the store has been full for ${ms} ms: ${cause.message}`;
  return new TidemarkError('ERR_TIDEMARK_STORE_FULL', message, { cause, retryable: true });
}
