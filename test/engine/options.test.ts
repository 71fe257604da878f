/** Options of `CheckpointEngine.open`: defaults, and an error that names what is wrong. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  DISK_BYTES_MIN,
  type EngineOptions,
  MEMORY_BYTES_MAX,
  RING_BYTES_MIN,
  resolveOptions,
  SHARDS_MAX,
} from '../../src/engine/options.ts';
import { TidemarkError } from '../../src/error.ts';
import type { CheckpointStore } from '../../src/store/contract.ts';

const os = vi.hoisted(() => ({ cores: 5 }));
vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  availableParallelism: () => os.cores,
}));

const operators = new URL('./operators.ts', import.meta.url);
const METHODS = ['open', 'commit', 'read', 'list', 'streams', 'deleteBefore', 'forget', 'close'];
const store = Object.fromEntries(
  METHODS.map((method) => [method, () => undefined]),
) as unknown as CheckpointStore;

afterEach(() => {
  os.cores = 5;
});

function resolve(options: Readonly<Record<string, unknown>> = {}) {
  return resolveOptions({ operators, ...options } as EngineOptions);
}

function refusal(options: unknown): TidemarkError {
  try {
    resolveOptions(options as EngineOptions);
  } catch (error) {
    if (error instanceof TidemarkError) return error;
    throw error;
  }
  throw new Error('the options were accepted');
}

describe('defaults', () => {
  test('are those of the documents', () => {
    expect(resolve()).toEqual({
      operators: operators.href,
      directory: undefined,
      store: undefined,
      shards: 4,
      checkpoint: { everyEvents: 10_000, everyMs: 1_000 },
      perStream: 3,
      diskBytes: 2 ** 30,
      memoryBytes: 2 ** 29,
      ringBytes: 2 ** 23,
      onPoison: 'quarantine',
      onDeadLetter: undefined,
      quarantineBytes: 2 ** 26,
      allowUnclaimedState: false,
      maxStreams: 1_000_000,
      maxSources: 4_096,
      maxAttempts: 3,
      operatorTimeoutMs: 60_000,
      storeTimeoutMs: 120_000,
      startTimeoutMs: 120_000,
      storeFullTimeoutMs: 30_000,
      workersUrl: undefined,
      signal: undefined,
    });
  });

  test('take the place of what is given as undefined', () => {
    const names = Object.keys(resolve()).filter((name) => name !== 'operators');
    const known = names.filter(
      (name) => !['perStream', 'diskBytes', 'memoryBytes', 'ringBytes'].includes(name),
    );
    const options = Object.fromEntries(known.map((name) => [name, undefined]));
    expect(resolve({ ...options, memory: { bytes: undefined }, retain: {}, onPoison: undefined })).toEqual(
      resolve(),
    );
  });

  test.each([
    [1, 1],
    [2, 1],
    [64, 63],
    [1_024, SHARDS_MAX],
  ])('on %d cores are %d shards', (cores, shards) => {
    os.cores = cores;
    expect(resolve().shards).toBe(shards);
  });

  test('of the checkpoint policy hold only when no limit is given that makes one due', () => {
    expect(resolve({ checkpoint: {} }).checkpoint).toEqual({ everyEvents: 10_000, everyMs: 1_000 });
    expect(resolve({ checkpoint: { minPauseMs: 5 } }).checkpoint).toEqual({
      everyEvents: 10_000,
      everyMs: 1_000,
      minPauseMs: 5,
    });
    expect(resolve({ checkpoint: { idleMs: 7 } }).checkpoint).toEqual({ idleMs: 7 });
    // An objective that others keep mostly, and what changes others: a stream is not to wait for them for ever.
    expect(resolve({ checkpoint: { maxReplayEvents: 8, jitter: 0.5 } }).checkpoint).toEqual({
      everyEvents: 10_000,
      everyMs: 1_000,
      maxReplayEvents: 8,
      jitter: 0.5,
    });
    expect(resolve({ checkpoint: { idleMs: 7, jitter: 0 } }).checkpoint).toEqual({ idleMs: 7 });
    expect(resolve({ checkpoint: { everyEvents: 9n } }).checkpoint).toEqual({ everyEvents: 9 });
  });
});

describe('the operators module', () => {
  test('is a URL, a URL as text or an absolute path', () => {
    const path = join(import.meta.dirname, 'operators.ts');
    for (const given of [operators, operators.href, path]) {
      expect(resolve({ operators: given }).operators).toBe(pathToFileURL(path).href);
    }
    expect(resolve({ operators: 'data:text/javascript,0' }).operators).toBe('data:text/javascript,0');
  });

  test.each([undefined, null, '', './operators.ts', 'operators', 5, () => []])('is not %j', (given) => {
    const error = refusal({ operators: given });
    expect(error.code).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
    expect(error.message).toMatch(/^operators /);
  });
});

test('limits are accepted up to their bounds', () => {
  const bounds = {
    shards: SHARDS_MAX,
    memory: { bytes: MEMORY_BYTES_MAX, ringBytes: RING_BYTES_MIN },
    retain: { perStream: 1, diskBytes: DISK_BYTES_MIN },
    checkpoint: {
      everyEvents: 1,
      everyMs: 1,
      everyBytes: 1,
      idleMs: 0,
      minPauseMs: 0,
      maxReplayEvents: 1,
      jitter: 1,
    },
    maxStreams: 1,
    maxSources: 1,
    operatorTimeoutMs: 2,
    storeTimeoutMs: 3,
    startTimeoutMs: 1,
    onPoison: 'fail',
    store,
    workersUrl: operators,
  };
  expect(() => resolve(bounds)).not.toThrow();
});

const wrong: readonly (readonly [name: string, options: Readonly<Record<string, unknown>>])[] = [
  ['option shard', { shard: 1 }],
  ['option checkpoint.everyEvent', { checkpoint: { everyEvent: 1 } }],
  ['option retain.bytes', { retain: { bytes: 1 } }],
  ['option memory.ring', { memory: { ring: 1 } }],
  ['checkpoint must', { checkpoint: 5 }],
  ['checkpoint must', { checkpoint: null }],
  ['retain must', { retain: 'all' }],
  ['memory must', { memory: 2 ** 29 }],
  ['directory', { directory: '' }],
  ['directory', { directory: operators }],
  ['directory or store', { directory: '/tmp/x', store }],
  ['store lacks the method open()', { store: {} }],
  ['store lacks the method open()', { store: null }],
  ...METHODS.map(
    (method) => [`store lacks the method ${method}()`, { store: { ...store, [method]: 1 } }] as const,
  ),
  ['allowUnclaimedState', { allowUnclaimedState: 'yes' }],
  ['onPoison', { onPoison: 'explode' }],
  ['onDeadLetter', { onPoison: 'skip', onDeadLetter: 'post' }],
  ['signal', { signal: {} }],
  ['quarantineBytes', { quarantineBytes: -1 }],
  ['workersUrl', { workersUrl: '/workers' }],
  ['memory.ringBytes must be a power of two', { memory: { ringBytes: 5_000 } }],
  ['memory.ringBytes', { memory: { ringBytes: 2 ** 11 } }],
  ['memory.ringBytes', { memory: { ringBytes: 2 ** 31 } }],
  ['memory.bytes', { memory: { bytes: 1_000 } }],
  ['memory.bytes', { memory: { bytes: 2 ** 32 + 1 } }],
  ['retain.diskBytes', { retain: { diskBytes: 2 ** 19 } }],
  ['retain.perStream', { retain: { perStream: 0 } }],
  ['shards', { shards: 0 }],
  ['shards', { shards: SHARDS_MAX + 1 }],
  ['maxStreams', { maxStreams: 0 }],
  ['maxSources', { maxSources: 2 ** 21 }],
  ['startTimeoutMs', { startTimeoutMs: 2 ** 31 }],
  ...[-0.1, 1.1, Number.NaN, '0.5', 1n].map(
    (jitter) => ['checkpoint.jitter must be a number from 0 to 1, got ', { checkpoint: { jitter } }] as const,
  ),
  ...['everyEvents', 'everyMs', 'everyBytes', 'maxReplayEvents'].map(
    (key) => [`checkpoint.${key}`, { checkpoint: { [key]: 0 } }] as const,
  ),
  ...['idleMs', 'minPauseMs'].map((key) => [`checkpoint.${key}`, { checkpoint: { [key]: -1 } }] as const),
];

test.each(wrong)('a wrong option is named: %s %o', (name, options) => {
  const error = refusal({ operators, ...options });
  expect(error.code).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
  expect(error.message).toContain(name);
});

describe('whatever is given for a number', () => {
  const values = ['4', 1.5, Number.NaN, Number.POSITIVE_INFINITY, 5n, true, {}, [], () => 1, { deep: 1n }];

  test.each(values)('%o is refused, and shown as it is', (value) => {
    const error = refusal({ operators, shards: value });
    expect(error.code).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
    expect(error.message).toMatch(/^shards must be an integer from 1 to 256, got /);
    // JSON has no word for these.
    expect(error.message).not.toMatch(/got null/);
  });

  test('a value that refers to itself is refused like any other', () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    expect(refusal({ operators, maxStreams: cyclic }).message).toMatch(/^maxStreams must be an integer/);
  });
});

test('a taker of dead letters is for events that are skipped', () => {
  const onDeadLetter = (): void => undefined;
  expect(() => resolve({ operators, onPoison: 'skip', onDeadLetter })).not.toThrow();
  for (const onPoison of ['quarantine', 'fail', undefined])
    expect(refusal({ operators, onPoison, onDeadLetter }).message).toMatch(/^onDeadLetter is for/);
});

test.each([undefined, null, 5, 'operators.ts'])('options that are no object are refused: %j', (options) => {
  expect(refusal(options).code).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
});
