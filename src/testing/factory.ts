/** What the suite has to be told about the stores that it tries. */
import type { CheckpointStore } from '../store/contract.ts';

/**
 * Makes stores for the suite. A `Place` is whatever outlives a store and is found again by the next one: a
 * directory, a bucket, a database. Each clause has one of its own.
 */
export interface StoreFactory<Place> {
  /** A place that no store has used. */
  create(): Place | Promise<Place>;
  /**
   * A store on `place`, not opened yet. Asked for again after the store before was closed or has crashed, and
   * while it is open, for a second opener.
   */
  connect(place: Place): CheckpointStore | Promise<CheckpointStore>;
  /**
   * What a second store does when it opens a place while the first one has it open: its `open` is refused
   * (`ERR_TIDEMARK_DIRECTORY_LOCKED`), or it takes over and the first one is fenced off (`ERR_TIDEMARK_FENCED`).
   */
  readonly secondOpener: 'refused' | 'fences';
  /**
   * Ends all stores on `place` as a crash of their process does, and loses what they have not made durable.
   * They are never used again. Without it the clauses about crashes are left out.
   */
  crash?(place: Place): void | Promise<void>;
  /** Checkpoints of a stream that the stores keep while there is room, at least 1. Default 1: the newest. */
  readonly perStream?: number;
  /**
   * Bytes of frames, at least 2^20: what a full store is to the suite. The newest checkpoints of all streams never
   * have room if they take this much together, and always if they take a quarter of it; older ones give way to
   * them. Without it the clauses about full stores are left out.
   */
  readonly capacityBytes?: number;
  /** Called once a clause is through with `place` and its stores, which are closed if they can be. */
  dispose?(place: Place): void | Promise<void>;
}
