/** Opening that is aborted: what was begun is released, and the reason is what the caller gave. */
import { getEventListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CheckpointEngine, type EngineOptions, TidemarkError } from '../../src/index.ts';
import { newDirectory, OPERATORS, openEngine } from './support/engine.ts';
import { LatchedStore } from './support/latched-store.ts';
import { startProgram } from './support/program.ts';

const REASON = new Error('not wanted any more');

class OpeningStore extends LatchedStore {
  attempts = 0;
  closes = 0;
  onOpen: () => void = () => undefined;
  answer: () => ReturnType<LatchedStore['open']> = () => super.open();

  override open(): ReturnType<LatchedStore['open']> {
    this.attempts++;
    this.onOpen();
    return this.answer();
  }

  override close(): Promise<void> {
    this.closes++;
    return super.close();
  }
}

/** What opening rejects with. */
async function aborted(options: Partial<EngineOptions>, controller: AbortController): Promise<unknown> {
  const signal = controller.signal;
  const outcome = await CheckpointEngine.open({
    operators: OPERATORS.tally,
    shards: 1,
    ...options,
    signal,
  }).then(
    async (engine) => {
      await engine.close();
      return 'opened';
    },
    (error: unknown) => error,
  );
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  return outcome;
}

test('begins nothing if it was aborted before', async () => {
  const directory = await newDirectory();
  const controller = new AbortController();
  controller.abort(REASON);
  expect(await aborted({ directory }, controller)).toBe(REASON);
  expect(existsSync(directory)).toBe(false);
});

test('closes a store that does not answer', async () => {
  const controller = new AbortController();
  const store = new OpeningStore();
  store.answer = () => new Promise(() => undefined);
  store.onOpen = () => controller.abort(REASON);
  expect(await aborted({ store }, controller)).toBe(REASON);
  expect(store.closes).toBe(1);
});

test('does not try a store again that is out of reach', async () => {
  const controller = new AbortController();
  const store = new OpeningStore();
  store.answer = () =>
    Promise.reject(new TidemarkError('ERR_TIDEMARK_STORE_FAILED', 'nobody answers', { retryable: true }));
  store.onOpen = () => {
    if (store.attempts === 3) controller.abort();
  };
  expect(await aborted({ store }, controller)).toMatchObject({ name: 'AbortError' });
  expect([store.attempts, store.closes]).toEqual([3, 1]);
});

test('ends threads that do not finish loading', async () => {
  const controller = new AbortController();
  const store = new OpeningStore();
  // Behind this turn shards are started, which never are ready.
  store.onOpen = () => setImmediate(() => setImmediate(() => controller.abort(REASON)));
  expect(await aborted({ store, operators: OPERATORS.neverLoads }, controller)).toBe(REASON);
  expect(store.closes).toBe(1);
});

test('frees the directory, which can be opened then', async () => {
  const directory = await newDirectory();
  const controller = new AbortController();
  const opening = aborted({ directory, operators: OPERATORS.neverLoads }, controller);
  setImmediate(() => controller.abort(REASON));
  expect(await opening).toBe(REASON);
  const engine = await openEngine({ directory });
  await engine.push({ stream: 'a', payload: 'x' }, { until: 'durable' });
});

test('lets the process end by itself', async () => {
  const options = { operators: OPERATORS.neverLoads.href, directory: await newDirectory(), shards: 2 };
  const { end } = startProgram(new URL('./programs/abort.ts', import.meta.url), { options });
  expect(await end).toMatchObject({ code: 0, signal: null, reports: [{ name: 'AbortError' }], stderr: '' });
});

test('comes too late for an engine that is open', async () => {
  const controller = new AbortController();
  const engine = await openEngine({ signal: controller.signal });
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  controller.abort(REASON);
  await engine.push({ stream: 'a', payload: 'x' });
  await engine.checkpoint();
});
