/** What an engine found when it opened, for people and for machines. */

/** A stream that was restored. */
export interface RestoredStream {
  readonly stream: string;
  readonly sequence: bigint;
  /** Generation of the engine that took the checkpoint. */
  readonly generation: bigint;
  /** Newer checkpoints that were found damaged and passed over. */
  readonly fellBack: number;
  /** Why; absent when `fellBack` is 0. */
  readonly reason?: string;
}

export interface RecoveryReceipt {
  /** Generation of this engine. */
  readonly generation: bigint;
  readonly streams: readonly RestoredStream[];
  /** Streams of which no checkpoint could be believed; they begin anew and are rebuilt by replay. */
  readonly lost: readonly { readonly stream: string; readonly reason: string }[];
  /** Where reading goes on, by source. */
  readonly positions: ReadonlyMap<string, bigint>;
}
