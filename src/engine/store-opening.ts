/**
 * Opens a store of the user's own, which may be out of reach for a moment: one behind a network often is when everything
 * starts at once. What it says to be `retryable` is tried again, after pauses, for as long as a store may take to open.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type Clock, systemClock } from '../clock.ts';
import { TidemarkError } from '../error.ts';
import type { CheckpointStore, StoreContents } from '../store/contract.ts';
import { withDeadline } from './deadline.ts';

/** Milliseconds until the store is asked again; each time twice as many. */
const PAUSE_MIN_MS = 10;
const PAUSE_MAX_MS = 1_000;

/**
 * One attempt at a time, and none once it has settled: whoever gave up closes the store.
 * @throws what the store rejects with, if that is not retryable or comes too late for another attempt;
 * ERR_TIDEMARK_STORE_FAILED when an attempt has not settled `timeoutMs` after the first began; the reason of `signal` at
 * once when it is aborted
 */
export async function openPatiently(
  store: Pick<CheckpointStore, 'open'>,
  timeoutMs: number,
  { clock = systemClock, signal }: { clock?: Clock; signal?: AbortSignal | undefined } = {},
): Promise<StoreContents> {
  const end = clock.now() + timeoutMs;
  let before: unknown;
  for (let pauseMs = PAUSE_MIN_MS; ; pauseMs = Math.min(PAUSE_MAX_MS, 2 * pauseMs)) {
    const leftMs = Math.max(0, end - clock.now());
    try {
      return await withDeadline(store.open(), leftMs, () => storeTimedOut(timeoutMs, before), signal);
    } catch (error) {
      // The reason may be an error of any kind.
      if (signal?.aborted === true) throw signal.reason;
      const isRetryable = error instanceof TidemarkError && error.retryable;
      if (!isRetryable || clock.now() + pauseMs >= end) throw error;
      before = error;
    }
    // An aborted pause is over; the reason for it is not what it rejects with.
    await pause(pauseMs, undefined, { signal }).catch(() => undefined);
    signal?.throwIfAborted();
  }
}

/** `cause` is what the attempt before failed with, if there was one. */
export function storeTimedOut(ms: number, cause?: unknown): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_STORE_FAILED',
    `the store was not ready within ${ms} ms; see why it does not answer, or raise storeTimeoutMs`,
    { cause },
  );
}
