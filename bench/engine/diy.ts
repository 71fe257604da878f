/**
 * The parts that a service without an engine would write by hand: streams in a Map, a checkpoint object
 * after so many events, and lmdb to keep it. Both `diy` subjects are made of them.
 *
 * A checkpoint holds what tidemark's holds: sequence, watermark, count, state, offset. Only the newest of
 * a stream is kept, and nothing says which offset is safe to commit for all streams together; both would
 * cost these subjects more.
 */
import { load } from '../compare/packages.ts';
import type { LoadEvent, LoadKind } from './load.ts';
import {
  type Aggregate,
  addReading,
  LARGE_SLOT_BYTES,
  newAggregate,
  type Reading,
  stepLarge,
} from './operators.ts';
import type { FoundState } from './subject.ts';

interface Counter {
  count: number;
  total: number;
}

export type DiyState = Counter | Aggregate | Uint8Array;

export interface DiyCheckpoint {
  readonly sequence: number;
  readonly watermarkNs: number;
  readonly eventCount: number;
  readonly operators: Readonly<Record<string, DiyState>>;
  readonly sources: { readonly bench: number };
}

interface DiyOperator<State extends DiyState> {
  readonly name: string;
  create(): State;
  process(state: State, payload: Uint8Array | string): void;
}

const counter: DiyOperator<Counter> = {
  name: 'counter',
  create: () => ({ count: 0, total: 0 }),
  process(state, payload) {
    state.count++;
    state.total += payload[0] as number;
  },
};

const views = new WeakMap<Uint8Array, DataView>();

const large: DiyOperator<Uint8Array> = {
  name: 'large',
  create() {
    const bytes = new Uint8Array(LARGE_SLOT_BYTES);
    views.set(bytes, new DataView(bytes.buffer));
    return bytes;
  },
  process: (state, payload) => stepLarge(views.get(state) as DataView, payload[0] as number),
};

const aggregate: DiyOperator<Aggregate> = {
  name: 'aggregate',
  create: newAggregate,
  process: (state, payload) => addReading(state, JSON.parse(payload as string) as Reading),
};

const OPERATORS = { slots: counter, large, json: aggregate } as const;

interface DiyStream {
  events: number;
  nextOffset: number;
  isDirty: boolean;
  readonly state: DiyState;
}

export class DiyStreams {
  events = 0;
  checkpoints = 0;
  readonly #streams = new Map<string, DiyStream>();
  readonly #operator: DiyOperator<DiyState>;
  readonly #everyEvents: number;
  readonly #save: (stream: string, checkpoint: DiyCheckpoint) => void;

  constructor(
    plan: { readonly kind: LoadKind; readonly everyEvents: number },
    save: (stream: string, checkpoint: DiyCheckpoint) => void,
  ) {
    // It gets back only states that it created.
    this.#operator = OPERATORS[plan.kind] as DiyOperator<DiyState>;
    this.#everyEvents = plan.everyEvents;
    this.#save = save;
  }

  apply(batch: readonly LoadEvent[]): void {
    for (const { stream: name, payload, offset } of batch) {
      let stream = this.#streams.get(name);
      if (stream === undefined) {
        stream = { events: 0, nextOffset: 0, isDirty: false, state: this.#operator.create() };
        this.#streams.set(name, stream);
      }
      this.#operator.process(stream.state, payload);
      stream.events++;
      stream.nextOffset = offset + 1;
      stream.isDirty = true;
      if (stream.events % this.#everyEvents === 0) this.#checkpoint(name, stream);
    }
    this.events += batch.length;
  }

  /** Checkpoints what has changed since the last time. */
  checkpointAll(): void {
    for (const [name, stream] of this.#streams) {
      if (stream.isDirty) this.#checkpoint(name, stream);
    }
  }

  #checkpoint(name: string, stream: DiyStream): void {
    this.#save(name, {
      sequence: stream.events,
      watermarkNs: 0,
      eventCount: stream.events,
      operators: { [this.#operator.name]: stream.state },
      sources: { bench: stream.nextOffset },
    });
    stream.isDirty = false;
    this.checkpoints++;
  }
}

interface Database {
  put(key: string, value: Uint8Array): Promise<boolean>;
  get(key: string): Buffer | undefined;
  /** Resolves when everything put before is on disk. */
  readonly flushed: Promise<boolean>;
  close(): Promise<void>;
}

/** As much as tidemark puts into one commit: what may wait to be written. */
const PENDING_BYTES_MAX = 2 ** 25;

/** Puts are batched and synced by lmdb, in a thread of its own. */
export class LmdbLog {
  readonly #database: Database;
  #pendingBytes = 0;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(database: Database) {
    this.#database = database;
  }

  static async open(directory: string): Promise<LmdbLog> {
    const lmdb = await load<{
      open(options: { path: string; encoding: 'binary'; mapSize: number }): Database;
    }>('lmdb');
    return new LmdbLog(lmdb.open({ path: directory, encoding: 'binary', mapSize: 2 ** 32 }));
  }

  put(stream: string, bytes: Uint8Array): void {
    this.#pendingBytes += bytes.length;
    this.#last = this.#database.put(stream, bytes).then(() => {
      this.#pendingBytes -= bytes.length;
    });
  }

  get isFull(): boolean {
    return this.#pendingBytes > PENDING_BYTES_MAX;
  }

  /** Resolves when everything that was put is committed. */
  async drain(): Promise<void> {
    await this.#last;
  }

  async flush(): Promise<void> {
    await this.#last;
    await this.#database.flushed;
  }

  get(stream: string): Buffer | undefined {
    return this.#database.get(stream);
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

export function foundIn(checkpoint: DiyCheckpoint): FoundState {
  const [state] = Object.values(checkpoint.operators);
  const { eventCount: events, sources } = checkpoint;
  if (state instanceof Uint8Array) {
    const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
    const [count, total] = [view.getUint32(0, true), view.getUint32(4, true)];
    return { events, nextOffset: sources.bench, count, total };
  }
  return { events, nextOffset: sources.bench, count: state?.count ?? -1, total: state?.total ?? -1 };
}
