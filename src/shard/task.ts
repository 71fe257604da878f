/** What the engine gives a shard's worker, and what the worker answers when its loop has ended. */
import type { CheckpointPolicy } from '../checkpoint/schedule.ts';
import type { ErrorRecord } from '../error.ts';
import type { ArenaLayout } from '../memory/layout.ts';

/**
 * The streams that a shard begins with, by their numbers on it, in parallel arrays: those of a store, or those of the
 * thread before it. A stream has a frame to be restored from, an image that outlived its thread, or neither.
 */
export interface HandedStreams {
  /** Undefined where a number is free. */
  readonly names: readonly (string | undefined)[];
  /** Address of the frame; 0: none, or it is a cover. */
  readonly addresses: Uint32Array;
  readonly bytes: Uint32Array;
  /** 1: the shard frees the frame once the stream is restored; else it stays, and main returns it. */
  readonly isTransient: Uint8Array;
  /** 1: it is to be forgotten, and is not brought back: what the ring still has of it is passed over. */
  readonly isPassedOver: Uint8Array;
  /** Position of the ring behind the definition of the stream: what is before it was of another one by the number. */
  readonly definedAt: Float64Array;
  /** Position of the ring up to which the stream's events have been read, as far as its state knows. */
  readonly readTo: Float64Array;
  /** Its events read up to there in this life of the engine. */
  readonly seen: Float64Array;
  /** Events in its cover, about, that are in no checkpoint. */
  readonly uncovered: Float64Array;
  /** Its event count in the newest checkpoint of this life; 0: there is none. */
  readonly checkpointCounts: Float64Array;
  readonly aside: Uint8Array;
  /** JSON of its events that were skipped and may not be delivered yet; undefined: none, or the frame says. */
  readonly letters: readonly (string | undefined)[];
}

/** Whether a stream is set aside. */
export const ASIDE = {
  no: 0,
  yes: 1,
  /** If the frame that it is restored from says so; then the main thread is to be told. */
  asRestored: 2,
} as const;

/** An event that has ended the threads before so often that it is not to be tried again. */
export interface HandedFault {
  /** Of its record in the ring. */
  readonly position: number;
  readonly attempts: number;
  readonly error: ErrorRecord;
}

/** What becomes of an event that an operator throws at, or does not survive, time after time. */
export interface PoisonPolicy {
  readonly onPoison: 'quarantine' | 'skip' | 'fail';
  /** How often an event is tried. */
  readonly attemptsMax: number;
}

/** The sources that the shard's ring has defined, by their numbers, in parallel arrays. */
export interface HandedSources {
  readonly names: readonly (string | undefined)[];
  /** Events read. */
  readonly read: Float64Array;
  /** At most the offset of the first event that no checkpoint covers, for streams that have such events. */
  readonly lows: readonly (bigint | undefined)[];
}

/** What the thread before this one left of its ring and its answers. */
export interface HandedRing {
  /** Position from which on records are read again. */
  readonly from: number;
  /** Up to here, what records define is in `streams` and `sources`. */
  readonly through: number;
  /** All events before this position are in the images that outlive their thread. */
  readonly doneTo: number;
  /** The last request to checkpoint all streams that was answered. */
  readonly checkpointsDone: number;
  /** Events counted up to position `countedTo`. */
  readonly applied: number;
  readonly dropped: number;
  readonly countedTo: number;
}

export interface Handover {
  readonly streams: HandedStreams;
  readonly sources: HandedSources;
  readonly ring: HandedRing;
  /** Ascending by position. */
  readonly faults: readonly HandedFault[];
  /** Frames in the shard's heap apart from those of `streams`: they are the main thread's to return. */
  readonly otherFrames: { readonly addresses: Uint32Array; readonly bytes: Uint32Array };
}

export interface ShardTask {
  readonly memory: WebAssembly.Memory;
  readonly arena: ArenaLayout;
  readonly generation: bigint;
  /** URL of the module whose default export makes the operators of a stream. */
  readonly operators: string;
  readonly policy: CheckpointPolicy;
  readonly poison: PoisonPolicy;
  readonly allowUnclaimedState: boolean;
  readonly handover: Handover;
}

export type ShardOutcome =
  | { readonly kind: 'stopped' }
  /**
   * The error says all; the shard has not published anything after it. With `isOfEvent` it is of the event under way,
   * and another thread may try that again.
   */
  | { readonly kind: 'failed'; readonly error: ErrorRecord; readonly isOfEvent: boolean };
