/** More checkpoints than fit into memory, and states that do not fit at all. */
import { describe, expect, test } from 'vitest';
import type { CheckpointEngine, EngineOptions } from '../../src/index.ts';
import {
  failure,
  failureCode,
  listen,
  newDirectory,
  OPERATORS,
  openEngine,
  openFailure,
} from './support/engine.ts';

const SLOT_BYTES = 40_000;
const STREAMS = Array.from({ length: 10 }, (_, n) => `${SLOT_BYTES}-${n}`);
/** Room for the images of all streams and a few checkpoints. */
const TIGHT = {
  operators: OPERATORS.sized,
  shards: 1,
  checkpoint: { everyEvents: 1 },
  memory: { bytes: 2 ** 20, ringBytes: 2 ** 12 },
} as const satisfies Partial<EngineOptions>;

async function expectFilledWith(engine: CheckpointEngine, stream: string, letter: string): Promise<void> {
  const bytes = (await engine.latest(stream))?.operatorStates.get('sized');
  expect(bytes?.length).toBe(SLOT_BYTES);
  expect(bytes?.every((byte) => byte === letter.charCodeAt(0))).toBe(true);
}

describe('more checkpoints than fit', () => {
  test('leave memory once they are durable, and latest reads them from the disk', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ ...TIGHT, directory });
    const heard = listen(engine, 'pressure');
    for (let round = 0; round < 30; round++) {
      const payload = String.fromCharCode(97 + (round % 26));
      for (const stream of STREAMS) await engine.push({ stream, payload });
    }
    await engine.checkpoint();
    const { memory, checkpoints } = engine.metrics();
    expect(checkpoints.stored).toBe(300);
    expect(memory.heapUsedBytes).toBeLessThanOrEqual(memory.heapBytes);
    expect(memory.frames).toBeLessThan(STREAMS.length * 3);
    expect(heard.some(({ what }) => what === 'memory')).toBe(true);
    for (const stream of STREAMS) await expectFilledWith(engine, stream, 'd');
    await engine.close();
    const again = await openEngine({ ...TIGHT, directory, memory: { bytes: 2 ** 22, ringBytes: 2 ** 12 } });
    for (const stream of STREAMS) {
      await expectFilledWith(again, stream, 'd');
      expect((await again.latest(stream))?.eventCount).toBe(30n);
    }
  });

  test('leave memory without a store too, but the newest of every stream stays', async () => {
    const engine = await openEngine({ ...TIGHT, memory: { bytes: 3 * 2 ** 19, ringBytes: 2 ** 12 } });
    for (let round = 0; round < 30; round++) {
      const payload = String.fromCharCode(97 + (round % 26));
      for (const stream of STREAMS) await engine.push({ stream, payload });
    }
    await engine.checkpoint();
    expect(engine.metrics().checkpoints.stored).toBe(300);
    for (const stream of STREAMS) await expectFilledWith(engine, stream, 'd');
  });

  test('of a stream are kept as many as asked for while there is room', async () => {
    const engine = await openEngine({ checkpoint: { everyEvents: 1 }, retain: { perStream: 5 } });
    for (let n = 0; n < 20; n++) await engine.push({ stream: 'a', payload: 'x' });
    await engine.checkpoint();
    expect(engine.metrics().memory.frames).toBe(5);
  });
});

describe('states that do not fit', () => {
  test('fail the engine with what to do, and what was durable is there on reopening', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ ...TIGHT, directory });
    await engine.push({ stream: STREAMS[0]!, payload: 'k' }, { until: 'durable' });
    await engine.push({ stream: `${2 ** 20}-huge`, payload: 'x' });
    const error = await failure(engine.checkpoint());
    expect(error.code).toBe('ERR_TIDEMARK_MEMORY_FULL');
    expect(error.message).toMatch(/'1048576-huge'.*raise memory\.bytes/);
    expect(await failureCode(engine.close())).toBe('ERR_TIDEMARK_MEMORY_FULL');
    const again = await openEngine({ ...TIGHT, directory });
    await expectFilledWith(again, STREAMS[0]!, 'k');
  });

  test('because there are too many, fail the engine at the one too many', async () => {
    const directory = await newDirectory();
    const engine = await openEngine({ ...TIGHT, directory });
    const pushed = (async () => {
      for (let n = 0; n < 100; n++) {
        await engine.push({ stream: `${SLOT_BYTES}-${n}`, payload: 'm' }, { until: 'durable' });
      }
    })();
    expect(await failureCode(pushed)).toBe('ERR_TIDEMARK_MEMORY_FULL');
    const durable = engine.metrics().checkpoints.durable;
    expect(durable).toBeGreaterThan(10);
    expect(await failureCode(engine.close())).toBe('ERR_TIDEMARK_MEMORY_FULL');
    const roomy = { ...TIGHT, directory, memory: { bytes: 2 ** 24, ringBytes: 2 ** 12 } };
    const again = await openEngine(roomy);
    expect(again.receipt.streams.length).toBe(durable);
    for (const { stream } of again.receipt.streams) await expectFilledWith(again, stream, 'm');
    await again.close();
    expect((await openFailure({ ...TIGHT, directory })).code).toBe('ERR_TIDEMARK_MEMORY_FULL');
  });

  test('because nothing superseded is left, fail an engine without a store', async () => {
    const engine = await openEngine(TIGHT);
    const pushed = (async () => {
      for (let n = 0; n < 100; n++) {
        await engine.push({ stream: `${SLOT_BYTES}-${n}`, payload: 'm' });
        await engine.checkpoint();
      }
    })();
    expect(await failureCode(pushed)).toBe('ERR_TIDEMARK_MEMORY_FULL');
  });
});
