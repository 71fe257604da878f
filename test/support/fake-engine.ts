/** An engine without threads, for tests of what runs on one: counts the events of each stream. */
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import type { RunnableEngine } from '../../src/cli/runner.ts';
import type { CheckpointSummary } from '../../src/engine/engine.ts';
import type { Event } from '../../src/engine/event.ts';

export class FakeEngine implements RunnableEngine {
  readonly states = new Map<string, CheckpointState>();
  readonly calls: string[] = [];
  readonly generation = 1n;
  readonly #listeners = new Map<string, (value: never) => void>();
  readonly #restored: string[];
  applied = 0;
  pushFailure: Error | undefined;

  /** @param restored offset that each stream had come to */
  constructor(restored: Readonly<Record<string, bigint>> = {}) {
    this.#restored = Object.keys(restored);
    for (const [stream, offset] of Object.entries(restored)) {
      const state = new CheckpointState(new CheckpointId(stream, 1));
      state.setSourceOffset('numbers', offset);
      state.eventCount = 1n;
      this.states.set(stream, state);
    }
  }

  get receipt(): RunnableEngine['receipt'] {
    return {
      generation: 1n,
      streams: this.#restored.map((stream) => ({ stream, sequence: 1n, generation: 1n, fellBack: 0 })),
      lost: [],
      positions: new Map(),
    };
  }

  position(): bigint | undefined {
    const offsets = [...this.states.values()].map((state) => state.sourceOffsets.get('numbers') ?? 0n);
    return offsets.length === 0
      ? undefined
      : offsets.reduce((least, offset) => (offset < least ? offset : least));
  }

  async push(events: Event | readonly Event[]): Promise<void> {
    if (this.pushFailure !== undefined) throw this.pushFailure;
    for (const event of [events].flat<(Event | readonly Event[])[]>()) {
      const state = this.states.get(event.stream) ?? new CheckpointState(new CheckpointId(event.stream, 1));
      state.eventCount += 1n;
      state.setSourceOffset('numbers', BigInt(event.offset ?? 0) + 1n);
      this.states.set(event.stream, state);
      this.applied += 1;
    }
  }

  async checkpoint(): Promise<CheckpointSummary> {
    this.calls.push('checkpoint');
    return { quarantined: [] };
  }

  quarantined(): [] {
    return [];
  }

  async retry(): Promise<void> {}

  async latest(stream: string): Promise<CheckpointState | undefined> {
    return this.states.get(stream);
  }

  streams(): IterableIterator<string> {
    return this.states.keys();
  }

  metrics(): ReturnType<RunnableEngine['metrics']> {
    const figures = {
      ringUsedBytes: 0,
      ringBytes: 0,
      heapUsedBytes: 0,
      heapBytes: 0,
      applied: 0,
      dropped: 0,
    };
    return {
      generation: 1,
      streams: this.states.size,
      shards: [0, 1].map((shard) => ({ shard, ...figures })),
      events: { accepted: this.applied, applied: this.applied, dropped: 3, skipped: 0 },
      quarantine: { streams: 0, heldEvents: 0, heldBytes: 0, droppedEvents: 0 },
      checkpoints: { stored: 40, durable: 30, storedBytes: 4_000, durableBytes: 3_000 },
      memory: { bytes: 0, heapUsedBytes: 0, heapBytes: 0, frames: 0, frameBytes: 0 },
      store: { commits: 1, refusals: 0 },
    };
  }

  async close(): Promise<CheckpointSummary> {
    this.calls.push('close');
    return { quarantined: [] };
  }

  on(event: string, listener: (value: never) => void): this {
    this.#listeners.set(event, listener);
    return this;
  }

  emit(event: 'error', error: Error): void {
    this.#listeners.get(event)?.(error as never);
  }
}
