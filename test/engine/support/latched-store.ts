/**
 * A store in memory, as a user might pass one, whose commits and forgettings settle when the test says so. It throws if
 * the engine has both under way.
 */
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

  /** What is there now, as a crash would leave it. */
  copy(): Shelf {
    const copy = new Shelf();
    copy.generation = this.generation;
    copy.frontiers = this.frontiers;
    for (const [stream, kept] of this.streams) copy.streams.set(stream, [...kept]);
    return copy;
  }
}

/** A call that the engine waits for. */
interface Held {
  settle(): void;
  fail(error: unknown): void;
}

export interface HeldCommit extends Held {
  readonly batch: CommitBatch;
  /** Copies that were made when the commit began. */
  readonly copies: readonly Uint8Array[];
}

export interface HeldForget extends Held {
  readonly stream: string;
}

/** Calls that are held, and who waits for the next one. */
class Latch<Call> {
  readonly #held: Call[] = [];
  #waiting: ((held: Call) => void)[] = [];

  async next(): Promise<Call> {
    return this.#held.shift() ?? (await new Promise<Call>((resolve) => this.#waiting.push(resolve)));
  }

  hold(held: Call): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#held.push(held);
    else waiting(held);
  }
}

export class LatchedStore implements CheckpointStore {
  readonly shelf: Shelf;
  /** Commits are held until they are settled; otherwise they settle in a later turn. */
  isHolding = false;
  isHoldingForgets = false;
  /** What every commit, and every request to forget a stream, is refused with while it is set. */
  refusal: Error | undefined;
  /** Streams may be forgotten all the same. */
  canForget = false;
  commits = 0;
  forgets = 0;
  isClosed = false;
  readonly #commits = new Latch<HeldCommit>();
  readonly #forgets = new Latch<HeldForget>();
  #underWay = { commits: 0, forgets: 0 };

  constructor(shelf: Shelf = new Shelf()) {
    this.shelf = shelf;
  }

  /** The next commit that is held, in order. */
  held(): Promise<HeldCommit> {
    return this.#commits.next();
  }

  heldForget(): Promise<HeldForget> {
    return this.#forgets.next();
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
    return this.#call(
      'commits',
      () => this.#keep(batch),
      (held) => {
        const { refusal } = this;
        if (refusal !== undefined) setImmediate(() => held.fail(refusal));
        else if (!this.isHolding) setImmediate(held.settle);
        else this.#commits.hold({ ...held, batch, copies });
      },
    );
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

  forget(stream: string): Promise<void> {
    this.forgets++;
    return this.#call(
      'forgets',
      () => this.shelf.streams.delete(stream),
      (held) => {
        const { refusal } = this;
        if (refusal !== undefined && !this.canForget) setImmediate(() => held.fail(refusal));
        else if (!this.isHoldingForgets) setImmediate(held.settle);
        else this.#forgets.hold({ ...held, stream });
      },
    );
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

  #call(kind: 'commits' | 'forgets', apply: () => void, hold: (held: Held) => void): Promise<void> {
    const underWay = this.#underWay;
    underWay[kind]++;
    if (underWay.commits > 0 && underWay.forgets > 0)
      throw new Error('a commit is under way while a stream is forgotten');
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        underWay[kind]--;
        apply();
        resolve();
      };
      const fail = (error: unknown): void => {
        underWay[kind]--;
        reject(error as Error);
      };
      hold({ settle, fail });
    });
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
