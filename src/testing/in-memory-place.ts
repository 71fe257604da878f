/** A place for checkpoints in the memory of the process: for tests of what uses a store, without a disk. */
import { CheckpointId } from '../checkpoint/id.ts';
import { InMemoryCheckpointStore } from '../checkpoint/in-memory-store.ts';
import { decodeFrame, encodeFrame } from '../codec/frame.ts';
import { type CheckpointView, viewFrame } from '../codec/view.ts';
import { TidemarkError } from '../error.ts';
import type { CheckpointStore, CommitBatch, RestorableCheckpoint, StoreContents } from '../store/contract.ts';
import type { StorePlace } from './factory.ts';

export interface InMemoryPlaceOptions {
  /** Checkpoints kept of each stream. Default 3. */
  readonly perStream?: number;
}

/**
 * Stores on it share what they keep for as long as the place is held; each opening fences the stores that were opened
 * before it.
 */
export class InMemoryPlace implements StorePlace {
  readonly perStream: number;
  /** What its stores keep. */
  readonly streams = new Map<string, InMemoryCheckpointStore>();
  frontiers = new Map<string, bigint>();
  /** Of the last opening. */
  generation = 0n;

  constructor({ perStream = 3 }: InMemoryPlaceOptions = {}) {
    this.perStream = perStream;
  }

  store(): CheckpointStore {
    return new InMemoryStore(this);
  }
}

class InMemoryStore implements CheckpointStore {
  readonly #place: InMemoryPlace;
  #generation: bigint | undefined;

  constructor(place: InMemoryPlace) {
    this.#place = place;
  }

  async open(): Promise<StoreContents> {
    const place = this.#place;
    place.generation += 1n;
    this.#generation = place.generation;
    const checkpoints = [...place.streams.keys()].map((stream) => this.#restorable(stream));
    return { generation: place.generation, frontiers: new Map(place.frontiers), checkpoints, lost: [] };
  }

  async commit({ frames, frontiers, generation }: CommitBatch): Promise<void> {
    this.#requireOwner(generation);
    // All are read before the first is kept: a batch is there as a whole or not at all.
    const states = frames.map(({ bytes }) => decodeFrame(bytes));
    for (const state of states) {
      const { streamId } = state.id;
      const kept = this.#place.streams.get(streamId) ?? new InMemoryCheckpointStore(this.#place.perStream);
      kept.save(state);
      this.#place.streams.set(streamId, kept);
    }
    this.#place.frontiers = new Map([...this.#place.frontiers, ...frontiers]);
  }

  async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
    this.#requireOpen();
    const bytes = this.#frame(stream, sequence);
    return bytes === undefined ? undefined : viewFrame(bytes);
  }

  async list(stream: string): Promise<CheckpointId[]> {
    this.#requireOpen();
    const kept = this.#place.streams.get(stream)?.list(stream) ?? [];
    return kept.map(({ id }) => new CheckpointId(stream, id.sequence, id.createdAt));
  }

  async *streams(): AsyncGenerator<string, void> {
    this.#requireOpen();
    // As they are now: streams may come and go while somebody iterates.
    const names = [...this.#place.streams.keys()];
    yield* names;
  }

  async deleteBefore(stream: string, sequence: bigint): Promise<void> {
    this.#requireOwner();
    const kept = this.#place.streams.get(stream);
    kept?.deleteBefore(stream, sequence);
    if (kept?.checkpointCount(stream) === 0) this.#place.streams.delete(stream);
  }

  async forget(stream: string): Promise<void> {
    this.#requireOwner();
    this.#place.streams.delete(stream);
  }

  async close(): Promise<void> {
    this.#generation = undefined;
  }

  #restorable(stream: string): RestorableCheckpoint {
    const bytes = this.#frame(stream) as Uint8Array;
    const { sequence, generation } = viewFrame(bytes);
    const copyTo = async (target: Uint8Array): Promise<void> => target.set(bytes);
    return { stream, sequence, generation, byteLength: bytes.length, fellBack: 0, copyTo };
  }

  #frame(stream: string, sequence?: bigint): Uint8Array | undefined {
    const kept = this.#place.streams.get(stream)?.list(stream) ?? [];
    const state = sequence === undefined ? kept.at(-1) : kept.find(({ id }) => id.sequence === sequence);
    return state === undefined ? undefined : encodeFrame(state, { generation: this.#place.generation });
  }

  #requireOpen(): void {
    if (this.#generation !== undefined) return;
    throw new TidemarkError('ERR_TIDEMARK_CLOSED', 'the store is not open');
  }

  #requireOwner(generation = this.#generation): void {
    this.#requireOpen();
    if (generation === this.#place.generation) return;
    const message = `generation ${generation} may not write: generation ${this.#place.generation} has opened the store`;
    throw new TidemarkError('ERR_TIDEMARK_FENCED', message);
  }
}
