/**
 * Frontiers over real shards under random interleavings of push, shard turns, partly read completions,
 * commits that begin and end. The model knows of every event whether a durable checkpoint covers it.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { encodeFrame } from '../../src/codec/frame.ts';
import { computeFrontiers, SourceProgress } from '../../src/engine/frontiers.ts';
import { CentralStore } from '../../src/store/central-store.ts';
import { IndexedStream, type SourceLow, StoredFrame } from '../../src/store/stored-frame.ts';
import { type Completion, ShardHarness } from '../support/shard-harness.ts';
import { counter } from '../support/shard-operators.ts';

const SHARDS = 3;
const STREAMS = 7;
const SOURCES = ['x', 'y', 'z'];

interface Accepted {
  readonly stream: IndexedStream;
  /** How many events of its stream were pushed up to it. */
  readonly seen: number;
  readonly source: string;
  readonly offset: bigint;
}

class World {
  readonly sources: SourceProgress[];
  readonly streams: IndexedStream[];
  readonly #shards: ShardHarness[];
  readonly #central: CentralStore;
  readonly #lows: SourceLow[][];
  readonly #restored: Map<string, bigint>;
  /** By source: where reading goes on. */
  readonly #reading = new Map<string, bigint>();
  /** By stream and source: next offset, as a shard that has read everything would have it. */
  readonly #next = new Map<string, bigint>();
  readonly #pushed = new Map<IndexedStream, number>();
  readonly #durable = new Map<IndexedStream, number>();
  #uncovered: Accepted[] = [];
  /** Streams that are over, by name, until their shard has said so. */
  readonly #over = new Map<string, IndexedStream>();
  #forgetting: IndexedStream[] = [];
  #mayLag = false;
  #commit: { frames: readonly StoredFrame[]; frontiers: Map<string, bigint> } | undefined;
  #request = 0;

  constructor(restored: boolean) {
    this.#restored = new Map(
      restored
        ? [
            ['x', 6n],
            ['y', 9n],
          ]
        : [],
    );
    this.sources = SOURCES.map((name, index) => new SourceProgress(index, name, this.#restored.get(name)));
    for (const [name, offset] of this.#restored) this.#reading.set(name, offset);
    this.streams = Array.from(
      { length: STREAMS },
      (_, index) => new IndexedStream(`s${index}`, index % SHARDS),
    );
    const frames = restored ? this.streams.slice(0, 4).map((stream) => this.#restoredFrame(stream)) : [];
    this.#shards = Array.from({ length: SHARDS }, (_, shard) => {
      const own = frames.filter(({ stream }) => this.#streamNamed(stream).shard === shard);
      return ShardHarness.started({
        factory: () => [counter()],
        policy: { everyEvents: 3, idleMs: 5 },
        restored: own,
      });
    });
    this.#lows = this.#shards.map(() => []);
    this.#central = new CentralStore({
      shards: SHARDS,
      perStream: 2,
      isDurable: true,
      release: ({ stream, address, bytes }) => this.#shards[stream.shard]?.giveBack({ address, bytes }),
    });
  }

  /** One record of a source, for one or several streams: all at once, so nothing comes between them. */
  push(record: { streams: readonly number[]; source: number; gap: bigint; reading: bigint }): void {
    const source = this.sources[record.source] as SourceProgress;
    const offset = (this.#reading.get(source.name) ?? 0n) + record.gap;
    this.#reading.set(source.name, offset + record.reading);
    for (const index of record.streams) {
      const stream = this.streams[index] as IndexedStream;
      if (this.#over.has(stream.name)) continue;
      this.#pushTo(stream, { source, offset, nextOffset: offset + record.reading });
    }
  }

  #pushTo(
    stream: IndexedStream,
    { source, offset, nextOffset }: { source: SourceProgress; offset: bigint; nextOffset: bigint },
  ): void {
    source.onPush(stream.shard, offset, nextOffset);
    this.#shards[stream.shard]?.push({ stream: stream.name, source: source.name, offset, nextOffset });
    const seen = (this.#pushed.get(stream) ?? 0) + 1;
    this.#pushed.set(stream, seen);
    const key = `${stream.name} ${source.name}`;
    const known = this.#next.get(key);
    // What the stream has already is a duplicate, and needs no covering of its own.
    if (known !== undefined && offset < known) return;
    this.#next.set(key, nextOffset > (known ?? 0n) ? nextOffset : (known ?? 0n));
    this.#uncovered.push({ stream, seen, source: source.name, offset });
  }

  turn(shard: number, ms: number): void {
    const harness = this.#shards[shard] as ShardHarness;
    harness.clock.ms += ms;
    harness.onSleep = () => this.drain(shard, 10);
    harness.shard.step();
  }

  drain(shard: number, most: number): void {
    for (const completion of this.#shards[shard]?.take(most) ?? []) this.#read(shard, completion);
  }

  /** Another stream follows under the name; for simplicity, not before its shard has read what came before. */
  forget(index: number): void {
    const stream = this.streams[index] as IndexedStream;
    const { shard, name } = stream;
    if (this.#over.has(name) || this.#shards[shard]?.forget(name) !== true) return;
    this.#over.set(name, stream);
    this.streams[index] = new IndexedStream(name, shard);
    for (const source of SOURCES) this.#next.delete(`${name} ${source}`);
  }

  /** The store begins to forget; what it forgets ends with `end`. */
  beginForget(most: number): void {
    if (this.#commit !== undefined || this.#forgetting.length > 0) return;
    this.#forgetting = this.#central.takeForgotten(most);
  }

  begin(frames: number, bytes = 1e9): void {
    if (this.#commit !== undefined || this.#forgetting.length > 0) return;
    const batch = this.#central.takeBatch({ frames, bytes });
    const frontiers = computeFrontiers(this.sources, this.#central.waitingLows());
    this.#commit = { frames: batch.frames, frontiers };
    this.#expectSafe(frontiers, this.#uncoveredAfter(batch.frames));
  }

  end(): void {
    this.#central.settleForgotten(this.#forgetting);
    this.#mayLag = !this.#central.isIdle && (this.#mayLag || this.#forgetting.length > 0);
    this.#uncovered = this.#uncovered.filter(({ stream }) => !this.#forgetting.includes(stream));
    this.#forgetting = [];
    if (this.#commit === undefined) return;
    const { frames, frontiers } = this.#commit;
    this.#commit = undefined;
    this.#uncovered = this.#uncoveredAfter(frames);
    for (const { stream, seen } of frames) this.#durable.set(stream, seen);
    this.#central.settle(frames);
    this.#expectSafe(frontiers, this.#uncovered);
  }

  /** The store has no room for the commit under way: its frames wait again. */
  refuse(): void {
    if (this.#commit === undefined) return;
    this.#central.putBack(this.#commit.frames);
    this.#commit = undefined;
  }

  settleAll(): void {
    while (!this.#central.isIdle) {
      this.beginForget(2);
      this.end();
      this.begin(2);
      this.end();
    }
  }

  /** At rest: everything read and reported, no commit under way. */
  expectExact(): void {
    this.end();
    for (const [shard, harness] of this.#shards.entries()) {
      do {
        this.turn(shard, 0);
        this.drain(shard, Number.POSITIVE_INFINITY);
      } while (harness.shard.step());
      this.drain(shard, Number.POSITIVE_INFINITY);
    }
    const frontiers = computeFrontiers(this.sources, this.#central.waitingLows());
    for (const source of this.sources) {
      const exact = leastOf(this.#uncovered, source.name) ?? this.#greatest(source);
      // A stream that was forgotten out of its turn holds them back until what waited before it is taken.
      if (this.#mayLag) expect(frontiers.get(source.name) ?? 0n).toBeLessThanOrEqual(exact ?? 0n);
      else expect(frontiers.get(source.name)).toBe(exact);
    }
  }

  checkpointAll(): void {
    this.#request++;
    for (const [shard, harness] of this.#shards.entries()) {
      harness.requestAll(this.#request);
      this.turn(shard, 0);
    }
  }

  #greatest(source: SourceProgress): bigint | undefined {
    const restored = this.#restored.get(source.name);
    const { greatestNext } = source;
    if (greatestNext === undefined) return restored;
    return restored !== undefined && restored > BigInt(greatestNext) ? restored : BigInt(greatestNext);
  }

  #expectSafe(frontiers: ReadonlyMap<string, bigint>, uncovered: readonly Accepted[]): void {
    for (const source of this.sources) {
      const frontier = frontiers.get(source.name);
      const bound = leastOf(uncovered, source.name) ?? this.#greatest(source);
      if (frontier === undefined) continue;
      expect(bound).toBeDefined();
      expect(frontier).toBeLessThanOrEqual(bound as bigint);
    }
  }

  #uncoveredAfter(frames: readonly StoredFrame[]): Accepted[] {
    const seenBy = new Map(this.#durable);
    for (const { stream, seen } of frames) seenBy.set(stream, seen);
    return this.#uncovered.filter(({ stream, seen }) => seen > (seenBy.get(stream) ?? 0));
  }

  #read(shard: number, completion: Completion): void {
    const lows = this.#lows[shard] as SourceLow[];
    if (completion.kind === 'low') {
      lows.push({ source: SOURCES.indexOf(completion.source), offset: completion.offset });
    } else if (completion.kind === 'stored') {
      this.#lows[shard] = [];
      const stream = this.#over.get(completion.stream) ?? this.#streamNamed(completion.stream);
      this.#central.add(new StoredFrame(stream, { ...completion, lows }));
    } else if (completion.kind === 'forgotten') {
      this.#lows[shard] = [];
      this.#central.forget(this.#over.get(completion.stream) as IndexedStream, lows);
      this.#over.delete(completion.stream);
    } else if (completion.kind === 'source') {
      this.sources[SOURCES.indexOf(completion.source)]?.onReport(shard, completion);
    }
  }

  #streamNamed(name: string): IndexedStream {
    return this.streams.find((stream) => stream.name === name) as IndexedStream;
  }

  /** A stream that is ahead of the restored frontiers, so that replay brings it duplicates. */
  #restoredFrame(stream: IndexedStream): { stream: string; frame: Uint8Array } {
    const state = new CheckpointState(new CheckpointId(stream.name, 20n));
    state.eventCount = 20n;
    state.setOperatorState('count', new Uint8Array(8));
    state.operatorVersions.set('count', 1);
    for (const [source, ahead] of [
      ['x', 8n],
      ['y', 9n],
    ] as const) {
      const next = ahead + BigInt(stream.shard);
      state.setSourceOffset(source, next);
      this.#next.set(`${stream.name} ${source}`, next);
    }
    return { stream: stream.name, frame: encodeFrame(state) };
  }
}

function leastOf(events: readonly Accepted[], source: string): bigint | undefined {
  let least: bigint | undefined;
  for (const event of events) {
    if (event.source === source && (least === undefined || event.offset < least)) least = event.offset;
  }
  return least;
}

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      streams: fc.array(fc.nat(STREAMS - 1), { minLength: 1, maxLength: 4 }),
      source: fc.nat(SOURCES.length - 1),
      gap: fc.constantFrom(0n, 0n, 4n),
      reading: fc.constantFrom(1n, 1n, 1n, 7n),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('turn' as const),
      shard: fc.nat(SHARDS - 1),
      ms: fc.integer({ min: 0, max: 6 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('drain' as const),
      shard: fc.nat(SHARDS - 1),
      most: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('begin' as const),
      frames: fc.integer({ min: 1, max: 4 }),
      // Matters while something is refused; then it may take frames out of their order.
      bytes: fc.constantFrom(1e9, 300, 200),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'end' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('forget' as const), stream: fc.nat(STREAMS - 1) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('beginForget' as const), most: fc.integer({ min: 1, max: 2 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'refuse' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'exact' as const }) },
);

test('no committed frontier is ever above an event that no durable checkpoint covers, and at rest it is exact', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 150, size: 'max' }), (isRestored, steps) => {
      const world = new World(isRestored);
      for (const drawn of steps) {
        if (drawn.kind === 'push') world.push(drawn);
        else if (drawn.kind === 'turn') world.turn(drawn.shard, drawn.ms);
        else if (drawn.kind === 'drain') world.drain(drawn.shard, drawn.most);
        else if (drawn.kind === 'begin') world.begin(drawn.frames, drawn.bytes);
        else if (drawn.kind === 'end') world.end();
        else if (drawn.kind === 'refuse') world.refuse();
        else if (drawn.kind === 'forget') world.forget(drawn.stream);
        else if (drawn.kind === 'beginForget') world.beginForget(drawn.most);
        else world.expectExact();
      }
      world.expectExact();
      world.checkpointAll();
      world.expectExact();
      world.settleAll();
      world.expectExact();
    }),
    { numRuns: 300 },
  );
});
