/** Everything between the options and running shards: memory, store, restored checkpoints, threads. */
import { shardPolicy } from '../checkpoint/schedule.ts';
import { systemClock } from '../clock.ts';
import { TidemarkError } from '../error.ts';
import { EngineMemory } from '../memory/engine-memory.ts';
import { type ArenaLayout, planArenas } from '../memory/layout.ts';
import { checkContents } from '../recovery/contents.ts';
import type { RecoveryReceipt } from '../recovery/receipt.ts';
import {
  openRestored,
  type PlacedCheckpoint,
  type Restored,
  restoreCheckpoints,
} from '../recovery/restore.ts';
import { StoredFrame } from '../store/stored-frame.ts';
import { withDeadline } from './deadline.ts';
import { asStoreError } from './engine-state.ts';
import { firstHandover } from './handover.ts';
import { HEAP_BYTES_MIN, invalidArgument, type ResolvedOptions } from './options.ts';
import { type RoutedStream, Router, shardOf } from './router.ts';
import { ShardHandle, type ShardParts, type ThreadEnd } from './shard-handle.ts';
import { ABANDON_MS, closeStore, connectStore, type StoreConnection } from './store-connection.ts';
import { openPatiently, storeTimedOut } from './store-opening.ts';
import { workerFile } from './worker-files.ts';

export interface Startup {
  readonly memory: EngineMemory;
  readonly router: Router;
  readonly shards: readonly ShardHandle[];
  readonly connection: StoreConnection | undefined;
  readonly receipt: RecoveryReceipt;
  /** The restored checkpoints, by the order of their streams on each shard. */
  readonly frames: readonly StoredFrame[];
  /** By shard: its frames leave memory as their streams are restored. */
  readonly isTransient: readonly boolean[];
  readonly shardFile: string;
}

/**
 * Opens the store and restores into memory. No shard runs yet. What fails, or is aborted, leaves nothing open behind.
 * @throws the reason of the signal as it is, and an error of ours for anything else
 */
export async function prepare(options: ResolvedOptions): Promise<Startup> {
  const { signal } = options;
  signal?.throwIfAborted();
  const shardFile = workerFile('shard', options.workersUrl);
  const { memory, arenas } = reserve(options);
  const connection = connectStore(options, memory);
  try {
    const timeoutMs = options.storeTimeoutMs;
    const restored = await restore(memory, arenas, { connection, timeoutMs, signal });
    const router = new Router(options.shards);
    for (const [source, position] of restored.receipt.positions) router.addSource(source, position);
    const frames = restored.placed.map((checkpoint) => frameOf(router, checkpoint));
    const shards = arenas.map((arena, index) => new ShardHandle(memory, arena, index));
    const { receipt, isTransient } = restored;
    return { memory, router, shards, connection, receipt, frames, isTransient, shardFile };
  } catch (error) {
    // Asked now: an abort while the store is closed comes too late to be why.
    const cause = signal?.aborted === true ? error : asStoreError(error);
    await abandon(connection);
    throw cause;
  }
}

/** What all threads of the shards are given alike. */
export function partsOf({ shardFile, receipt }: Startup, options: ResolvedOptions): ShardParts {
  return {
    file: shardFile,
    operators: options.operators,
    policy: shardPolicy(options.checkpoint, options.shards),
    poison: { onPoison: options.onPoison, attemptsMax: options.maxAttempts },
    generation: receipt.generation,
    allowUnclaimedState: options.allowUnclaimedState,
  };
}

/** Starts the first threads of all shards. `onEnd` is called for each that ends without being told to. */
export function startShards(
  startup: Startup,
  parts: ShardParts,
  onEnd: (shard: ShardHandle, end: ThreadEnd) => void,
): void {
  for (const shard of startup.shards) {
    const frames = startup.frames.filter((frame) => frame.stream.shard === shard.index);
    const isTransient = startup.isTransient[shard.index] === true;
    shard.start(parts, firstHandover(frames, isTransient), (end) => onEnd(shard, end));
  }
}

function reserve(options: ResolvedOptions): { memory: EngineMemory; arenas: readonly ArenaLayout[] } {
  const { memoryBytes, shards, ringBytes } = options;
  const arenas = planArenas({ memoryBytes, shards, ringBytes, heapBytesMin: HEAP_BYTES_MIN });
  if (arenas === undefined) {
    throw invalidArgument(
      `memory.bytes ${memoryBytes} is too small for ${shards} shards with rings of ${ringBytes} bytes; raise it, or lower shards or memory.ringBytes`,
    );
  }
  try {
    return { memory: EngineMemory.reserve(memoryBytes), arenas };
  } catch (cause) {
    throw new TidemarkError(
      'ERR_TIDEMARK_MEMORY_FULL',
      `the system has no ${memoryBytes} bytes of memory to reserve; lower memory.bytes`,
      { cause },
    );
  }
}

async function restore(
  memory: EngineMemory,
  arenas: readonly ArenaLayout[],
  from: { connection: StoreConnection | undefined; timeoutMs: number; signal: AbortSignal | undefined },
): Promise<Restored> {
  const { connection, timeoutMs, signal } = from;
  if (connection === undefined) {
    return {
      placed: [],
      isTransient: [],
      receipt: { generation: 1n, streams: [], lost: [], positions: new Map() },
    };
  }
  const heaps = { memory, arenas, shardOf: (stream: string) => shardOf(stream, arenas.length) };
  const late = (): Error => storeTimedOut(timeoutMs);
  const { store, restoring } = connection;
  if (restoring !== undefined) return withDeadline(openRestored(heaps, restoring), timeoutMs, late, signal);
  const end = systemClock.now() + timeoutMs;
  const contents = checkContents(await openPatiently(store, timeoutMs, { signal }));
  // What still copies after that writes to memory that nobody will look at.
  const leftMs = Math.max(0, end - systemClock.now());
  return withDeadline(restoreCheckpoints(heaps, contents, signal), leftMs, late, signal);
}

/** Streams get their numbers on a shard in the order of these calls, which the shard restores them in. */
export function frameOf(router: Router, checkpoint: PlacedCheckpoint): StoredFrame {
  const stream: RoutedStream = router.addStream(checkpoint.stream);
  stream.isDefined = true;
  stream.isRestored = true;
  stream.hasEvents = true;
  const { sequence, address, bytes } = checkpoint;
  return new StoredFrame(stream, { sequence, address, bytes, seen: 0, lows: [] });
}

/** Closes what did not open. The error that was first is the one that tells, so none is thrown here. */
async function abandon(connection: StoreConnection | undefined): Promise<void> {
  if (connection === undefined) return;
  await closeStore(connection, ABANDON_MS).catch(() => undefined);
  await connection.release();
}

/** The shards did not answer in time. */
export function startTimedOut(ms: number): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_OPERATORS_MODULE',
    `the shards were not ready within ${ms} ms: the operators module does not finish loading, or there is much to restore; then raise startTimeoutMs`,
  );
}
