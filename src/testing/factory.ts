/** What the conformance kit has to know of a store, and what it is given to test one. */
import type { CheckpointStore } from '../store/contract.ts';

/** Where checkpoints are kept: a directory, a bucket, a table. It outlives the stores that are opened on it. */
export interface StorePlace {
  /**
   * A store on this place, not yet opened. Called again after a close or a crash for a later life, and while another
   * store is open on the place for a second opener.
   */
  store(): CheckpointStore | Promise<CheckpointStore>;
  /**
   * Ends the open store as a crash of its process, or of its machine, would: what it has not acknowledged may be gone. Of
   * places that can crash.
   */
  crash?(): Promise<void>;
  /** Frees the place after the test. */
  dispose?(): Promise<void>;
}

export interface StoreFactory {
  /** A new, empty place. */
  create(): Promise<StorePlace>;
  /** So many checkpoints of a stream are kept at least while there is room. */
  readonly perStream: number;
  /**
   * What becomes of a second opener of a place: `'refused'` with ERR_TIDEMARK_DIRECTORY_LOCKED, or it takes over and the
   * first one is `'fenced'`.
   */
  readonly secondOpener: 'refused' | 'fenced';
  /** Whether places can crash; otherwise the clauses about crashes are left out. */
  readonly canCrash: boolean;
  /** Makes a place that is full after a few megabytes. Leave it out for a store without a limit. */
  createSmall?(): Promise<StorePlace>;
}
