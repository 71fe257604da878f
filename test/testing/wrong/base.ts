/** A store in memory that keeps all clauses, those about full stores too, for wrong ones to deviate from. */
import { TidemarkError } from '../../../src/error.ts';
import type { CommitBatch, StoreContents } from '../../../src/store/contract.ts';
import { MemoryPlace, MemoryStore, type StoreFactory } from '../../../src/testing/index.ts';

const CAPACITY_BYTES = 2 ** 20;

export class Place extends MemoryPlace {
  /** Bytes of the newest checkpoint of each stream. */
  readonly sizes = new Map<string, number>();
  /** Bytes that are taken for no good reason. */
  leaked = 0;
  /** Grows with every crash: what a store left to do is not done after it. */
  crashes = 0;

  get bytesUsed(): number {
    return [...this.sizes.values()].reduce((sum, bytes) => sum + bytes, this.leaked);
  }
}

export class Store extends MemoryStore {
  declare readonly place: Place;

  override async commit(batch: CommitBatch): Promise<void> {
    this['requireOwner'](batch.generation);
    this.requireRoom(batch);
    await this.keep(batch);
  }

  override async deleteBefore(stream: string, sequence: bigint): Promise<void> {
    await super.deleteBefore(stream, sequence);
    if (this.place.checkpoints.checkpointCount(stream) === 0) this.place.sizes.delete(stream);
  }

  override async forget(stream: string): Promise<void> {
    await super.forget(stream);
    this.place.sizes.delete(stream);
  }

  /** @throws ERR_TIDEMARK_STORE_FULL */
  requireRoom({ frames }: CommitBatch): void {
    const { place } = this;
    const more = frames.reduce(
      (sum, { stream, bytes }) => sum + bytes.length - (place.sizes.get(stream) ?? 0),
      place.bytesUsed,
    );
    if (more <= CAPACITY_BYTES) return;
    throw new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'there is no room', { retryable: true });
  }

  /** Keeps the batch, whoever owns the place. */
  keep(batch: CommitBatch): Promise<void> {
    const { place } = this;
    for (const { stream, bytes } of batch.frames) place.sizes.set(stream, bytes.length);
    const owner = place.generation;
    const own = this['generation'];
    place.generation = own;
    // It keeps everything before it returns its promise, so nobody else sees the place like this.
    const kept = super.commit({ ...batch, generation: own });
    place.generation = owner;
    return kept;
  }

  /** Opens, and says what `change` makes of the contents. */
  async openWith(change: (contents: StoreContents) => Partial<StoreContents>): Promise<StoreContents> {
    const contents = await super.open();
    return { ...contents, ...change(contents) };
  }
}

/** As `Store`, but a place that is open is locked. */
export class LockingStore extends Store {
  static readonly holders = new WeakMap<Place, LockingStore>();

  override async open(): Promise<StoreContents> {
    const { holders } = LockingStore;
    if (holders.has(this.place)) throw new TidemarkError('ERR_TIDEMARK_DIRECTORY_LOCKED', 'it is in use');
    holders.set(this.place, this);
    return super.open();
  }

  override async close(): Promise<void> {
    await super.close();
    const { holders } = LockingStore;
    if (holders.get(this.place) === this) holders.delete(this.place);
  }
}

export const FENCING: StoreFactory<Place> = {
  secondOpener: 'fences',
  perStream: 3,
  capacityBytes: CAPACITY_BYTES,
  create: () => new Place(3),
  connect: (place) => new Store(place),
  crash(place) {
    place.crashes += 1;
  },
};

export const LOCKING: StoreFactory<Place> = {
  ...FENCING,
  secondOpener: 'refused',
  connect: (place) => new LockingStore(place),
  crash(place) {
    LockingStore.holders.delete(place);
  },
};

/** A store that breaks one clause and no other. */
export interface WrongStore {
  readonly clause: string;
  /** What is wrong with it, as its author might never have noticed. */
  readonly fault: string;
  readonly factory: StoreFactory<Place>;
}

type StoreClass = new (place: Place) => Store;

export function wrong(
  clause: string,
  fault: string,
  Wrong: StoreClass,
  factory: Partial<StoreFactory<Place>> = {},
): WrongStore {
  return { clause, fault, factory: { ...FENCING, ...factory, connect: (place) => new Wrong(place) } };
}

/** A later turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Something of each place that only one kind of wrong store knows of. */
export function perPlace<Value>(make: () => Value): (place: Place) => Value {
  const values = new WeakMap<Place, Value>();
  return (place) => {
    const value = values.get(place) ?? make();
    values.set(place, value);
    return value;
  };
}
