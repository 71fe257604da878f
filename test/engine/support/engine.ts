/** Engines and directories that go away with the test which made them. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { CheckpointEngine, type EngineOptions, type ErrorCode, TidemarkError } from '../../../src/index.ts';
import { type Model, readable } from './model.ts';
import { OPERATORS } from './operators.ts';

export { OPERATORS };

/** Small enough that a test may have several, and no trigger of its own: checkpoints are what the test asks for. */
const SMALL = {
  operators: OPERATORS.tally,
  shards: 2,
  checkpoint: { everyEvents: 1_000_000 },
  memory: { bytes: 2 ** 25, ringBytes: 2 ** 16 },
} as const satisfies EngineOptions;

export async function openEngine(options: Partial<EngineOptions> = {}): Promise<CheckpointEngine> {
  const engine = await CheckpointEngine.open({ ...SMALL, ...options });
  // A test that closes its engine, or makes it fail, has looked at the outcome itself.
  onTestFinished(async () => {
    await engine.close().catch(() => undefined);
  });
  return engine;
}

/** Rejects as opening does; an engine that opened after all is closed. */
export async function openFailure(options: Partial<EngineOptions>): Promise<TidemarkError> {
  return failure(openEngine(options));
}

/** A directory that does not exist yet. */
export async function newDirectory(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'tidemark-engine-'));
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }));
  return join(parent, 'checkpoints');
}

/** What `promise` rejects with, which must be ours. */
export async function failure(promise: Promise<unknown>): Promise<TidemarkError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!('error' in outcome)) throw new Error('it was expected to be rejected, and resolved');
  expect(outcome.error).toBeInstanceOf(TidemarkError);
  return outcome.error as TidemarkError;
}

export async function failureCode(promise: Promise<unknown>): Promise<ErrorCode> {
  return (await failure(promise)).code;
}

/** The code of what `call` throws at once. */
export function thrownCode(call: () => unknown): ErrorCode {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(TidemarkError);
    return (error as TidemarkError).code;
  }
  throw new Error('it was expected to throw');
}

/** The newest checkpoint of every stream is what the model says, byte for byte. */
export async function expectStates(engine: CheckpointEngine, model: Model): Promise<void> {
  expect([...engine.streams()].sort()).toEqual(model.streams);
  for (const stream of model.streams)
    expect(readable(await engine.latest(stream))).toEqual(readable(model.state(stream)));
}

type Heard = { readonly name: string; readonly [field: string]: unknown };

/** All events of `engine` that are named, in the order in which it emits them. */
export function listen(
  engine: CheckpointEngine,
  ...names: readonly ('checkpoint' | 'durable' | 'frontier' | 'pressure' | 'restart')[]
): Heard[] {
  const heard: Heard[] = [];
  for (const name of names) engine.on(name, (event: object) => heard.push({ name, ...event }));
  return heard;
}
