/** For how long a full store is waited for, and by whom. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { closedWhileFull } from '../../src/engine/closing.ts';
import { FullStore } from '../../src/engine/full-store.ts';
import { RoutedStream } from '../../src/engine/router.ts';
import { TidemarkError } from '../../src/error.ts';

const TIMEOUT_MS = 800;
/** It looks this often. */
const LOOK_MS = TIMEOUT_MS / 8;

let begun = 0;
let late: { before: number; error: TidemarkError }[] = [];

function fullStore(): FullStore {
  return new FullStore({
    timeoutMs: TIMEOUT_MS,
    clock: { now: () => Date.now(), wallMs: () => 0 },
    onBegin: () => void begun++,
    onLate: (reason, before) => late.push({ before, error: reason() }),
  });
}

function refusal(message: string): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_STORE_FULL', message, { retryable: true });
}

beforeEach(() => {
  begun = 0;
  late = [];
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test('who has waited for the whole time is late, and learns what the store said last', () => {
  const full = fullStore();
  full.onRefused(refusal('first'));
  const last = refusal('last');
  full.onRefused(last);
  vi.advanceTimersByTime(TIMEOUT_MS - 1);
  expect(late).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(late.map(({ before }) => before)).toEqual([0]);
  const [{ error } = { error: undefined }] = late;
  expect(error).toMatchObject({ code: 'ERR_TIDEMARK_STORE_FULL', retryable: true, cause: last });
  expect(error?.message).toBe('the store has been full for 800 ms: last');
  vi.advanceTimersByTime(LOOK_MS);
  expect(late.map(({ before }) => before)).toEqual([0, LOOK_MS]);
  expect([begun, full.refusals, full.isFull]).toEqual([1, 2, true]);
  full.end();
});

test('a store that has room in between is waited for anew', () => {
  const full = fullStore();
  full.onRefused(refusal('once'));
  vi.advanceTimersByTime(TIMEOUT_MS - LOOK_MS);
  full.end();
  expect(full.isFull).toBe(false);
  full.onRefused(refusal('again'));
  vi.advanceTimersByTime(TIMEOUT_MS - 1);
  expect([late, begun]).toEqual([[], 2]);
  vi.advanceTimersByTime(1);
  expect(late).toHaveLength(1);
  full.end();
});

test('closing names some of the streams that are not durable', () => {
  const streams = Array.from({ length: 8 }, (_, n) => {
    const stream = new RoutedStream(`s${n}`, 0, n);
    stream.pushed = 3;
    stream.settled = n === 0 ? 3 : n % 3;
    return stream;
  });
  const cause = refusal('no room');
  expect(closedWhileFull(cause, streams)).toMatchObject({
    code: 'ERR_TIDEMARK_STORE_FULL',
    message: "closed with events that are not durable, of 's1', 's2', 's3', 's4', 's5' and 2 more: no room",
    cause,
  });
  expect(closedWhileFull(cause, []).message).toBe('closed before the frontiers were durable: no room');
});
