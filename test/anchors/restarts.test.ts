/**
 * Bugs that other systems had with starting again: what was believed that should not have been, and what kept a
 * restart from happening. Each test has the name of one and shows from outside that it is not one here.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RunSummary } from '../../src/cli/summary.ts';
import {
  CheckpointId,
  CheckpointState,
  encodeFrame,
  type RestorableCheckpoint,
  TidemarkError,
} from '../../src/index.ts';
import { expectStates, failureCode, newDirectory, OPERATORS, openEngine } from '../engine/support/engine.ts';
import { LatchedStore } from '../engine/support/latched-store.ts';
import { parseLines, runCommand } from '../support/command.ts';
import { at, expectExactAfterReplay, modelOf } from './support/events.ts';
import { liveAndDie } from './support/lives.ts';

test('a leftover checkpoint is not trusted after an unclean crash', async () => {
  const directory = await newDirectory();
  const events = Array.from({ length: 12 }, (_, n) => at(`s${n % 3}`, n));
  // A clean end leaves a note of how the log ended, which opening relies on.
  const first = await openEngine({ directory });
  await first.push(events.slice(0, 4));
  await first.close();
  // The next life ends without one, and with events that no checkpoint has.
  await liveAndDie(directory, [
    { push: events.slice(4, 8) },
    { checkpoint: null },
    { push: events.slice(8, 10) },
  ]);
  const third = await openEngine({ directory });
  expect(third.position('src')).toBe(8n);
  await expectStates(third, modelOf(events.slice(0, 8)));
  await expectExactAfterReplay(third, events);
});

test('a transient store error at restore is retried', async () => {
  const first = new LatchedStore();
  const before = await openEngine({ store: first });
  const events = [at('a', 0), at('b', 1), at('a', 2)];
  await before.push(events.slice(0, 2));
  await before.close();
  const store = new LatchedStore(first.shelf);
  const { open } = store;
  let attempts = 0;
  store.open = async () => {
    if (++attempts < 3)
      throw new TidemarkError('ERR_TIDEMARK_STORE_FAILED', 'try again later', { retryable: true });
    return open.call(store);
  };
  const engine = await openEngine({ store });
  expect([attempts, engine.generation, engine.position('src')]).toEqual([3, 2n, 2n]);
  await expectExactAfterReplay(engine, events);
});

test('a failed final checkpoint does not block the restart', async () => {
  const directory = await newDirectory();
  const engine = await openEngine({ directory, operators: OPERATORS.faulty });
  await engine.push(at('a', 0), { until: 'durable' });
  // Nothing takes a checkpoint of it but the end, and its operator cannot give its state.
  await engine.push(at('snapshot throws', 1));
  expect(await failureCode(engine.close())).toBe('ERR_TIDEMARK_OPERATOR');
  // Mended, and at once: the directory is free, and holds what was durable.
  const next = await openEngine({ directory, operators: OPERATORS.counted });
  expect(next.receipt.streams).toMatchObject([{ stream: 'a', sequence: 1n, fellBack: 0 }]);
  expect(next.position('src')).toBe(1n);
  await next.push(at('snapshot throws', 1));
  await next.close();
});

test("a checkpoint older than the source's retention stops the run and spoils nothing", async () => {
  const directory = await newDirectory();
  const run = (into: string, env: Record<string, string>) =>
    runCommand(['run', 'test/cli/jobs/retention-job.ts', '--directory', into, '--json'], env);
  expect(await run(directory, { LATEST: '10' })).toMatchObject({ code: 0 });
  const refused = await run(directory, { EARLIEST: '20', LATEST: '30' });
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('ERR_TIDEMARK_SOURCE_EXPIRED');
  // Once what was missing is found in an archive, it is read on as if nothing had happened.
  const [mended, whole] = [
    await run(directory, { LATEST: '30' }),
    await run(join(directory, '..', 'whole'), { LATEST: '30' }),
  ].map(({ stdout }) => parseLines<RunSummary>(stdout)[0]);
  expect(mended).toMatchObject({ events: 30, resumedFrom: '10', skipped: null });
  expect(mended?.stateDigest).toBe(whole?.stateDigest);
});

test('restore memory is bounded', async () => {
  const streams = Array.from({ length: 20_000 }, (_, n) => `s${n}`);
  const store = new LatchedStore();
  const { open } = store;
  let asked = 0;
  let underWay = 0;
  let mostUnderWay = 0;
  const waiting: (() => void)[] = [];
  // A store that has to fetch each of its checkpoints, and would have all of them in memory if it were asked to.
  function* checkpoints(): Generator<RestorableCheckpoint> {
    for (const stream of streams) {
      asked++;
      const frame = encodeFrame(new CheckpointState(new CheckpointId(stream, 1n)), { generation: 1n });
      const copyTo = async (target: Uint8Array): Promise<void> => {
        mostUnderWay = Math.max(mostUnderWay, ++underWay);
        await new Promise<void>((resolve) => waiting.push(resolve));
        target.set(frame);
        underWay--;
      };
      yield { stream, sequence: 1n, generation: 1n, byteLength: frame.length, fellBack: 0, copyTo };
    }
  }
  store.open = async () => ({ ...(await open.call(store)), checkpoints: checkpoints() });
  let isOpen = false;
  const opening = openEngine({ store }).finally(() => {
    isOpen = true;
  });
  while (!isOpen) {
    await new Promise((resolve) => setImmediate(resolve));
    for (const settle of waiting.splice(0)) settle();
  }
  const engine = await opening;
  expect(engine.receipt.streams.length).toBe(streams.length);
  expect([asked, underWay]).toEqual([streams.length, 0]);
  expect(mostUnderWay).toBeGreaterThan(1);
  expect(mostUnderWay).toBeLessThanOrEqual(2 * 4_096);
});
