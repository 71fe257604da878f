/** A store in memory, as a user might pass one, whose commits settle when the test says so. */
import {
  CheckpointId,
  type CheckpointStore,
  type CheckpointView,
  type CommitBatch,
  type StoreContents,
  viewFrame,
} from '../../../src/index.ts';

interface Kept {
  readonly sequence: bigint;
  readonly generation: bigint;
  readonly bytes: Uint8Array;
}

/** What outlives an engine. */
export class Shelf {
  generation = 0n;
  readonly streams = new Map<string, Kept[]>();
  frontiers: ReadonlyMap<string, bigint> = new Map();
}

/** A commit that the engine waits for. */
export interface HeldCommit {
  readonly batch: CommitBatch;
  /** Copies that were made when the commit began. */
  readonly copies: readonly Uint8Array[];
  settle(): void;
  fail(error: unknown): void;
}

export class LatchedStore implements CheckpointStore {
  readonly shelf: Shelf;
  /** Commits are held until they are settled; otherwise they settle in a later turn. */
  isHolding = false;
  commits = 0;
  isClosed = false;
  readonly #held: HeldCommit[] = [];
  #waiting: ((held: HeldCommit) => void)[] = [];

  constructor(shelf: Shelf = new Shelf()) {
    this.shelf = shelf;
  }

  /** The next commit that is held, in order. */
  async held(): Promise<HeldCommit> {
    return this.#held.shift() ?? (await new Promise<HeldCommit>((resolve) => this.#waiting.push(resolve)));
  }

  async open(): Promise<StoreContents> {
    this.shelf.generation += 1n;
    const newest = [...this.shelf.streams].map(([stream, kept]) => ({ stream, ...(kept.at(-1) as Kept) }));
    const { generation, frontiers } = this.shelf;
    return { generation, frontiers, checkpoints: this.#restorable(newest), lost: [] };
  }

  commit(batch: CommitBatch): Promise<void> {
    this.commits++;
    const copies = batch.frames.map(({ bytes }) => new Uint8Array(bytes));
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#keep(batch);
        resolve();
      };
      if (!this.isHolding) setImmediate(settle);
      else this.#hold({ batch, copies, settle, fail: reject });
    });
  }

  async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
    const kept = this.shelf.streams.get(stream);
    const found = sequence === undefined ? kept?.at(-1) : kept?.find((each) => each.sequence === sequence);
    return found === undefined ? undefined : viewFrame(found.bytes);
  }

  async list(stream: string): Promise<CheckpointId[]> {
    return (this.shelf.streams.get(stream) ?? []).map(({ sequence }) => new CheckpointId(stream, sequence));
  }

  async *streams(): AsyncGenerator<string> {
    yield* this.shelf.streams.keys();
  }

  async deleteBefore(stream: string, sequence: bigint): Promise<void> {
    const kept = this.shelf.streams.get(stream) ?? [];
    this.shelf.streams.set(
      stream,
      kept.filter((each) => each.sequence >= sequence),
    );
  }

  async forget(stream: string): Promise<void> {
    this.shelf.streams.delete(stream);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  async *#restorable(newest: readonly (Kept & { stream: string })[]) {
    for (const { stream, sequence, generation, bytes } of newest) {
      const copyTo = async (target: Uint8Array): Promise<void> => target.set(bytes);
      yield { stream, sequence, generation, byteLength: bytes.length, fellBack: 0, copyTo };
    }
  }

  #hold(held: HeldCommit): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#held.push(held);
    else waiting(held);
  }

  /** Reads the engine's bytes only now: they have to be what they were when the commit began. */
  #keep({ frames, frontiers, generation }: CommitBatch): void {
    for (const { stream, sequence, bytes } of frames) {
      const kept = this.shelf.streams.get(stream) ?? [];
      kept.push({ sequence, generation, bytes: new Uint8Array(bytes) });
      this.shelf.streams.set(stream, kept);
    }
    this.shelf.frontiers = new Map(frontiers);
  }
}
