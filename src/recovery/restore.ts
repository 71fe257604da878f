/**
 * From what a store holds to what the shards start with: every stream's newest good checkpoint gets a
 * place in the heap of the shard that owns the stream, and the store copies it there. The shards do the
 * rest on their own threads; no state is decoded here.
 *
 * The allocators here stand in for those of shards that have not started; a shard rebuilds its own from
 * the list of what it was given.
 *
 * A stream's image needs as much room again as its frame. Where the frames of a shard take little of its
 * heap they stay in memory, as checkpoints to be read; where they take much, each leaves as soon as its
 * stream is restored, so that whatever ran in a memory can be restored in it.
 */
import { TidemarkError } from '../error.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { type ArenaLayout, heapRegion } from '../memory/layout.ts';
import { SlabAllocator } from '../memory/slab-allocator.ts';
import type { RestorableCheckpoint, StoreContents } from '../store/contract.ts';
import type { RecoveryReceipt, RestoredStream } from './receipt.ts';

/** Copies under way at a time. */
const COPIES_MAX = 256;
/** Up to this share of a heap, restored frames stay. */
const STAY_SHARE_MAX = 1 / 3;

/** A checkpoint in the heap of its shard. */
export interface PlacedCheckpoint {
  readonly stream: string;
  readonly shard: number;
  readonly sequence: bigint;
  readonly address: number;
  readonly bytes: number;
}

export interface Restored {
  readonly placed: readonly PlacedCheckpoint[];
  /** By shard: its frames leave memory as their streams are restored. */
  readonly isTransient: readonly boolean[];
  readonly receipt: RecoveryReceipt;
}

/** @throws ERR_TIDEMARK_MEMORY_FULL, and what the store throws */
export async function restoreCheckpoints(
  memory: EngineMemory,
  arenas: readonly ArenaLayout[],
  contents: { contents: StoreContents; shardOf: (stream: string) => number },
): Promise<Restored> {
  const allocators = arenas.map((arena) => new SlabAllocator(heapRegion(arena, memory.buffer)));
  const placed: PlacedCheckpoint[] = [];
  const streams: RestoredStream[] = [];
  let copies: Promise<void>[] = [];
  try {
    for await (const checkpoint of contents.contents.checkpoints) {
      const shard = contents.shardOf(checkpoint.stream);
      const address = place(allocators[shard] as SlabAllocator, checkpoint);
      const bytes = checkpoint.byteLength;
      const copy = checkpoint.copyTo(memory.u8.subarray(address, address + bytes));
      // It can fail while nobody awaits it yet, and a rejection that nobody handles ends the process.
      copy.catch(() => undefined);
      copies.push(copy);
      placed.push({ stream: checkpoint.stream, shard, sequence: checkpoint.sequence, address, bytes });
      streams.push(receiptOf(checkpoint));
      if (copies.length >= COPIES_MAX) {
        await Promise.all(copies);
        copies = [];
      }
    }
    await Promise.all(copies);
  } catch (error) {
    // The caller closes the store next, so the other copies have to be through with it.
    await Promise.allSettled(copies);
    throw error;
  }
  const { generation, lost, frontiers } = contents.contents;
  const isTransient = allocators.map(({ usedBytes, bytes }) => usedBytes > bytes * STAY_SHARE_MAX);
  return { placed, isTransient, receipt: { generation, streams, lost, positions: new Map(frontiers) } };
}

function place(allocator: SlabAllocator, checkpoint: RestorableCheckpoint): number {
  const address = allocator.allocate(checkpoint.byteLength);
  if (address !== 0) return address;
  throw new TidemarkError(
    'ERR_TIDEMARK_MEMORY_FULL',
    `the newest checkpoints in the store need more than the ${allocator.bytes} bytes of a shard's memory (at stream '${checkpoint.stream}'); raise memory.bytes`,
  );
}

function receiptOf(checkpoint: RestorableCheckpoint): RestoredStream {
  const { stream, sequence, generation, fellBack, reason } = checkpoint;
  return { stream, sequence, generation, fellBack, ...(reason === undefined ? {} : { reason }) };
}
