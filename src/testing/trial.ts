/**
 * One clause being tried: a place of its own, and the stores that were opened on it, which are closed when the
 * clause ends. It gives no opinion of a store; that is for the clauses.
 */
import { CheckpointId } from '../checkpoint/id.ts';
import { CheckpointState } from '../checkpoint/state.ts';
import { encodeFrame } from '../codec/frame.ts';
import type { CheckpointStore, FrameRef, RestorableCheckpoint, StoreContents } from '../store/contract.ts';
import type { StoreFactory } from './factory.ts';

export interface Clause {
  /** A sentence about stores that is true of all that pass. */
  readonly name: string;
  /** Whether the clause says anything about stores of this factory. Default: of all. */
  readonly suits?: (factory: StoreFactory<unknown>) => boolean;
  readonly check: (trial: Trial) => Promise<void>;
}

/** Wall clock of all frames: a day in 2023. */
export const CREATED_AT = new Date(1_700_000_000_000);

export interface FrameShape {
  /** Bytes of operator state. Default 40. */
  readonly stateBytes?: number;
  /** Makes frames of one stream and sequence differ. Default 0. */
  readonly salt?: number;
}

/** A frame whose bytes follow from what it is. */
export function frameOf(
  generation: bigint,
  stream: string,
  sequence: bigint | number,
  { stateBytes = 40, salt = 0 }: FrameShape = {},
): FrameRef {
  const state = new CheckpointState(new CheckpointId(stream, sequence, CREATED_AT));
  const seed = 7 * (Number(BigInt(sequence) % 251n) + stream.length + salt);
  const bytes = new Uint8Array(stateBytes);
  for (let i = 0; i < stateBytes; i++) bytes[i] = 31 * i + seed;
  state.setOperatorState('operator', bytes);
  state.eventCount = sequence;
  return { stream, sequence: BigInt(sequence), bytes: encodeFrame(state, { generation }) };
}

/** A store that is open, with what it said when it was opened. */
export class Opened {
  readonly store: CheckpointStore;
  readonly contents: StoreContents;

  constructor(store: CheckpointStore, contents: StoreContents) {
    this.store = store;
    this.contents = contents;
  }

  get generation(): bigint {
    return this.contents.generation;
  }

  frame(stream: string, sequence: bigint | number, shape?: FrameShape): FrameRef {
    return frameOf(this.generation, stream, sequence, shape);
  }

  async commit(frames: readonly FrameRef[], frontiers: Iterable<[string, bigint]> = []): Promise<void> {
    const { store, generation } = this;
    await store.commit({ frames, frontiers: new Map(frontiers), generation });
  }

  /** Commits a checkpoint of `stream` at each of `sequences`, one after the other. */
  async save(stream: string, ...sequences: readonly (bigint | number)[]): Promise<void> {
    for (const sequence of sequences) await this.commit([this.frame(stream, sequence)]);
  }

  /** Whether the store has the checkpoint. */
  async has(stream: string, sequence: bigint | number): Promise<boolean> {
    return (await this.store.read(stream, BigInt(sequence))) !== undefined;
  }

  /** A copy of the frame of the checkpoint. */
  async bytes(stream: string, sequence?: bigint | number): Promise<Uint8Array | undefined> {
    const which = sequence === undefined ? [] : [BigInt(sequence)];
    const view = await this.store.read(stream, ...which);
    return view === undefined ? undefined : new Uint8Array(view.bytes);
  }

  async streams(): Promise<string[]> {
    const names: string[] = [];
    for await (const name of this.store.streams()) names.push(name);
    return names;
  }

  async checkpoints(): Promise<RestorableCheckpoint[]> {
    const checkpoints: RestorableCheckpoint[] = [];
    for await (const checkpoint of this.contents.checkpoints) checkpoints.push(checkpoint);
    return checkpoints;
  }
}

export class Trial {
  readonly factory: StoreFactory<unknown>;
  private readonly place: unknown;
  private stores: CheckpointStore[] = [];

  private constructor(factory: StoreFactory<unknown>, place: unknown) {
    this.factory = factory;
    this.place = place;
  }

  /** Rejects with what the clause found wrong. */
  static async run(factory: StoreFactory<unknown>, { check }: Clause): Promise<void> {
    const place = await factory.create();
    const trial = new Trial(factory, place);
    try {
      await check(trial);
    } finally {
      // What a store says at its end is the business of the clauses about closing: it may have been fenced off.
      const closings = trial.stores.map(async (store) => store.close());
      await Promise.allSettled(closings);
      await factory.dispose?.(place);
    }
  }

  /** Checkpoints of a stream that are kept for certain. */
  get perStream(): number {
    return this.factory.perStream ?? 1;
  }

  /** A store that is not open yet. */
  async connect(): Promise<CheckpointStore> {
    const store = await this.factory.connect(this.place);
    this.stores.push(store);
    return store;
  }

  async open(): Promise<Opened> {
    const store = await this.connect();
    return new Opened(store, await store.open());
  }

  /** Closes `opened` and opens the place again. */
  async reopen(opened: Opened): Promise<Opened> {
    await opened.store.close();
    return this.open();
  }

  /** Crashes all stores of the place. */
  async crash(): Promise<void> {
    this.stores = [];
    await this.factory.crash?.(this.place);
  }
}
