/**
 * From what a store holds to what the shards start with: every stream's newest good checkpoint gets a
 * place in the heap of the shard that owns the stream, and the store copies it there, as it is opened if it can. The
 * shards do the rest on their own threads; no state is decoded here.
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
import type {
  RestorableCheckpoint,
  RestoredContents,
  RestoreTarget,
  StoreContents,
} from '../store/contract.ts';
import type { RecoveryReceipt, RestoredStream } from './receipt.ts';

/** Copies that a store is asked for at once; as many again may be under way. */
const BATCH_COPIES_MAX = 4_096;
const BATCH_BYTES_MAX = 2 ** 25;
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

/** The heaps that checkpoints go to, which no shard uses yet. */
export interface Heaps {
  readonly memory: EngineMemory;
  readonly arenas: readonly ArenaLayout[];
  readonly shardOf: (stream: string) => number;
}

/** A store that copies its checkpoints while it is opened. */
export interface RestoringStore {
  openInto(target: RestoreTarget): Promise<RestoredContents>;
}

/** Opens the store. @throws ERR_TIDEMARK_MEMORY_FULL, and what the store throws */
export async function openRestored(heaps: Heaps, store: RestoringStore): Promise<Restored> {
  let placement = new Placement(heaps);
  const contents = await store.openInto({
    begin() {
      placement = new Placement(heaps);
    },
    place: (checkpoint, byteLength) => placement.place(checkpoint, byteLength),
  });
  return placement.restored(contents);
}

/** From a store that is open. @throws ERR_TIDEMARK_MEMORY_FULL, what the store throws, and the reason of `signal` */
export async function restoreCheckpoints(
  heaps: Heaps,
  contents: StoreContents,
  signal?: AbortSignal,
): Promise<Restored> {
  const placement = new Placement(heaps);
  const copies = new Copies();
  try {
    const { checkpoints } = contents;
    const take = (checkpoint: RestorableCheckpoint): Promise<void> | undefined => {
      // Whoever aborts closes the store: it is asked for no more copies.
      signal?.throwIfAborted();
      const bytes = checkpoint.byteLength;
      const address = placement.place(receiptOf(checkpoint), bytes);
      return copies.add(checkpoint.copyTo(heaps.memory.u8.subarray(address, address + bytes)), bytes);
    };
    // Not by `for await` where it can be helped: that waits between any two, and a store could not do many at once.
    if (Symbol.iterator in checkpoints) {
      for (const checkpoint of checkpoints) {
        const full = take(checkpoint);
        if (full !== undefined) await full;
      }
    } else {
      for await (const checkpoint of checkpoints) await take(checkpoint);
    }
    await copies.all();
  } catch (error) {
    // The caller closes the store next, so the other copies have to be through with it.
    await copies.settled();
    throw error;
  }
  return placement.restored(contents);
}

/** Places for checkpoints, and the list of them. */
class Placement {
  readonly #heaps: Heaps;
  readonly #allocators: readonly SlabAllocator[];
  readonly #placed: PlacedCheckpoint[] = [];
  readonly #streams: RestoredStream[] = [];

  constructor(heaps: Heaps) {
    this.#heaps = heaps;
    const { buffer } = heaps.memory;
    this.#allocators = heaps.arenas.map((arena) => new SlabAllocator(heapRegion(arena, buffer)));
  }

  /** The address; throws ERR_TIDEMARK_MEMORY_FULL when there is no room. */
  place(restored: RestoredStream, bytes: number): number {
    const { stream, sequence } = restored;
    const shard = this.#heaps.shardOf(stream);
    const address = allocate(this.#allocators[shard] as SlabAllocator, stream, bytes);
    this.#placed.push({ stream, shard, sequence, address, bytes });
    this.#streams.push(restored);
    return address;
  }

  restored({ generation, lost, frontiers }: RestoredContents): Restored {
    const isTransient = this.#allocators.map(({ usedBytes, bytes }) => usedBytes > bytes * STAY_SHARE_MAX);
    const receipt = { generation, streams: this.#streams, lost, positions: new Map(frontiers) };
    return { placed: this.#placed, isTransient, receipt };
  }
}

/** Copies under way: one batch is asked for while the one before it is being made. */
class Copies {
  #batch: Promise<void>[] = [];
  #bytes = 0;
  #before: Promise<void>[] = [];

  /** When the batch is full, a promise to wait for before more are asked for. */
  add(copy: Promise<void>, bytes: number): Promise<void> | undefined {
    // It can fail while nobody awaits it yet, and a rejection that nobody handles ends the process.
    copy.catch(() => undefined);
    this.#batch.push(copy);
    this.#bytes += bytes;
    return this.#batch.length >= BATCH_COPIES_MAX || this.#bytes >= BATCH_BYTES_MAX
      ? this.#next()
      : undefined;
  }

  async all(): Promise<void> {
    await this.#next();
    await this.#next();
  }

  async settled(): Promise<void> {
    await Promise.allSettled([...this.#before, ...this.#batch]);
  }

  /** Waits for the batch before this one. */
  async #next(): Promise<void> {
    await Promise.all(this.#before);
    this.#before = this.#batch;
    this.#batch = [];
    this.#bytes = 0;
  }
}

function allocate(allocator: SlabAllocator, stream: string, bytes: number): number {
  const address = allocator.allocate(bytes);
  if (address !== 0) return address;
  throw new TidemarkError(
    'ERR_TIDEMARK_MEMORY_FULL',
    `the newest checkpoints in the store need more than the ${allocator.bytes} bytes of a shard's memory (at stream '${stream}'); raise memory.bytes`,
  );
}

function receiptOf(checkpoint: RestorableCheckpoint): RestoredStream {
  const { stream, sequence, generation, fellBack, reason } = checkpoint;
  return { stream, sequence, generation, fellBack, ...(reason === undefined ? {} : { reason }) };
}
