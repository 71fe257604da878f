/** What goes to the edge of a limit, or comes at an awkward moment. */
import { describe, expect, test } from 'vitest';
import { failure, failureCode, newDirectory, OPERATORS, openEngine } from './support/engine.ts';

describe('an operator that does not return', () => {
  test('fails the engine, and everything that waits for its shard', async () => {
    const operators = new URL('./operators/endless.ts', import.meta.url);
    const directory = await newDirectory();
    const engine = await openEngine({
      operators,
      directory,
      shards: 1,
      operatorTimeoutMs: 200,
      onPoison: 'fail',
    });
    await engine.push({ stream: 'well', payload: 'go' }, { until: 'durable' });
    const pushed = failure(engine.push({ stream: 'stuck', payload: 'stay' }, { until: 'durable' }));
    const checkpointed = failureCode(engine.checkpoint());
    const error = await pushed;
    expect(error.code).toBe('ERR_TIDEMARK_OPERATOR');
    expect(error.message).toMatch(/'stuck' has not returned for 200 ms/);
    expect(await checkpointed).toBe('ERR_TIDEMARK_OPERATOR');
    expect(await failureCode(engine.close())).toBe('ERR_TIDEMARK_OPERATOR');
    const again = await openEngine({ operators, directory, shards: 1 });
    expect((await again.latest('well'))?.eventCount).toBe(1n);
  });
});

describe('states that fill the memory', () => {
  test('are restored where they ran, though frames and images of all do not fit at once', async () => {
    const directory = await newDirectory();
    const options = {
      operators: OPERATORS.sized,
      shards: 1,
      directory,
      memory: { bytes: 2 ** 22, ringBytes: 2 ** 12 },
    } as const;
    const streams = Array.from({ length: 30 }, (_, n) => `100000-${n}`);
    const engine = await openEngine(options);
    for (const stream of streams) await engine.push({ stream, payload: 'a' });
    await engine.checkpoint();
    await engine.close();
    const again = await openEngine(options);
    expect(again.receipt.streams).toHaveLength(streams.length);
    for (const stream of streams) {
      const bytes = (await again.latest(stream))?.operatorStates.get('sized');
      expect(bytes?.every((byte) => byte === 'a'.charCodeAt(0))).toBe(true);
      await again.push({ stream, payload: 'b' });
    }
    await again.checkpoint();
    expect((await again.latest('100000-29'))?.eventCount).toBe(2n);
  });
});

describe('a push', () => {
  test.each([2 ** 31 - 40, 2 ** 31 + 10, 2 ** 32, 2 ** 32 + 8])(
    'of %d bytes is refused for its size, and the engine goes on',
    async (length) => {
      const engine = await openEngine();
      const payload = new Uint8Array(new ArrayBuffer(length));
      expect(await failureCode(engine.push({ stream: 's', payload }))).toBe('ERR_TIDEMARK_PAYLOAD_TOO_LARGE');
      await engine.push({ stream: 's', payload: 'x' });
      await engine.checkpoint();
      expect((await engine.latest('s'))?.eventCount).toBe(1n);
    },
  );

  test.each([['durable'], [{ untill: 'durable' }], [{ until: 'stored' }]])(
    'with the options %j is refused rather than accepted with less than was meant',
    async (options) => {
      const engine = await openEngine({ directory: await newDirectory() });
      // Plain JavaScript may pass anything.
      const push = engine.push({ stream: 's', payload: 'x' }, options as { until: 'durable' });
      expect(await failureCode(push)).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
    },
  );

  test('from a listener of pressure comes behind the event that met it', async () => {
    const engine = await openEngine({ shards: 1, memory: { bytes: 2 ** 22, ringBytes: 2 ** 12 } });
    let offset = 0;
    const pushed: Promise<void>[] = [];
    const push = (): void => {
      pushed.push(engine.push({ stream: 's', payload: 'x'.repeat(900), source: 'a', offset: offset++ }));
    };
    engine.on('pressure', push);
    for (let i = 0; i < 50; i++) push();
    await Promise.all(pushed);
    await engine.checkpoint();
    const { applied, dropped } = engine.metrics().events;
    expect({ applied, dropped }).toEqual({ applied: offset, dropped: 0 });
    expect(offset).toBeGreaterThan(50);
  });
});
