/** A commit pipeline over a store whose commits the test settles, and one source whose frontier it sets. */
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { CommitPipeline } from '../../src/engine/commit-pipeline.ts';
import { SourceProgress } from '../../src/engine/frontiers.ts';
import type { TidemarkError } from '../../src/error.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { CentralStore } from '../../src/store/central-store.ts';
import type { CheckpointStore, CommitBatch } from '../../src/store/contract.ts';
import { IndexedStream, StoredFrame } from '../../src/store/stored-frame.ts';

/** A call to the store, which the test settles. */
interface Held {
  readonly settle: () => Promise<void>;
  readonly fail: (error: unknown) => Promise<void>;
}

/** More than the delay after which late frontiers are committed. */
export const LATER_MS = 1_000;

/** For every test of the file; none may leave more than one timer behind. */
export function useFakeTimers(): void {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1);
    vi.useRealTimers();
  });
}

export interface HeldCommit extends Held {
  readonly batch: CommitBatch;
}

export interface HeldForget extends Held {
  readonly name: string;
}

export const memory = EngineMemory.reserve(2 ** 16);

class BenchSource extends SourceProgress {
  readonly #bench: CommitBench;

  constructor(bench: CommitBench) {
    super(0, 'file', undefined);
    this.#bench = bench;
  }

  override frontier(pending: bigint | undefined): bigint | undefined {
    const { reached, uncovered } = this.#bench;
    const least = pending === undefined || (uncovered ?? pending) < pending ? uncovered : pending;
    return least ?? (reached === 0n ? undefined : reached);
  }
}

/** The source `file`, whose frontier is `uncovered` or, with nothing uncovered, `reached`. */
export class CommitBench {
  readonly central = new CentralStore({ shards: 1, perStream: 3, isDurable: true, release: () => undefined });
  readonly streams = Array.from({ length: 3_000 }, (_, index) => new IndexedStream(`s${index}`, 0));
  readonly commits: HeldCommit[] = [];
  readonly forgets: HeldForget[] = [];
  readonly durable: (readonly [streams: string[], through: number])[] = [];
  readonly forgotten: string[][] = [];
  readonly frontiers: (readonly [string, bigint])[] = [];
  readonly errors: unknown[] = [];
  readonly refusals: TidemarkError[] = [];
  relieved = 0;
  nowMs = 0;
  /** Commits begin at once. */
  isAwaited = true;
  reached = 0n;
  uncovered: bigint | undefined;
  readonly source = new BenchSource(this);
  readonly pipeline: CommitPipeline;
  #sequence = 0n;

  constructor(
    restored: ReadonlyMap<string, bigint> = new Map(),
    store?: Partial<CheckpointStore>,
    storeFullTimeoutMs = 30_000,
  ) {
    const held: Partial<CheckpointStore> = {
      commit: (batch) => this.#hold((call) => this.commits.push({ ...call, batch })),
      forget: (name) => this.#hold((call) => this.forgets.push({ ...call, name })),
    };
    this.pipeline = new CommitPipeline(
      {
        memory,
        store: { ...held, ...store } as CheckpointStore,
        central: this.central,
        generation: 9n,
        clock: { now: () => this.nowMs, wallMs: () => 0 },
        storeFullTimeoutMs,
        isAwaited: () => this.isAwaited,
        sources: () => [this.source],
        onDurable: (frames, through) =>
          void this.durable.push([frames.map(({ stream }) => stream.name), through]),
        onForgotten: (streams) => void this.forgotten.push(streams.map(({ name }) => name)),
        onFrontier: (source, offset) => void this.frontiers.push([source, offset]),
        onRefused: (error) => void this.refusals.push(error),
        onRoom: () => void this.relieved++,
        onError: (error) => void this.errors.push(error),
      },
      restored,
    );
  }

  add(stream: number, low?: bigint, bytes = 16): StoredFrame {
    const frame = new StoredFrame(this.streams[stream] as IndexedStream, {
      sequence: ++this.#sequence,
      address: 64 + Number(this.#sequence % 1_000n) * 16,
      bytes,
      seen: 1,
      lows: low === undefined ? [] : [{ source: 0, offset: low }],
    });
    this.central.add(frame);
    return frame;
  }

  /** The shard has given up the stream, with an event at `low` that is in no frame; another one follows under its name. */
  forget(stream: number, low?: bigint): void {
    const over = this.streams[stream] as IndexedStream;
    this.central.forget(over, low === undefined ? [] : [{ source: 0, offset: low }]);
    this.streams[stream] = new IndexedStream(over.name, over.shard);
  }

  last(): HeldCommit {
    const last = this.commits.at(-1);
    if (last === undefined) throw new Error('nothing was committed');
    return last;
  }

  names(commit: number): string[] {
    return (this.commits[commit]?.batch.frames ?? []).map(({ stream }) => stream);
  }

  #hold(keep: (held: Held) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const heard = async (): Promise<void> => {
      await promise.catch(() => undefined);
      // What follows a call follows within these.
      for (let i = 0; i < 9; i++) await Promise.resolve();
    };
    keep({
      settle: () => {
        resolve();
        return heard();
      },
      fail: (error) => {
        reject(error as Error);
        return heard();
      },
    });
    return promise;
  }
}
