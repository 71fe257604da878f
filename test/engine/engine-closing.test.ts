/** Closing ends in a defined state, whatever holds it up: all is durable, or the error lists what is not. */
import { describe, expect, test } from 'vitest';
import { failure, failureCode, newDirectory, openEngine, thrownCode } from './support/engine.ts';
import { LatchedStore } from './support/latched-store.ts';
import { OPERATORS } from './support/operators.ts';

const ENDLESS = new URL('./operators/endless.ts', import.meta.url);
/** Far more than closing takes when nothing holds it up; nothing waits for it then. */
const AMPLE_MS = 60_000;

describe('with a deadline', () => {
  test('all is durable when nothing holds it up', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ directory });
    await engine.push({ stream: 'a', payload: 'x' });
    await engine.close({ deadlineMs: AMPLE_MS });
    const again = await openEngine({ directory });
    expect((await again.latest('a'))?.eventCount).toBe(1n);
  });

  test('a commit that does not settle is given up, and what is not durable is listed', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    await engine.push({ stream: 'a', payload: 'x' }, { until: 'durable' });
    await engine.push({ stream: 'durable', payload: 'x' }, { until: 'durable' });
    store.isHolding = true;
    for (let i = 0; i < 3; i++) await engine.push({ stream: 'a', payload: 'x' });
    await engine.push({ stream: 'b', payload: 'x' });
    const closed = engine.close({ deadlineMs: 50 });
    await store.held();
    const error = await failure(closed);
    expect(error.code).toBe('ERR_TIDEMARK_NOT_DURABLE');
    expect(error.notDurable).toEqual([
      { stream: 'a', events: 3 },
      { stream: 'b', events: 1 },
    ]);
    expect(error.message).toMatch(/'a', 'b'/);
  });

  test('an operator that does not return is ended, and the directory is free', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ directory, operators: ENDLESS });
    await engine.push({ stream: 'a', payload: 'x' }, { until: 'durable' });
    await engine.push({ stream: 'a', payload: 'stay' });
    const error = await failure(engine.close({ deadlineMs: 50 }));
    expect(error.notDurable).toEqual([{ stream: 'a', events: 1 }]);
    const again = await openEngine({ directory, operators: ENDLESS });
    expect((await again.latest('a'))?.eventCount).toBe(1n);
  });

  test('a store that does not close is left', async () => {
    const store = new LatchedStore();
    store.close = () => new Promise(() => undefined);
    const engine = await openEngine({ store, storeTimeoutMs: 50 });
    await engine.push({ stream: 'a', payload: 'x' });
    expect(await failureCode(engine.close())).toBe('ERR_TIDEMARK_STORE_FAILED');
  });

  test.each([{ deadlineMs: -1 }, { deadlineMs: 1.5 }, { deadline: 1 }, null])(
    '%j is refused',
    async (options) => {
      const engine = await openEngine();
      expect(await failureCode(engine.close(options as object))).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
      // Nothing is closed by it.
      await engine.push({ stream: 'a', payload: 'x' });
    },
  );
});

describe('a second close', () => {
  test('comes to what the first one does, and may bring a deadline', async () => {
    const store = new LatchedStore();
    const engine = await openEngine({ store });
    store.isHolding = true;
    await engine.push({ stream: 'a', payload: 'x' });
    const first = engine.close();
    const second = engine.close({ deadlineMs: 50 });
    expect(second).toBe(first);
    expect(await failureCode(first)).toBe('ERR_TIDEMARK_NOT_DURABLE');
  });

  test('after the first one ended changes nothing', async () => {
    const engine = await openEngine({ operators: OPERATORS.tally });
    await engine.close();
    await engine.close({ deadlineMs: 0 });
    expect(await failureCode(engine.push({ stream: 'a', payload: 'x' }))).toBe('ERR_TIDEMARK_CLOSED');
    expect(thrownCode(() => engine.tryPush({ stream: 'a', payload: 'x' }))).toBe('ERR_TIDEMARK_CLOSED');
  });
});
