/** Which failures of a store that is opened are tried again, and for how long. */
import { expect, test } from 'vitest';
import { openPatiently } from '../../src/engine/store-opening.ts';
import { type StoreContents, TidemarkError } from '../../src/index.ts';
import { failure } from './support/engine.ts';

const CONTENTS: StoreContents = { generation: 1n, frontiers: new Map(), checkpoints: [], lost: [] };

function away(retryable = true): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_STORE_FAILED', 'nobody answers', { retryable });
}

/** Fails with each of `errors`, then opens. Every attempt takes `tookMs` of a clock that stands still otherwise. */
class Reluctant {
  attempts = 0;
  nowMs = 0;
  readonly #errors: readonly Error[];
  readonly #tookMs: number;

  constructor(errors: readonly Error[], tookMs = 0) {
    this.#errors = errors;
    this.#tookMs = tookMs;
  }

  open(timeoutMs: number): Promise<StoreContents> {
    const open = async (): Promise<StoreContents> => {
      this.nowMs += this.#tookMs;
      const error = this.#errors[this.attempts++];
      if (error !== undefined) throw error;
      return CONTENTS;
    };
    return openPatiently({ open }, timeoutMs, { clock: { now: () => this.nowMs, wallMs: () => 0 } });
  }
}

test('what is retryable is tried again until it succeeds', async () => {
  const store = new Reluctant([away(), away(), away()]);
  expect(await store.open(1_000)).toBe(CONTENTS);
  expect(store.attempts).toBe(4);
});

test.each([
  ['is not retryable', away(false)],
  ['is no error of ours', Object.assign(new Error('nobody answers'), { retryable: true })],
])('what %s is not tried again', async (_what, error) => {
  const store = new Reluctant([error]);
  await expect(store.open(1_000)).rejects.toBe(error);
  expect(store.attempts).toBe(1);
});

test('when there is no time for another attempt, the last one tells why', async () => {
  const errors = [away(), away(), away(), away()];
  const store = new Reluctant(errors, 400);
  await expect(store.open(1_000)).rejects.toBe(errors[2]);
  expect(store.attempts).toBe(3);
});

test('an attempt that does not answer ends with the time of all', async () => {
  let attempts = 0;
  const refusal = away();
  const open = (): Promise<StoreContents> =>
    ++attempts === 1 ? Promise.reject(refusal) : new Promise(() => undefined);
  expect(await failure(openPatiently({ open }, 30))).toMatchObject({
    code: 'ERR_TIDEMARK_STORE_FAILED',
    message: expect.stringContaining('within 30 ms'),
    cause: refusal,
  });
  expect(attempts).toBe(2);
});
