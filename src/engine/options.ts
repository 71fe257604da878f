/** The options of `CheckpointEngine.open`: their defaults, their limits and the relations between them. */
import { availableParallelism } from 'node:os';
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import type { CheckpointPolicy } from '../checkpoint/schedule.ts';
import { TidemarkError } from '../error.ts';
import type { CheckpointStore } from '../store/contract.ts';
import type { DeadLetter } from './quarantine.ts';

export interface EngineOptions {
  /** URL or absolute path of the module whose default export makes a stream's operators; every shard imports it. */
  readonly operators: URL | string;
  /** Embedded durable log; at most one of `directory` and `store`. Neither: memory only. */
  readonly directory?: string | undefined;
  /** Another store, which then runs on the main thread. */
  readonly store?: CheckpointStore | undefined;
  /** Worker threads that run operators. Default: available cores − 1, at least 1 and at most 256. */
  readonly shards?: number | undefined;
  /** When a stream is checkpointed; whichever trigger comes first. Without any: `everyEvents` 10,000 and `everyMs` 1,000. */
  readonly checkpoint?: CheckpointPolicy | undefined;
  readonly retain?:
    | {
        /** Checkpoints kept of a stream. Default 3. */
        readonly perStream?: number | undefined;
        /** Hard limit of the directory's size in bytes. Default 1 GiB. */
        readonly diskBytes?: number | undefined;
      }
    | undefined;
  readonly memory?:
    | {
        /** Shared memory of the whole engine in bytes, at most 4 GiB. Default 512 MiB. */
        readonly bytes?: number | undefined;
        /** Ingest ring of each shard in bytes, a power of two. Default 8 MiB. */
        readonly ringBytes?: number | undefined;
      }
    | undefined;
  /**
   * What becomes of an event that operators throw at, that they do not return from, or that ends the thread,
   * `maxAttempts` times. `'quarantine'` (default): its stream is set aside, with its state before the event, until
   * `retry`, `skip` or `drop`; `'skip'`: the stream goes on without the event, which is given to `onDeadLetter`; `'fail'`:
   * the engine fails.
   */
  readonly onPoison?: 'quarantine' | 'skip' | 'fail' | undefined;
  /**
   * Is given each event that is skipped, at least once. A frontier passes the event only when what it returns has
   * resolved; if it throws or rejects, the engine fails. Only with `onPoison: 'skip'`.
   */
  readonly onDeadLetter?: ((letter: DeadLetter) => unknown) | undefined;
  /** Bytes of events, about, that are held out of all streams in quarantine; more are dropped. Default 64 MiB. */
  readonly quarantineBytes?: number | undefined;
  /** Accept restored operator states that no operator claims; they are dropped. Default false. */
  readonly allowUnclaimedState?: boolean | undefined;
  /** Streams at most; the one that exceeds it is refused. Default 1,000,000. */
  readonly maxStreams?: number | undefined;
  /** Sources at most. Default 4,096. */
  readonly maxSources?: number | undefined;
  /**
   * How often an event is tried that operators throw at, that holds them for `operatorTimeoutMs`, or that ends the thread.
   * A thread that ends so often, without having got further, between events fails the engine. Default 3.
   */
  readonly maxAttempts?: number | undefined;
  /** How long an operator may take for one event, in milliseconds, before its shard's thread is replaced. Default 60,000. */
  readonly operatorTimeoutMs?: number | undefined;
  /** How long the store may take to open and to copy its checkpoints, or to close, in milliseconds. Default 120,000. */
  readonly storeTimeoutMs?: number | undefined;
  /**
   * How long a full store is waited for, in milliseconds, before pushes, checkpoints, forgetting and closing that wait for
   * it are rejected. Default 30,000.
   */
  readonly storeFullTimeoutMs?: number | undefined;
  /** How long the shards may take to load the operators and to restore, in milliseconds. Default 120,000. */
  readonly startTimeoutMs?: number | undefined;
  /** Folder of the worker entry files, for bundlers that lose them. Default: beside this package. */
  readonly workersUrl?: URL | undefined;
  /**
   * Ends opening when it is aborted: once all that was begun is released - threads, the lock of the directory, a store of
   * your own, which is closed - `open` rejects with the signal's `reason`, whatever that is. If it is aborted already, nothing
   * is begun. Of no effect once the engine is open.
   */
  readonly signal?: AbortSignal | undefined;
}

export interface ResolvedOptions {
  readonly operators: string;
  readonly directory: string | undefined;
  readonly store: CheckpointStore | undefined;
  readonly shards: number;
  readonly checkpoint: CheckpointPolicy;
  readonly perStream: number;
  readonly diskBytes: number;
  readonly memoryBytes: number;
  readonly ringBytes: number;
  readonly onPoison: 'quarantine' | 'skip' | 'fail';
  readonly onDeadLetter: ((letter: DeadLetter) => unknown) | undefined;
  readonly quarantineBytes: number;
  readonly allowUnclaimedState: boolean;
  readonly maxStreams: number;
  readonly maxSources: number;
  readonly maxAttempts: number;
  readonly operatorTimeoutMs: number;
  readonly storeTimeoutMs: number;
  readonly storeFullTimeoutMs: number;
  readonly startTimeoutMs: number;
  readonly workersUrl: URL | undefined;
  readonly signal: AbortSignal | undefined;
}

export const SHARDS_MAX = 256;
export const MEMORY_BYTES_MAX = 2 ** 32;
export const RING_BYTES_MIN = 2 ** 12;
export const RING_BYTES_MAX = 2 ** 30;
export const DISK_BYTES_MIN = 2 ** 20;
/** A shard's arena beyond its rings; below this not even a small stream fits. */
export const HEAP_BYTES_MIN = 2 ** 16;

const KNOWN_OPTIONS: ReadonlySet<string> = new Set([
  'operators',
  'directory',
  'store',
  'shards',
  'checkpoint',
  'retain',
  'memory',
  'onPoison',
  'onDeadLetter',
  'quarantineBytes',
  'allowUnclaimedState',
  'maxStreams',
  'maxSources',
  'maxAttempts',
  'operatorTimeoutMs',
  'storeTimeoutMs',
  'storeFullTimeoutMs',
  'startTimeoutMs',
  'workersUrl',
  'signal',
]);
const KNOWN_CHECKPOINT: ReadonlySet<string> = new Set([
  'everyEvents',
  'everyMs',
  'everyBytes',
  'idleMs',
  'minPauseMs',
  'maxReplayEvents',
  'jitter',
]);
/** The least that each may be, which is 0 of the others. */
const LEAST_CHECKPOINT: ReadonlyMap<string, number> = new Map([
  ['everyEvents', 1],
  ['everyMs', 1],
  ['everyBytes', 1],
  ['maxReplayEvents', 1],
]);
const KNOWN_RETAIN: ReadonlySet<string> = new Set(['perStream', 'diskBytes']);
const KNOWN_MEMORY: ReadonlySet<string> = new Set(['bytes', 'ringBytes']);

export function invalidArgument(message: string): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_INVALID_ARGUMENT', message);
}

/** @throws ERR_TIDEMARK_INVALID_ARGUMENT */
export function resolveOptions(options: EngineOptions): ResolvedOptions {
  if (options === null || typeof options !== 'object') {
    throw invalidArgument('CheckpointEngine.open takes an object of options');
  }
  refuseUnknown(options, KNOWN_OPTIONS, 'option');
  if (options.directory !== undefined && options.store !== undefined) {
    throw invalidArgument('give either directory or store, not both');
  }
  if (
    options.directory !== undefined &&
    (typeof options.directory !== 'string' || options.directory === '')
  ) {
    throw invalidArgument(`directory must be a path, got ${show(options.directory)}`);
  }
  const retain = section(options.retain, KNOWN_RETAIN, 'retain');
  const memory = section(options.memory, KNOWN_MEMORY, 'memory');
  const resolved: ResolvedOptions = {
    operators: resolveModule(options.operators),
    directory: options.directory,
    store: resolveStore(options.store),
    shards: integer('shards', options.shards ?? defaultShards(), 1, SHARDS_MAX),
    checkpoint: resolvePolicy(options.checkpoint),
    perStream: integer('retain.perStream', retain['perStream'] ?? 3, 1, 1_000_000),
    diskBytes: integer(
      'retain.diskBytes',
      retain['diskBytes'] ?? 2 ** 30,
      DISK_BYTES_MIN,
      Number.MAX_SAFE_INTEGER,
    ),
    memoryBytes: integer('memory.bytes', memory['bytes'] ?? 2 ** 29, HEAP_BYTES_MIN, MEMORY_BYTES_MAX),
    ringBytes: integer('memory.ringBytes', memory['ringBytes'] ?? 2 ** 23, RING_BYTES_MIN, RING_BYTES_MAX),
    ...resolvePoison(options),
    allowUnclaimedState: boolean('allowUnclaimedState', options.allowUnclaimedState ?? false),
    maxStreams: integer('maxStreams', options.maxStreams ?? 1_000_000, 1, 2 ** 31 - 1),
    maxSources: integer('maxSources', options.maxSources ?? 4_096, 1, 2 ** 20),
    maxAttempts: integer('maxAttempts', options.maxAttempts ?? 3, 1, 1_000),
    operatorTimeoutMs: integer('operatorTimeoutMs', options.operatorTimeoutMs ?? 60_000, 1, 2 ** 31 - 1),
    storeTimeoutMs: integer('storeTimeoutMs', options.storeTimeoutMs ?? 120_000, 1, 2 ** 31 - 1),
    storeFullTimeoutMs: integer('storeFullTimeoutMs', options.storeFullTimeoutMs ?? 30_000, 1, 2 ** 31 - 1),
    startTimeoutMs: integer('startTimeoutMs', options.startTimeoutMs ?? 120_000, 1, 2 ** 31 - 1),
    workersUrl: resolveWorkersUrl(options.workersUrl),
    signal: resolveSignal(options.signal),
  };
  if ((resolved.ringBytes & (resolved.ringBytes - 1)) !== 0) {
    throw invalidArgument(`memory.ringBytes must be a power of two, got ${resolved.ringBytes}`);
  }
  return resolved;
}

function resolvePoison({
  onPoison = 'quarantine',
  onDeadLetter,
  quarantineBytes = 2 ** 26,
}: EngineOptions): Pick<ResolvedOptions, 'onPoison' | 'onDeadLetter' | 'quarantineBytes'> {
  if (onPoison !== 'quarantine' && onPoison !== 'skip' && onPoison !== 'fail')
    throw invalidArgument(`onPoison must be 'quarantine', 'skip' or 'fail', got ${show(onPoison)}`);
  if (onDeadLetter !== undefined && typeof onDeadLetter !== 'function')
    throw invalidArgument(`onDeadLetter must be a function, got ${show(onDeadLetter)}`);
  if (onDeadLetter !== undefined && onPoison !== 'skip')
    throw invalidArgument(`onDeadLetter is for onPoison: 'skip', not '${onPoison}'`);
  return {
    onPoison,
    onDeadLetter,
    quarantineBytes: integer('quarantineBytes', quarantineBytes, 0, Number.MAX_SAFE_INTEGER),
  };
}

function resolvePolicy(policy: CheckpointPolicy | undefined): CheckpointPolicy {
  if (policy === undefined) return { everyEvents: 10_000, everyMs: 1_000 };
  const given = section(policy, KNOWN_CHECKPOINT, 'checkpoint');
  const resolved: Record<string, number> = {};
  for (const key of KNOWN_CHECKPOINT) {
    const value = given[key];
    if (value === undefined) continue;
    if (key === 'jitter') {
      const jitter = share('checkpoint.jitter', value);
      if (jitter > 0) resolved[key] = jitter;
      continue;
    }
    resolved[key] = integer(
      `checkpoint.${key}`,
      typeof value === 'bigint' ? Number(value) : value,
      LEAST_CHECKPOINT.get(key) ?? 0,
      Number.MAX_SAFE_INTEGER,
    );
  }
  const { everyEvents, everyMs, everyBytes, idleMs } = resolved;
  // `maxReplayEvents` alone would leave what is within it uncovered for ever.
  if (
    everyEvents === undefined &&
    everyMs === undefined &&
    everyBytes === undefined &&
    idleMs === undefined
  ) {
    return { everyEvents: 10_000, everyMs: 1_000, ...resolved };
  }
  return resolved;
}

function resolveModule(operators: unknown): string {
  if (operators instanceof URL) return operators.href;
  if (typeof operators === 'string' && operators !== '') {
    if (/^(file|data|node):/.test(operators)) return operators;
    if (isAbsolute(operators)) return pathToFileURL(operators).href;
    throw invalidArgument(
      `operators must be a URL such as new URL('./operators.js', import.meta.url) or an absolute path, got ${show(operators)}`,
    );
  }
  throw invalidArgument(
    'operators is missing: pass the URL of a module whose default export makes the operators of a stream',
  );
}

function resolveStore(store: CheckpointStore | undefined): CheckpointStore | undefined {
  if (store === undefined) return undefined;
  for (const method of [
    'open',
    'commit',
    'read',
    'list',
    'streams',
    'deleteBefore',
    'forget',
    'close',
  ] as const) {
    if (typeof (store as Partial<CheckpointStore> | null)?.[method] !== 'function') {
      throw invalidArgument(`store lacks the method ${method}(); it must be a CheckpointStore`);
    }
  }
  return store;
}

function resolveWorkersUrl(url: URL | undefined): URL | undefined {
  if (url === undefined || (url instanceof URL && url.protocol === 'file:')) return url;
  throw invalidArgument(`workersUrl must be a file: URL, got ${show(url)}`);
}

function resolveSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw invalidArgument(`signal must be an AbortSignal, got ${show(signal)}`);
}

/** @throws ERR_TIDEMARK_INVALID_ARGUMENT */
export function section(value: unknown, known: ReadonlySet<string>, name: string): Record<string, unknown> {
  if (value === undefined) return {};
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw invalidArgument(`${name} must be an object, got ${show(value)}`);
  refuseUnknown(value, known, `option ${name}.`);
  return value as Record<string, unknown>;
}

function refuseUnknown(value: object, known: ReadonlySet<string>, prefix: string): void {
  for (const key of Object.keys(value)) {
    if (known.has(key)) continue;
    const name = prefix.endsWith('.') ? `${prefix}${key}` : `${prefix} ${key}`;
    throw invalidArgument(`unknown ${name}; known are ${[...known].join(', ')}`);
  }
}

/** @throws ERR_TIDEMARK_INVALID_ARGUMENT */
export function integer(name: string, value: unknown, least: number, greatest: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > greatest) {
    throw invalidArgument(`${name} must be an integer from ${least} to ${greatest}, got ${show(value)}`);
  }
  return value;
}

function share(name: string, value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    throw invalidArgument(`${name} must be a number from 0 to 1, got ${show(value)}`);
  return value;
}

function boolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalidArgument(`${name} must be true or false, got ${show(value)}`);
  return value;
}

function defaultShards(): number {
  return Math.min(SHARDS_MAX, Math.max(1, availableParallelism() - 1));
}

/** Of any value, also one that JSON cannot hold. */
function show(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value)
    : inspect(value, { depth: 0, breakLength: Infinity });
}
