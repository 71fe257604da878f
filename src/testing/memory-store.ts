/**
 * The synchronous in-memory store behind the contract of stores: an engine's durable store for tests, which
 * survives the engine but not the process.
 *
 * Every call does its work before it returns its promise, so calls take effect in the order in which they are made.
 */
import type { CheckpointId } from '../checkpoint/id.ts';
import { InMemoryCheckpointStore } from '../checkpoint/in-memory-store.ts';
import type { CheckpointState } from '../checkpoint/state.ts';
import { decodeFrame, encodeFrame } from '../codec/frame.ts';
import { type CheckpointView, viewFrame } from '../codec/view.ts';
import { TidemarkError } from '../error.ts';
import type { CheckpointStore, CommitBatch, RestorableCheckpoint, StoreContents } from '../store/contract.ts';

/** What outlives a `MemoryStore` and is found again by the next one on it. */
export class MemoryPlace {
  readonly checkpoints: InMemoryCheckpointStore;
  /** Of the store that opened the place last; 0: none has. */
  generation = 0n;
  frontiers: ReadonlyMap<string, bigint> = new Map();
  /** Of the engine that took each checkpoint, which a state does not say. */
  readonly generations: WeakMap<CheckpointState, bigint> = new WeakMap();

  /** @throws ERR_TIDEMARK_INVALID_ARGUMENT unless `perStream` is a safe integer of at least 1 */
  constructor(perStream = 3) {
    this.checkpoints = new InMemoryCheckpointStore(perStream);
  }
}

/** A later store that opens the same place takes over, and this one is fenced off. Opened once. */
export class MemoryStore implements CheckpointStore {
  readonly place: MemoryPlace;
  private state: 'new' | 'open' | 'closed' = 'new';
  private generation = 0n;

  constructor(place: MemoryPlace = new MemoryPlace()) {
    this.place = place;
  }

  /** @throws ERR_TIDEMARK_CLOSED after `close`; ERR_TIDEMARK_INVALID_ARGUMENT when it is open already */
  async open(): Promise<StoreContents> {
    if (this.state === 'closed') throw closed();
    if (this.state === 'open') {
      throw new TidemarkError('ERR_TIDEMARK_INVALID_ARGUMENT', 'the store is open already');
    }
    this.state = 'open';
    this.place.generation += 1n;
    this.generation = this.place.generation;
    const checkpoints = { [Symbol.iterator]: () => this.restorable() };
    return { generation: this.generation, frontiers: this.place.frontiers, checkpoints, lost: [] };
  }

  /** @throws ERR_TIDEMARK_FENCED; ERR_TIDEMARK_DAMAGED_FRAME when a frame does not verify; ERR_TIDEMARK_CLOSED */
  async commit({ frames, frontiers, generation }: CommitBatch): Promise<void> {
    this.requireOwner(generation);
    const { place } = this;
    for (const state of frames.map(({ bytes }) => decodeFrame(bytes))) {
      place.generations.set(state, generation);
      place.checkpoints.save(state);
    }
    place.frontiers = new Map([...place.frontiers, ...frontiers]);
  }

  async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
    this.requireOpen();
    const { checkpoints } = this.place;
    const state =
      sequence === undefined
        ? checkpoints.latest(stream)
        : checkpoints.list(stream).find(({ id }) => id.sequence === sequence);
    return state === undefined ? undefined : viewFrame(this.encode(state));
  }

  async list(stream: string): Promise<CheckpointId[]> {
    this.requireOpen();
    return this.place.checkpoints.list(stream).map(({ id }) => id);
  }

  async *streams(): AsyncGenerator<string, void> {
    this.requireOpen();
    yield* this.place.checkpoints.streamIds();
  }

  async deleteBefore(stream: string, sequence: bigint): Promise<void> {
    this.requireOwner(this.generation);
    this.place.checkpoints.deleteBefore(stream, sequence);
  }

  async forget(stream: string): Promise<void> {
    this.requireOwner(this.generation);
    this.place.checkpoints.forget(stream);
  }

  async close(): Promise<void> {
    this.state = 'closed';
  }

  private *restorable(): Generator<RestorableCheckpoint, void> {
    const { checkpoints, generations } = this.place;
    for (const stream of checkpoints.streamIds()) {
      const state = checkpoints.latest(stream);
      if (state === undefined) continue;
      const bytes = this.encode(state);
      yield {
        stream,
        sequence: state.id.sequence,
        generation: generations.get(state) ?? 0n,
        byteLength: bytes.length,
        fellBack: 0,
        copyTo: async (target) => target.set(bytes),
      };
    }
  }

  /** The frame that the state came from, byte for byte: equal states, times and generations give equal frames. */
  private encode(state: CheckpointState): Uint8Array {
    return encodeFrame(state, { generation: this.place.generations.get(state) ?? 0n });
  }

  private requireOpen(): void {
    if (this.state !== 'open') throw closed();
  }

  private requireOwner(generation: bigint): void {
    this.requireOpen();
    const owner = this.place.generation;
    if (generation === owner && this.generation === owner) return;
    throw new TidemarkError(
      'ERR_TIDEMARK_FENCED',
      `generation ${generation} may not write: generation ${owner} has opened the store`,
    );
  }
}

function closed(): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_CLOSED', 'the store is not open');
}
