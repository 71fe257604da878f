/** Operators that fail while the engine runs: who learns of it and how, and what is still there afterwards. */
import { describe, expect, test } from 'vitest';
import type { CheckpointEngine, EngineOptions, ErrorCode } from '../../src/index.ts';
import { failure, failureCode, newDirectory, OPERATORS, openEngine, thrownCode } from './support/engine.ts';
import { Gate } from './support/gate.ts';
import { startProgram } from './support/program.ts';

const FAULTS: readonly [payload: string, code: ErrorCode, cause: RegExp][] = [
  ['throw', 'ERR_TIDEMARK_OPERATOR', /^broken on purpose$/],
  ['throw nothing', 'ERR_TIDEMARK_OPERATOR', /^operator 'count' threw at sequence 2/],
  ['promise', 'ERR_TIDEMARK_ASYNC_OPERATOR', /returned a promise/],
  ['thenable', 'ERR_TIDEMARK_ASYNC_OPERATOR', /returned a promise/],
  ['exit', 'ERR_TIDEMARK_SHARD_EXITED', /exit/],
  ['throw late', 'ERR_TIDEMARK_SHARD_EXITED', /^broken later on purpose$/],
  ['reject late', 'ERR_TIDEMARK_SHARD_EXITED', /^rejected later on purpose$/],
];

const STREAM_FAULTS: readonly [stream: string, code: ErrorCode, message: RegExp][] = [
  ['factory throws', 'ERR_TIDEMARK_OPERATOR', /threw for stream 'factory throws'/],
  ['factory returns nothing', 'ERR_TIDEMARK_OPERATOR', /returned no array/],
  ['no operator', 'ERR_TIDEMARK_OPERATOR', /not an object/],
  ['twins', 'ERR_TIDEMARK_OPERATOR', /two operators named 'count'/],
  ['no version', 'ERR_TIDEMARK_OPERATOR', /version/],
  ['no such kind', 'ERR_TIDEMARK_OPERATOR', /'slot' or 'heap'/],
  ['no process', 'ERR_TIDEMARK_OPERATOR', /lacks process\(\)/],
  ['beyond checking', 'ERR_TIDEMARK_SHARD_EXITED', /shard \d ended unexpectedly: broken on purpose/],
  ['create throws', 'ERR_TIDEMARK_OPERATOR', /create\(\) of operator 'heap'/],
  ['create returns a promise', 'ERR_TIDEMARK_ASYNC_OPERATOR', /returned a promise/],
  ['snapshot throws', 'ERR_TIDEMARK_OPERATOR', /snapshot\(\) of operator 'heap'/],
  ['snapshot returns text', 'ERR_TIDEMARK_OPERATOR', /returned no Uint8Array/],
];

/** Resolves with the first error that the engine reports; `errors` goes on counting. */
function errorsOf(engine: CheckpointEngine): { readonly errors: Error[]; readonly first: Promise<Error> } {
  const errors: Error[] = [];
  const first = new Promise<Error>((resolve) => {
    engine.on('error', (error) => {
      errors.push(error);
      resolve(error);
    });
  });
  return { errors, first };
}

async function openFaulty(directory: string, more: Partial<EngineOptions> = {}): Promise<CheckpointEngine> {
  // What ends the thread is not tried again.
  return openEngine({ directory, operators: OPERATORS.faulty, onPoison: 'fail', maxAttempts: 1, ...more });
}

describe.each(FAULTS)('an operator that obeys %j', (payload, code, cause) => {
  test(`fails everything pending with ${code}, and what was durable is there on reopening`, async () => {
    const directory = await newDirectory();
    const engine = await openFaulty(directory);
    const { errors, first } = errorsOf(engine);
    await engine.push({ stream: 'a', payload: 'fine', source: 's', offset: 0 }, { until: 'durable' });
    await engine.push({ stream: 'a', payload, source: 's', offset: 1 });
    const error = await first;
    expect(error).toMatchObject({ code });
    expect(error.cause instanceof Error ? error.cause.message : error.message).toMatch(cause);
    for (const refused of [
      engine.push({ stream: 'b', payload: '' }),
      engine.checkpoint(),
      engine.checkpoint('a'),
    ])
      expect(await failureCode(refused)).toBe(code);
    expect(await failureCode(engine.latest('a'))).toBe(code);
    expect(thrownCode(() => engine.tryPush({ stream: 'b', payload: '' }))).toBe(code);
    expect(await failureCode(engine.close())).toBe(code);
    expect(await failureCode(engine.close())).toBe(code);
    expect(errors).toEqual([error]);
    const again = await openFaulty(directory);
    expect(again.position('s')).toBe(1n);
    expect((await again.latest('a'))?.eventCount).toBe(1n);
  });

  test('leaves nothing that keeps the process, whether anybody listens or not', async () => {
    const options = {
      operators: OPERATORS.faulty.href,
      directory: await newDirectory(),
      shards: 2,
      onPoison: 'fail',
      maxAttempts: 1,
    };
    const { end } = startProgram(new URL('./programs/fault.ts', import.meta.url), { options, payload });
    expect(await end).toMatchObject({ code: 0, signal: null, reports: [{ code }], stderr: '' });
  });
});

// On a busy machine V8 now and then finds the last collections of the thread ineffective and aborts the process
// before Node.js can end the thread; nothing that an engine does can prevent it.
test('an operator that exhausts the heap of its thread ends the engine, not the process', {
  retry: 3,
}, async () => {
  const directory = await newDirectory();
  const options = {
    operators: OPERATORS.faulty.href,
    directory,
    shards: 2,
    onPoison: 'fail',
    maxAttempts: 1,
  };
  const url = new URL('./programs/fault.ts', import.meta.url);
  const argument = { options, payload: 'exhaust the heap' };
  const { end } = startProgram(url, argument, undefined, ['--max-old-space-size=64']);
  const code = 'ERR_TIDEMARK_SHARD_EXITED';
  expect(await end).toMatchObject({ code: 0, signal: null, reports: [{ code }] });
  expect((await (await openFaulty(directory)).latest('a'))?.eventCount).toBe(1n);
});

describe('operators that a stream cannot have', () => {
  test.each(STREAM_FAULTS)('%s: %s', async (stream, code, message) => {
    const engine = await openEngine({ operators: OPERATORS.faulty });
    const { first } = errorsOf(engine);
    await engine.push({ stream, payload: 'fine' });
    const checkpoint = engine.checkpoint();
    expect(await first).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await failureCode(checkpoint)).toBe(code);
  });
});

describe('what is pending when an engine fails', () => {
  test('is rejected with how many of its events were accepted', async () => {
    const gate = Gate.make();
    const engine = await openEngine({
      operators: OPERATORS.gated,
      onPoison: 'fail',
      directory: await newDirectory(),
      shards: 1,
      memory: { bytes: 2 ** 24, ringBytes: 2 ** 12 },
    });
    await engine.push({ stream: 'a', payload: 'wait and throw' });
    await gate.reached();
    const event = { stream: 'a', payload: 'x'.repeat(200) };
    const durable = engine.push([event, event], { until: 'durable' });
    const batch = engine.push(Array.from({ length: 100 }, () => event));
    const single = engine.push(event);
    const untilDurable = engine.push([event, event, event], { until: 'durable' });
    const checkpoints = [engine.checkpoint(), engine.checkpoint('a')];
    const closed = engine.close();
    gate.open();
    const accepted = (await failure(batch)).accepted ?? -1;
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(100);
    expect(engine.metrics().events.accepted).toBe(3 + accepted);
    expect(await failure(durable)).toMatchObject({ code: 'ERR_TIDEMARK_OPERATOR', accepted: 2 });
    expect(await failure(single)).toMatchObject({ code: 'ERR_TIDEMARK_OPERATOR', accepted: 0 });
    expect(await failure(untilDurable)).toMatchObject({ code: 'ERR_TIDEMARK_OPERATOR', accepted: 0 });
    for (const pending of [...checkpoints, closed])
      expect(await failureCode(pending)).toBe('ERR_TIDEMARK_OPERATOR');
  });

  test('learns in its error which operator, stream, sequence and offset it was', async () => {
    const engine = await openEngine({ operators: OPERATORS.faulty, onPoison: 'fail' });
    await engine.push({ stream: 'a', payload: 'throw', sequence: 41n, source: 'src', offset: 7 });
    const error = await failure(engine.checkpoint());
    expect(error.message).toBe("operator 'count' threw at sequence 41 of stream 'a', offset 7 of 'src'");
    expect(error.retryable).toBe(false);
    expect(error.cause).toMatchObject({
      message: 'broken on purpose',
      stack: expect.stringContaining('faulty.ts'),
    });
  });

  test('includes a close, which still frees the directory', async () => {
    const directory = await newDirectory();
    const engine = await openFaulty(directory);
    await engine.push({ stream: 'a', payload: 'fine' }, { until: 'durable' });
    await engine.push({ stream: 'a', payload: 'throw' });
    expect(await failureCode(engine.close())).toBe('ERR_TIDEMARK_OPERATOR');
    const again = await openFaulty(directory);
    expect((await again.latest('a'))?.eventCount).toBe(1n);
  });

  test('includes a pipeline', async () => {
    const engine = await openEngine({ operators: OPERATORS.faulty, onPoison: 'fail' });
    const writable = engine.writable();
    const destroyed = new Promise<Error>((resolve) => writable.once('error', resolve));
    const { first } = errorsOf(engine);
    writable.write({ stream: 'a', payload: 'throw' });
    await first;
    writable.write({ stream: 'a', payload: 'fine' });
    expect(await destroyed).toMatchObject({ code: 'ERR_TIDEMARK_OPERATOR' });
  });
});

test('a listener that throws does not stop the engine', async () => {
  const engine = await openEngine({ directory: await newDirectory() });
  const thrown: unknown[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  const caught = new Promise<void>((resolve) => {
    process.once('uncaughtException', (error) => {
      thrown.push(error);
      resolve();
    });
  });
  engine.once('durable', () => {
    throw new Error('from a listener');
  });
  await engine.push({ stream: 'a', payload: 'x', source: 's', offset: 0 });
  await engine.checkpoint();
  await caught;
  for (const listener of others) process.on('uncaughtException', listener);
  expect(thrown).toEqual([new Error('from a listener')]);
  await engine.push({ stream: 'a', payload: 'x', source: 's', offset: 1 }, { until: 'durable' });
  expect((await engine.latest('a'))?.eventCount).toBe(2n);
});
