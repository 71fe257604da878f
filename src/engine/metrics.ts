/** What an engine says about itself: its events, and its figures as plain numbers. */
import type { EventEmitter } from 'node:events';
import type { QuarantinedStream } from './quarantine.ts';

export interface CheckpointEvent {
  readonly stream: string;
  readonly sequence: bigint;
  /** Length of the frame. */
  readonly bytes: number;
}

type PressureEvent =
  | { readonly shard: number; readonly what: 'ring' | 'memory' }
  | { readonly shard: undefined; readonly what: 'store' };

export interface RestartEvent {
  /** Undefined: the store writer. */
  readonly shard: number | undefined;
  /** What the thread ended with. */
  readonly cause: Error;
  /** Streams that it has; of the store writer none. */
  readonly streams: number;
  /** Of a shard, events that it reads again; of the store writer, checkpoints that are committed again. */
  readonly replayed: number;
  /** Milliseconds from the end of the one thread to the begin of the other. */
  readonly ms: number;
}

export interface QuarantineEvent {
  readonly stream: string;
  /** Of the event at which it is set aside. */
  readonly sequence: bigint;
  /** Undefined for an event without a source. */
  readonly source: string | undefined;
  readonly offset: bigint | undefined;
  /** What an operator threw, or how the thread ended. */
  readonly error: Error;
  /** How often the event was tried. */
  readonly attempts: number;
}

export interface EngineEvents {
  /** A checkpoint is in the central store. */
  checkpoint: [CheckpointEvent];
  /** A checkpoint is in the durable store. */
  durable: [CheckpointEvent];
  /** Everything of `source` below `offset` is durable: what may be committed back to the source. */
  frontier: [{ readonly source: string; readonly offset: bigint }];
  /** A stream is set aside, because one of its events fails time after time; what follows is held out of it. */
  quarantine: [QuarantineEvent];
  /** A push begins to wait for a shard's ring, a shard asks for memory, or the durable store begins to be full. */
  pressure: [PressureEvent];
  /** A thread has ended without being told to, and another one has taken its place. */
  restart: [RestartEvent];
  /** The engine has failed. Does not throw without a listener. */
  error: [Error];
}

/** Emits; a listener that throws must not stop the engine halfway through its own work. */
export function emitSafely<Name extends keyof EngineEvents>(
  engine: EventEmitter<EngineEvents>,
  name: Name,
  ...args: EngineEvents[Name]
): void {
  try {
    (engine as EventEmitter).emit(name, ...args);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

export interface ShardMetrics {
  readonly shard: number;
  /** Bytes of the ingest ring that hold events. */
  readonly ringUsedBytes: number;
  readonly ringBytes: number;
  readonly heapUsedBytes: number;
  readonly heapBytes: number;
  readonly applied: number;
  readonly dropped: number;
}

export interface EngineMetrics {
  readonly generation: number;
  readonly streams: number;
  readonly shards: readonly ShardMetrics[];
  /** In this life. */
  readonly events: {
    readonly accepted: number;
    readonly applied: number;
    /** Duplicates. */
    readonly dropped: number;
    /** Given up, by `onPoison: 'skip'`, after `maxAttempts`. */
    readonly skipped: number;
  };
  /** What is held out of streams that are set aside; events that were dropped for want of room are not held. */
  readonly quarantine: {
    readonly streams: number;
    readonly heldEvents: number;
    readonly heldBytes: number;
    readonly droppedEvents: number;
  };
  readonly checkpoints: {
    readonly stored: number;
    readonly durable: number;
    readonly storedBytes: number;
    readonly durableBytes: number;
  };
  readonly memory: {
    readonly bytes: number;
    readonly heapUsedBytes: number;
    readonly heapBytes: number;
    /** Checkpoints in memory. */
    readonly frames: number;
    readonly frameBytes: number;
  };
  readonly store: {
    readonly commits: number;
    /** Commits, and requests to forget streams, that the store refused for want of room. */
    readonly refusals: number;
  };
}

export function sumMetrics(facts: {
  generation: bigint;
  streams: number;
  shards: readonly ShardMetrics[];
  accepted: number;
  stored: { count: number; bytes: number };
  durable: { count: number; bytes: number };
  memoryBytes: number;
  frames: { count: number; bytes: number };
  commits: number;
  refusals: number;
  skipped: number;
  quarantined: readonly QuarantinedStream[];
}): EngineMetrics {
  const sum = (of: (shard: ShardMetrics) => number): number =>
    facts.shards.reduce((total, shard) => total + of(shard), 0);
  const held = (of: (stream: QuarantinedStream) => number): number =>
    facts.quarantined.reduce((total, stream) => total + of(stream), 0);
  return {
    generation: Number(facts.generation),
    streams: facts.streams,
    shards: facts.shards,
    events: {
      accepted: facts.accepted,
      applied: sum((shard) => shard.applied),
      dropped: sum((shard) => shard.dropped),
      skipped: facts.skipped,
    },
    quarantine: {
      streams: facts.quarantined.length,
      heldEvents: held((stream) => stream.heldEvents),
      heldBytes: held((stream) => stream.heldBytes),
      droppedEvents: held((stream) => stream.droppedEvents),
    },
    checkpoints: {
      stored: facts.stored.count,
      durable: facts.durable.count,
      storedBytes: facts.stored.bytes,
      durableBytes: facts.durable.bytes,
    },
    memory: {
      bytes: facts.memoryBytes,
      heapUsedBytes: sum((shard) => shard.heapUsedBytes),
      heapBytes: sum((shard) => shard.heapBytes),
      frames: facts.frames.count,
      frameBytes: facts.frames.bytes,
    },
    store: { commits: facts.commits, refusals: facts.refusals },
  };
}
