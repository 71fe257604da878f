/**
 * The contract between the engine and whatever keeps its checkpoints. Implementations: `log/` (the
 * embedded durable log, on its own worker) and any object that a user passes as `store`, which then runs
 * on the main thread. `tidemark/testing` (`src/testing`) holds them all to it.
 */
import type { CheckpointId } from '../checkpoint/id.ts';
import type { CheckpointView } from '../codec/view.ts';

/** One encoded checkpoint. `bytes` belong to the engine and stay valid until `commit` settles. */
export interface FrameRef {
  readonly stream: string;
  readonly sequence: bigint;
  readonly bytes: Uint8Array;
}

export interface CommitBatch {
  readonly frames: readonly FrameRef[];
  /**
   * Per source the least offset that no durable checkpoint covers once this batch is durable: it counts even where
   * it is lower than before. The engine names every source that it knows in every commit, so what becomes of one
   * that is left out is up to the store.
   */
  readonly frontiers: ReadonlyMap<string, bigint>;
  readonly generation: bigint;
}

/** The newest checkpoint of a stream that verified when the store was opened. */
export interface RestorableCheckpoint {
  readonly stream: string;
  readonly sequence: bigint;
  /** Generation of the engine that took it. */
  readonly generation: bigint;
  /** Length of the frame in bytes. */
  readonly byteLength: number;
  /** How many newer checkpoints of the stream were found damaged and passed over. */
  readonly fellBack: number;
  /** Why they were passed over; absent when `fellBack` is 0. */
  readonly reason?: string;
  /** Copies the frame into `target` (exactly `byteLength` bytes, possibly shared memory), verified. */
  copyTo(target: Uint8Array): Promise<void>;
}

/** A checkpoint that is found while a store is opened. */
export type FoundCheckpoint = Omit<RestorableCheckpoint, 'byteLength' | 'copyTo'>;

/** Where the checkpoints of a store go that copies them while it is opened. */
export interface RestoreTarget {
  /** Nothing has been placed, or what was placed is void: something was damaged, and the store has fallen back. */
  begin(): void;
  /**
   * The byte address in the engine's memory to which its frame, of `byteLength` bytes, is copied. It may keep the
   * object. What it throws, the opening rejects with.
   */
  place(checkpoint: FoundCheckpoint, byteLength: number): number;
}

/** What a store says that has copied its checkpoints. */
export type RestoredContents = Omit<StoreContents, 'checkpoints'>;

export interface StoreContents {
  /** Greater than every generation that opened this store before; durable. */
  readonly generation: bigint;
  /** Per source the offset from which to replay. Already lowered where a stream fell back. */
  readonly frontiers: ReadonlyMap<string, bigint>;
  /** One per stream, in no particular order. */
  readonly checkpoints: Iterable<RestorableCheckpoint> | AsyncIterable<RestorableCheckpoint>;
  /** Streams of which no checkpoint verified: their state is lost and must be rebuilt from the source. */
  readonly lost: readonly { readonly stream: string; readonly reason: string }[];
}

export interface CheckpointStore {
  /**
   * If it rejects with an error that is `retryable`, the engine calls it again, for as long as a store may take to open.
   * @throws ERR_TIDEMARK_DIRECTORY_LOCKED, ERR_TIDEMARK_NOT_A_STORE, ERR_TIDEMARK_STORE_FAILED
   */
  open(): Promise<StoreContents>;
  /**
   * Durable when it resolves. A checkpoint of the same stream and sequence as another replaces it. Several commits
   * may be under way at once; they count in the order in which they were made.
   * @throws ERR_TIDEMARK_FENCED when a later generation has opened; ERR_TIDEMARK_STORE_FULL, retryable if there may be
   * room later: the engine then commits the frames again, or newer ones, with other frontiers; ERR_TIDEMARK_STORE_FAILED
   */
  commit(batch: CommitBatch): Promise<void>;
  /** The checkpoint of `stream` at `sequence`, the newest one if no sequence is given. */
  read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined>;
  /** Ascending by sequence. */
  list(stream: string): Promise<CheckpointId[]>;
  streams(): AsyncIterable<string>;
  /** Removes the checkpoints of `stream` whose sequence is less than `sequence`. */
  deleteBefore(stream: string, sequence: bigint): Promise<void>;
  /**
   * Removes everything about `stream`, durably when it resolves. What is committed later under the same name is
   * a new stream. The engine never has a commit under way at the same time, but may forget several streams at once.
   * @throws ERR_TIDEMARK_STORE_FULL, as `commit` does; ERR_TIDEMARK_STORE_FAILED
   */
  forget(stream: string): Promise<void>;
  /** Every later call but this one rejects with a `TidemarkError`. Closes what was never opened, too. */
  close(): Promise<void>;
}
