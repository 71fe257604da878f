/** What the engine gives a shard's worker, and what the worker answers when its loop has ended. */
import type { CheckpointPolicy } from '../checkpoint/schedule.ts';
import type { ErrorRecord } from '../error.ts';
import type { ArenaLayout } from '../memory/layout.ts';

/** Frames in the shard's heap that were there before the shard, in parallel arrays. */
export interface RestoredStreams {
  readonly names: readonly string[];
  readonly addresses: Uint32Array;
  readonly bytes: Uint32Array;
  /** The shard frees each frame once its stream is restored; else the frames stay, and main returns them. */
  readonly isTransient: boolean;
}

export interface ShardTask {
  readonly memory: WebAssembly.Memory;
  readonly arena: ArenaLayout;
  readonly generation: bigint;
  /** URL of the module whose default export makes the operators of a stream. */
  readonly operators: string;
  readonly policy: CheckpointPolicy;
  readonly allowUnclaimedState: boolean;
  /** Streams to restore, by their numbers on this shard. */
  readonly restored: RestoredStreams;
}

export type ShardOutcome =
  | { readonly kind: 'stopped' }
  /** The error says all; the shard has not published anything after it. */
  | { readonly kind: 'failed'; readonly error: ErrorRecord };
