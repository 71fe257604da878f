/**
 * An engine without threads: its rings, shards, central store and handovers run in one thread, one step after the other
 * as a seed says. Shards die at any call of an operator, or between two turns, and some events are poison. The whole
 * process dies, too: what was durable is restored, and what the sources have from their frontiers on is pushed again. What
 * may be there at any time is known by a plain list of the events of each stream.
 *
 * The file has over 400 lines because all that an engine puts together is put together here once more, without threads.
 */
import { viewFrame } from '../../../src/codec/view.ts';
import type { Aside } from '../../../src/engine/aside.ts';
import { CheckpointRequests } from '../../../src/engine/checkpoint-requests.ts';
import { CompletionReader } from '../../../src/engine/completion-reader.ts';
import { Durability } from '../../../src/engine/durability.ts';
import { EngineState } from '../../../src/engine/engine-state.ts';
import type { Event } from '../../../src/engine/event.ts';
import { Forgets } from '../../../src/engine/forgets.ts';
import { computeFrontiers } from '../../../src/engine/frontiers.ts';
import { firstHandover, leftBehind } from '../../../src/engine/handover.ts';
import { Ingest } from '../../../src/engine/ingest.ts';
import { serveMemory } from '../../../src/engine/memory-service.ts';
import { Quarantine } from '../../../src/engine/quarantine.ts';
import { type RoutedStream, Router, shardOf } from '../../../src/engine/router.ts';
import { ShardHandle } from '../../../src/engine/shard-handle.ts';
import { frameOf } from '../../../src/engine/startup.ts';
import { Waits } from '../../../src/engine/waits.ts';
import { ControlWords } from '../../../src/memory/doorbells.ts';
import { EngineMemory } from '../../../src/memory/engine-memory.ts';
import { ImageDirectory } from '../../../src/memory/image-directory.ts';
import { AT, RECORD, recordsBetween } from '../../../src/memory/ingest-ring.ts';
import { type ArenaLayout, planArenas, WORD, type Word } from '../../../src/memory/layout.ts';
import { type Restored, restoreCheckpoints } from '../../../src/recovery/restore.ts';
import { ThreadSpent } from '../../../src/shard/poison.ts';
import { Shard } from '../../../src/shard/shard.ts';
import type { Handover } from '../../../src/shard/task.ts';
import { CentralStore } from '../../../src/store/central-store.ts';
import type { CheckpointStore } from '../../../src/store/contract.ts';
import type { StoredFrame } from '../../../src/store/stored-frame.ts';
import { type Folded, folded, NOTHING_FOLDED, readFolded } from '../../support/folded.ts';
import type { Random } from '../../support/random.ts';
import { FakeClock } from '../../support/shard-harness.ts';
import { type Fuse, operatorsFor } from './operators.ts';

const SHARDS = 2;
const ATTEMPTS_MAX = 2;
const NAMES = ['slot', 'large', 'heap', 'mixed'].flatMap((kind) => [0, 1, 2].map((i) => `${kind}-${i}`));
const SOURCES = ['a', 'b', undefined] as const;

/** Those of a thread: when it has ended, it does nothing any more. */
class FusedWords extends ControlWords {
  readonly #fuse: Fuse;

  constructor(memory: EngineMemory, arena: ArenaLayout, fuse: Fuse) {
    super(memory, arena);
    this.#fuse = fuse;
  }

  override set(word: Word, value: number): void {
    if (this.#fuse.left <= 0) throw new Error('the thread has ended');
    super.set(word, value);
  }
}

/** An event that was accepted, as the model has it. */
interface Accepted {
  readonly number: number;
  readonly source: string | undefined;
  readonly offset: number;
  /** When it was accepted in its life, by how many were before. */
  readonly ordinal: number;
}

/** An event that was pushed, as its source has it. */
interface Logged extends Omit<Accepted, 'ordinal'> {
  readonly event: Event;
  readonly isPoison: boolean;
}

/** What the store is writing: frames, their bytes, and the frontiers that hold then. */
interface Commit {
  readonly frames: readonly StoredFrame[];
  readonly copies: readonly Uint8Array[];
  readonly frontiers: ReadonlyMap<string, bigint>;
  /** Events that were accepted before: later ones of the same record may lie before a frontier, as README says. */
  readonly accepted: number;
}

/** What a life leaves to the next one. */
export interface Past {
  readonly random: Random;
  readonly policy: {
    readonly everyEvents: number;
    readonly minPauseMs?: number;
    readonly maxReplayEvents?: number;
  };
  readonly onPoison: 'quarantine' | 'skip';
  readonly ringBytes: number;
  readonly perStream: number;
  /** By stream: the frame that is durable, and the events that are in it. */
  readonly durable: ReadonlyMap<string, { readonly bytes: Uint8Array; readonly events: readonly Accepted[] }>;
  readonly frontiers: ReadonlyMap<string, bigint>;
  readonly log: Logged[];
  readonly offsets: Map<string, number>;
  /** Skipped events that were delivered, or need not be since their streams were forgotten, by their numbers. */
  readonly delivered: Set<number>;
  /** Bytes that all streams together may hold out. */
  readonly heldOutBytesMax: number;
  /** Numbers of events that were poison until the operators were mended. */
  readonly healed: Set<number>;
}

/** Of all lives: nothing of one runs any more when the next one begins. */
const MEMORY_BYTES = 2 ** 22;
const { memory: MEMORY } = EngineMemory.reserve(MEMORY_BYTES);

export function begin(random: Random): Past {
  return {
    random,
    policy: {
      everyEvents: random.pick([1, 7, 40, 1_000]),
      ...(random.chance(0.3) ? { minPauseMs: 50 } : {}),
      ...(random.chance(0.5) ? { maxReplayEvents: random.magnitude(100) } : {}),
    },
    onPoison: random.pick(['quarantine', 'skip']),
    ringBytes: random.pick([2 ** 12, 2 ** 13, 2 ** 15]),
    perStream: random.between(1, 3),
    durable: new Map(),
    frontiers: new Map(),
    log: [],
    offsets: new Map(),
    delivered: new Set(),
    heldOutBytesMax: random.pick([2 ** 20, 2 ** 20, 300]),
    healed: new Set(),
  };
}

export class World {
  restarts = 0;
  replayed = 0;
  covers = 0;
  asides = 0;
  skips = 0;
  heals = 0;
  overflows = 0;
  readonly #past: Past;
  readonly #random: Random;
  readonly #memory: EngineMemory;
  readonly #router = new Router(SHARDS);
  readonly #handles: readonly ShardHandle[];
  readonly #central: CentralStore;
  readonly #ingest: Ingest;
  readonly #completions: CompletionReader;
  readonly #clock = new FakeClock();
  readonly #fuse: Fuse;
  readonly #quarantine: Quarantine;
  readonly #durability = new Durability(this.#clock);
  /** By shard: how often threads have ended at an event that is poison, and where. */
  readonly #ends = new Map<number, { position: number; count: number }>();
  /** Events that were skipped and not delivered yet, by what delivers them. */
  readonly #letters = new Map<number, () => void>();
  /** Events that were skipped, and those that will be. */
  #poison: (Accepted & { readonly stream: RoutedStream })[] = [];
  /** Of streams that are set aside: the event at which they were; undefined: they were restored so. */
  readonly #faults = new Map<RoutedStream, number | undefined>();
  /** Undefined: it is dead. */
  readonly #shards: (Shard | undefined)[];
  readonly #events = new Map<RoutedStream, Accepted[]>();
  /** The newest durable checkpoint of a stream: its frame, and how many events are in it. */
  readonly #durable = new Map<RoutedStream, { bytes: Uint8Array; count: number }>();
  readonly #store: CheckpointStore;
  #deferred: (() => void)[] = [];
  #request = 0;
  #isSettling = false;
  /** Calls of retry, skip or drop that have not ended yet. */
  #undecided = 0;
  /** The store refuses what comes next. */
  #isFull = false;
  #underWay: Commit | undefined;
  #acceptedCount = 0;
  #frontiers: ReadonlyMap<string, bigint>;
  /** What the sources have from their frontiers on, and has not been pushed in this life. */
  readonly #backlog: Logged[];
  /** Of restored streams: what of the backlog they have. */
  readonly #restored = new Map<string, { sequence: bigint; count: number; offsets: Map<string, bigint> }>();

  /** A life that goes on where `past` has ended. */
  static async open(past: Past): Promise<World> {
    const memory = new EngineMemory(MEMORY);
    memory.u8.fill(0);
    const { ringBytes } = past;
    const plan = { memoryBytes: MEMORY_BYTES, shards: SHARDS, ringBytes, heapBytesMin: 1 };
    const arenas = planArenas(plan) ?? [];
    const heaps = { memory, arenas, shardOf: (stream: string) => shardOf(stream, SHARDS) };
    const restored = await restoreCheckpoints(heaps, {
      generation: 1n,
      frontiers: past.frontiers,
      checkpoints: [...past.durable].map(([stream, { bytes }]) => ({
        stream,
        sequence: viewFrame(bytes).sequence,
        generation: 1n,
        byteLength: bytes.length,
        fellBack: 0,
        copyTo: async (target) => target.set(bytes),
      })),
      lost: [],
    });
    const world = new World(past, { memory, arenas, restored });
    // An engine is open once its shards have told what they have restored.
    for (let shard = 0; shard < SHARDS; shard++) world.#drain(shard, Number.POSITIVE_INFINITY);
    return world;
  }

  private constructor(
    past: Past,
    place: { memory: EngineMemory; arenas: readonly ArenaLayout[]; restored: Restored },
  ) {
    const { perStream, random } = past;
    const { arenas, restored } = place;
    this.#memory = place.memory;
    this.#past = past;
    this.#random = random;
    this.#fuse = { left: Number.POSITIVE_INFINITY, healed: past.healed };
    this.#frontiers = past.frontiers;
    this.#handles = arenas.map((arena, index) => new ShardHandle(this.#memory, arena, index));
    for (const [source, position] of past.frontiers) this.#router.addSource(source, position);
    const frames = restored.placed.map((checkpoint) => frameOf(this.#router, checkpoint));
    for (const [name, { bytes, events }] of past.durable) {
      const stream = this.#router.stream(name) as RoutedStream;
      const view = viewFrame(bytes);
      this.#durable.set(stream, { bytes, count: events.length });
      this.#events.set(
        stream,
        events.map((event) => ({ ...event, ordinal: -1 })),
      );
      const { sequence } = view;
      this.#restored.set(name, { sequence, count: events.length, offsets: new Map(view.sources()) });
    }
    this.#backlog = past.log.filter(
      ({ source, offset }) => source !== undefined && BigInt(offset) >= (past.frontiers.get(source) ?? 0n),
    );
    this.#central = new CentralStore({
      shards: SHARDS,
      perStream,
      isDurable: true,
      release: (frame) => this.#handles[frame.stream.shard]?.returnFrame(frame.address, frame.bytes),
    });
    this.#ingest = new Ingest({
      memory: this.#memory,
      router: this.#router,
      shards: this.#handles,
      onFull: (shard, bytes) => this.#handles[shard]?.words.set(WORD.spaceWanted, bytes),
      holdOut: (aside, event) => this.#quarantine.holdOut(aside, event),
      defer: (callback) => void this.#deferred.push(callback),
    });
    this.#completions = new CompletionReader(this.#memory, {
      router: this.#router,
      shards: SHARDS,
      sink: {
        onReady: (shard) => {
          shard.isReady = true;
        },
        onStored: (frame) => this.#central.add(frame),
        onCovered: (stream, seen) => {
          if (stream.isGivenUp) return;
          const pending = stream.waiting ?? stream.writing;
          if (pending === undefined) this.#durability.settle(stream, seen);
          else pending.seen = Math.max(pending.seen, seen);
        },
        onFault: (shard, entry) => {
          if (entry.kind === 'aside') {
            this.asides++;
            this.#faults.set(
              entry.stream,
              entry.isRestored ? undefined : this.#numberAt(shard, entry.position),
            );
          } else this.skips++;
          this.#quarantine.onFault(shard, entry);
        },
        onForgotten: (stream, lows) => this.#central.forget(stream, lows),
        onCheckpointed: (shard, request) => {
          shard.checkpointsDone = request;
        },
      },
    });
    const state = new EngineState();
    state.phase = 'open';
    const waits = new Waits({
      state,
      ingest: this.#ingest,
      requests: new CheckpointRequests(this.#handles),
      durability: this.#durability,
      forgets: new Forgets(),
      central: this.#central,
      commits: undefined,
    });
    this.#quarantine = new Quarantine({
      memory: this.#memory,
      router: this.#router,
      durability: this.#durability,
      bytesMax: past.heldOutBytesMax,
      onDeadLetter: ({ payload }) =>
        new Promise<void>((resolve) => {
          this.#letters.set(Number.parseInt(Buffer.from(payload).toString(), 10), resolve);
        }),
      onQuarantine: () => undefined,
      resume: (stream, take, givenUp, onDurable) => waits.untilResumed(stream, take, givenUp, onDurable),
      tellDelivered: (stream, sequence) => waits.tellDelivered(stream, sequence),
      onError: (error) => {
        throw error;
      },
    });
    const read = (name: string): Promise<unknown> =>
      Promise.resolve([...this.#durable].find(([stream]) => stream.name === name)?.[1].bytes).then(
        (bytes) => bytes && viewFrame(bytes),
      );
    this.#store = { read } as unknown as CheckpointStore;
    for (const frame of frames)
      if (restored.isTransient[frame.stream.shard] !== true) this.#central.addDurable(frame);
    this.#shards = this.#handles.map((handle) => {
      const own = frames.filter((frame) => frame.stream.shard === handle.index);
      return this.#begin(handle, firstHandover(own, restored.isTransient[handle.index] === true));
    });
  }

  /** The process is killed. A commit under way may have been done. */
  crash(): Past {
    if (this.#underWay !== undefined && this.#random.chance(0.5)) this.#makeDurable(this.#underWay);
    const durable = [...this.#durable].map(([stream, { bytes, count }]) => {
      const events = (this.#events.get(stream) ?? []).slice(0, count);
      return [stream.name, { bytes, events }] as const;
    });
    return { ...this.#past, durable: new Map(durable), frontiers: this.#frontiers };
  }

  /** One random thing happens. */
  async act(): Promise<void> {
    const random = this.#random;
    const shard = random.below(SHARDS);
    this.#clock.ms += random.below(5);
    const draw = random.below(100);
    if (draw < 35) for (let i = random.magnitude(40); i > 0; i--) this.#push();
    else if (draw < 65) this.#step(shard);
    else if (draw < 78) this.#drain(shard, random.magnitude(50));
    else if (draw < 88) this.#commit();
    else if (draw < 91) this.#fuse.left = random.magnitude(200);
    else if (draw < 93) this.#shards[shard] = undefined;
    else if (draw < 95) this.#requestCheckpoint();
    else if (draw < 96) this.#forget(this.#pickForgotten());
    else if (draw < 98) this.#endQuarantine();
    else await this.#restart(shard);
    // What was settled, or delivered, goes on.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets all be processed, checkpointed and durable, and compares it with the model. */
  async settle(): Promise<void> {
    this.#isSettling = true;
    this.#fuse.left = Number.POSITIVE_INFINITY;
    for (let shard = 0; shard < SHARDS; shard++) await this.#restart(shard);
    while (this.#backlog.length > 0) {
      this.#push();
      await this.#turn();
    }
    while (this.#ingest.isWaiting) await this.#turn();
    do await this.#turn();
    while (this.#handles.some(({ readPosition, ring }) => readPosition !== ring.position));
    this.#expectFewUncovered();
    this.#requestCheckpoint();
    while (this.#handles.some(({ checkpointsDone }) => checkpointsDone !== this.#request)) await this.#turn();
    while (!this.#central.isIdle || this.#underWay !== undefined) this.#commit();
    for (const number of this.#letters.keys()) this.#deliver(number);
    this.#expectDelivered();
    for (const stream of this.#router.streams()) this.#compare(stream);
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#undecided > 0) throw new Error(`${this.#undecided} calls of retry, skip or drop never ended`);
  }

  async #turn(): Promise<void> {
    for (let shard = 0; shard < SHARDS; shard++) {
      this.#step(shard);
      if (this.#shards[shard] === undefined) await this.#restart(shard);
      this.#drain(shard, Number.POSITIVE_INFINITY);
    }
    this.#commit();
  }

  /** Forgets all streams; nothing may be left of them in the heaps but directories. Call it after `settle`. */
  async expectNothingLeaks(pageBytes: number): Promise<void> {
    for (const stream of this.#router.streams()) {
      // One that has had no room for its first event is known to no shard.
      if (stream.isDefined) this.#forget(stream);
    }
    await this.settle();
    for (const [shard, handle] of this.#handles.entries()) {
      this.#drain(shard, Number.POSITIVE_INFINITY);
      this.#step(shard);
      const used = handle.words.get(WORD.heapUsed);
      if (used > 2 * pageBytes || used % pageBytes !== 0)
        throw new Error(`${used} bytes are left on shard ${shard}`);
    }
  }

  #begin(handle: ShardHandle, handover: Handover): Shard | undefined {
    const words = new FusedWords(this.#memory, handle.arena, this.#fuse);
    const shard = new Shard(
      new EngineMemory(this.#memory.memory, handle.arena.control),
      {
        arena: handle.arena,
        generation: 1n,
        policy: this.#past.policy,
        poison: { onPoison: this.#past.onPoison, attemptsMax: ATTEMPTS_MAX },
        allowUnclaimedState: false,
        handover,
      },
      {
        clock: this.#clock,
        words,
        // A shard that waits: the main thread has its turn.
        bell: { sleep: () => this.#serve(handle.index), ringMain: () => undefined },
        factory: (stream) => operatorsFor(stream, this.#fuse),
      },
    );
    return this.#survives(handle, () => shard.start()) ? shard : undefined;
  }

  /** False if the shard has died of it. */
  #survives(handle: ShardHandle, run: () => void): boolean {
    try {
      run();
      return true;
    } catch (error) {
      if (this.#fuse.left > 0 && !(error instanceof ThreadSpent)) throw error;
      this.#fuse.left = Number.POSITIVE_INFINITY;
      this.#countEnd(handle);
      return false;
    }
  }

  /** As the supervisor does, but for events only that are poison: others may have no luck with the fuse. */
  #countEnd(handle: ShardHandle): void {
    const position = handle.currentPosition;
    if (position === undefined || !this.#isPoisonAt(handle, position)) return;
    const last = this.#ends.get(handle.index);
    const count = last?.position === position ? last.count + 1 : 1;
    this.#ends.set(handle.index, { position, count });
    if (count < ATTEMPTS_MAX) return;
    handle.faults.set(position, { attempts: count, cause: new Error('the thread ended') });
  }

  #isPoisonAt(handle: ShardHandle, position: number): boolean {
    if (handle.recordAt(position).kind !== RECORD.event) return false;
    if (this.#past.healed.has(this.#numberAt(handle, position))) return false;
    return '!?'.includes(this.#payloadAt(handle, position).at(-1) as string);
  }

  #numberAt(handle: ShardHandle, position: number): number {
    return Number.parseInt(this.#payloadAt(handle, position), 10);
  }

  #payloadAt({ arena }: ShardHandle, position: number): string {
    const { text, u32 } = this.#memory;
    const [record] = recordsBetween(this.#memory, arena, { from: position, through: position + 1 });
    const address = record?.address as number;
    const start = address + AT.payload;
    return text.toString('latin1', start, start + (u32[(address + AT.length) >>> 2] as number));
  }

  /** Place of the first event that is held out of the stream; duplicates are, too. */
  #firstHeld(stream: RoutedStream, events: readonly Accepted[]): number {
    if (stream.aside === undefined) return events.length;
    const fault = this.#faults.get(stream);
    if (fault === undefined) return this.#restored.get(stream.name)?.count ?? 0;
    return events.findIndex(({ number }) => number === fault);
  }

  #step(shard: number): void {
    const alive = this.#shards[shard];
    const handle = this.#handles[shard] as ShardHandle;
    if (alive !== undefined && !this.#survives(handle, () => alive.step())) this.#shards[shard] = undefined;
    for (const callback of this.#deferred.splice(0)) callback();
    if (this.#ingest.isWaiting) this.#ingest.resume();
    if (!this.#ingest.isWaiting) for (const { words } of this.#handles) words.set(WORD.spaceWanted, 0);
  }

  #serve(shard: number): void {
    this.#drain(shard, Number.POSITIVE_INFINITY);
    this.#commit();
    for (const handle of this.#handles) serveMemory(handle, this.#central);
  }

  #drain(shard: number, most: number): void {
    const handle = this.#handles[shard] as ShardHandle;
    this.#completions.drain(handle, most);
    serveMemory(handle, this.#central);
  }

  async #restart(shard: number): Promise<void> {
    const handle = this.#handles[shard] as ShardHandle;
    // Nothing of the one before is done any more, as after its thread's exit.
    this.#shards[shard] = undefined;
    while (this.#shards[shard] === undefined) {
      this.#drain(shard, Number.POSITIVE_INFINITY);
      this.#completions.takeOver(handle);
      const { handover, replayed } = await leftBehind(handle, {
        memory: this.#memory,
        router: this.#router,
        central: this.#central,
        store: this.#store,
      });
      this.restarts++;
      this.replayed += replayed;
      const directory = new ImageDirectory(this.#memory, handle.arena);
      for (const index of directory.indexes()) if (directory.cover(index) !== undefined) this.covers++;
      this.#shards[shard] = this.#begin(handle, handover);
    }
  }

  /** Sources are read again before anything new is. */
  #push(): void {
    const [again] = this.#backlog;
    if (again === undefined) {
      this.#pushNew();
    } else if (this.#ingest.tryAccept(again.event, false)) {
      this.#backlog.shift();
      if (!this.#isKnown(again) || this.#isToDeliver(again)) this.#accepted(again);
    }
  }

  #pushNew(): void {
    const { log, offsets } = this.#past;
    const random = this.#random;
    const name = random.pick(NAMES);
    const source = random.pick(SOURCES);
    const number = (log.at(-1)?.number ?? 0) + 1;
    const last = source === undefined ? 0 : (offsets.get(source) ?? 0);
    // A stream with sequences of its own may have several events of a record.
    const hasSequences = name.endsWith('0');
    const offset = last + (hasSequences && random.chance(0.2) ? 0 : random.between(1, 3));
    const poison = random.chance(0.03) ? random.pick(['!', '!', '?']) : '';
    const payload = `${number}`.padEnd(random.pick([8, 8, 60, 500])) + poison;
    const event: Event = {
      stream: name,
      payload,
      ...(hasSequences ? { sequence: number } : {}),
      ...(source === undefined ? {} : { source, offset }),
    };
    if (!this.#ingest.tryAccept(event, random.chance(0.02))) return;
    if (source !== undefined) offsets.set(source, offset);
    const logged = { number, source, offset, event, isPoison: poison !== '' };
    log.push(logged);
    this.#accepted(logged);
    // The same once more is a duplicate.
    if (poison === '' && hasSequences && random.chance(0.05))
      this.#ingest.tryAccept({ stream: name, payload, sequence: number }, false);
  }

  #accepted({ number, source, offset, event, isPoison }: Logged): void {
    const stream = this.#router.stream(event.stream) as RoutedStream;
    const accepted = { number, source, offset, ordinal: this.#acceptedCount++ };
    if (isPoison && this.#past.onPoison === 'skip') {
      this.#poison.push({ ...accepted, stream });
      return;
    }
    const events = this.#events.get(stream) ?? [];
    events.push(accepted);
    this.#events.set(stream, events);
  }

  /** Whether the stream has it from before it was restored. Sequences begin at 1. */
  #isKnown({ number, source, offset, event }: Logged): boolean {
    const restored = this.#restored.get(event.stream);
    if (restored === undefined) return false;
    if (event.sequence !== undefined) return BigInt(number) <= restored.sequence;
    return BigInt(offset) < (restored.offsets.get(source as string) ?? 0n);
  }

  #isToDeliver({ isPoison, number }: Logged): boolean {
    return isPoison && this.#past.onPoison === 'skip' && !this.#past.delivered.has(number);
  }

  #requestCheckpoint(): void {
    this.#request++;
    for (const handle of this.#handles) handle.requestCheckpoint(this.#request);
  }

  #forget(stream: RoutedStream | undefined): void {
    if (stream?.hasEvents !== true) return;
    for (const { event, number } of this.#past.log)
      if (event.stream === stream.name) this.#past.delivered.add(number);
    this.#router.detach(stream);
    this.#restored.delete(stream.name);
    this.#quarantine.onDetached(stream);
    this.#central.giveUp(stream);
    this.#ingest.requestForget(stream, () => new Error('refused')).catch(() => undefined);
  }

  /** Somebody decides about a stream that is set aside, or a letter is delivered. */
  #endQuarantine(): void {
    const random = this.#random;
    for (const number of this.#letters.keys()) if (random.chance(0.5)) this.#deliver(number);
    const streams = this.#quarantine.list();
    if (streams.length === 0) return;
    const { droppedEvents, stream: name } = random.pick(streams);
    const stream = this.#router.stream(name) as RoutedStream;
    const events = this.#events.get(stream) as Accepted[];
    const way = random.pick(['retry', 'skip', 'drop']);
    if (random.chance(0.4)) this.#heal(stream);
    if (droppedEvents > 0) this.overflows++;
    // What was dropped comes again in another life only.
    if (way === 'skip' && droppedEvents === 0) this.#skipFirst(stream, events);
    if (way === 'drop') events.splice(this.#firstHeld(stream, events));
    const ended =
      way === 'drop'
        ? this.#quarantine.drop(name)
        : this.#quarantine[way === 'skip' ? 'skip' : 'retry'](name);
    this.#undecided++;
    // It may be set aside again, or forgotten.
    ended.catch(() => undefined).finally(() => this.#undecided--);
  }

  /** The operators are mended: they take the event at which the stream was set aside. */
  #heal(stream: RoutedStream): void {
    const { healed, log } = this.#past;
    const before = healed.size;
    const fault = this.#faults.get(stream);
    const { offset, source } = (stream.aside as Aside).fault;
    if (fault !== undefined) healed.add(fault);
    else if (offset !== undefined)
      for (const logged of log)
        if (logged.source === source && BigInt(logged.offset) === offset) healed.add(logged.number);
    this.heals += healed.size - before;
  }

  #deliver(number: number): void {
    this.#letters.get(number)?.();
    this.#letters.delete(number);
    this.#past.delivered.add(number);
    this.#poison = this.#poison.filter((event) => event.number !== number);
  }

  /** What its source brings again is delivered by some life. */
  #expectDelivered(): void {
    if (this.#past.onPoison !== 'skip') return;
    for (const { event, isPoison, number, offset, source } of this.#past.log) {
      if (!isPoison || source === undefined || this.#past.delivered.has(number)) continue;
      throw new Error(
        `event ${number} of '${event.stream}', at ${offset} of '${source}', was never delivered`,
      );
    }
  }

  /** Any stream, or one whose checkpoint is being written, and will be refused. */
  #pickForgotten(): RoutedStream | undefined {
    const [frame] = this.#underWay?.frames ?? [];
    const stream = frame?.stream as RoutedStream | undefined;
    if (stream === undefined || this.#router.stream(stream.name) !== stream || this.#random.chance(0.2))
      return this.#router.stream(this.#random.pick(NAMES));
    this.#isFull = true;
    return stream;
  }

  /** A stream that was restored as set aside gets the event again with all others, if that has a source. */
  #skipFirst(stream: RoutedStream, events: Accepted[]): void {
    const isRestored = this.#faults.get(stream) === undefined;
    if (!isRestored || stream.aside?.fault.source !== undefined)
      events.splice(this.#firstHeld(stream, events), 1);
  }

  /** Ends the commit that is under way, or begins one, or has the store forget streams. Now and then it is full. */
  #commit(): void {
    const central = this.#central;
    const isRefused = !this.#isSettling && (this.#isFull || this.#random.chance(0.15));
    this.#isFull = false;
    const commit = this.#underWay;
    if (commit !== undefined) {
      this.#underWay = undefined;
      if (isRefused) central.putBack(commit.frames);
      else this.#onCommitted(commit);
      return;
    }
    if (central.hasForgotten && (central.isForgottenNext || this.#random.chance(0.5))) {
      const streams = central.takeForgotten(64);
      if (isRefused) central.putBackForgotten(streams);
      else this.#onForgotten(streams as RoutedStream[]);
      return;
    }
    const { frames } = central.takeBatch({ frames: this.#random.between(1, 20), bytes: 2 ** 30 });
    const frontiers = computeFrontiers(this.#router.sources(), central.waitingLows());
    const copies = frames.map(({ address, bytes }) => this.#memory.u8.slice(address, address + bytes));
    this.#underWay = { frames, copies, frontiers, accepted: this.#acceptedCount };
    if (this.#isSettling || this.#random.chance(0.5)) this.#commit();
  }

  #onForgotten(streams: readonly RoutedStream[]): void {
    for (const stream of streams) {
      this.#durable.delete(stream);
      this.#poison = this.#poison.filter((event) => event.stream !== stream);
      this.#quarantine.onForgotten(stream);
      this.#durability.settleAll(stream);
      this.#events.delete(stream);
    }
    this.#central.settleForgotten(streams);
  }

  #onCommitted(commit: Commit): void {
    this.#makeDurable(commit);
    this.#central.settle(commit.frames);
    this.#expectCovered(commit);
    for (const { stream, seen } of commit.frames) this.#durability.settle(stream as RoutedStream, seen);
  }

  #makeDurable({ frames, copies, frontiers }: Commit): void {
    this.#frontiers = frontiers;
    for (const [at, { stream }] of frames.entries()) {
      const bytes = copies[at] as Uint8Array;
      this.#durable.set(stream as RoutedStream, { bytes, count: Number(viewFrame(bytes).eventCount) });
    }
  }

  /** Every event before the frontier of its source is in a durable checkpoint. */
  #expectCovered({ accepted, frontiers }: Commit): void {
    for (const [stream, events] of this.#events) {
      for (const { source, offset, ordinal } of events.slice(this.#durable.get(stream)?.count ?? 0)) {
        if (ordinal >= accepted || source === undefined || BigInt(offset) >= (frontiers.get(source) ?? 0n))
          continue;
        throw new Error(
          `the frontier of '${source}' is ${frontiers.get(source)}, but offset ${offset} of '${stream.name}' is not durable`,
        );
      }
    }
    for (const { number, source, offset, ordinal } of this.#poison) {
      if (ordinal >= accepted || source === undefined || BigInt(offset) >= (frontiers.get(source) ?? 0n))
        continue;
      throw new Error(
        `the frontier of '${source}' is ${frontiers.get(source)}, but event ${number} was not delivered`,
      );
    }
  }

  /** Where all is read, no more events than the policy says are in no checkpoint of their shard. */
  #expectFewUncovered(): void {
    const uncovered = this.#handles.map(() => 0);
    for (const stream of this.#router.streams()) {
      const events = this.#firstHeld(stream, this.#events.get(stream) ?? []);
      const covered = stream.checkpointed?.count ?? this.#durable.get(stream)?.count ?? 0;
      uncovered[stream.shard] = (uncovered[stream.shard] ?? 0) + events - covered;
    }
    const most = this.#past.policy.maxReplayEvents ?? Number.POSITIVE_INFINITY;
    if (uncovered.some((events) => events > most))
      throw new Error(`${uncovered} events of the shards are in no checkpoint, and ${most} may be`);
  }

  #compare(stream: RoutedStream): void {
    const all = this.#events.get(stream) ?? [];
    const events = all.slice(0, this.#firstHeld(stream, all));
    if (events.length === 0) return;
    const durable = this.#durable.get(stream);
    if (durable === undefined) throw new Error(`nothing of '${stream.name}' is durable`);
    const expected: Folded = events.reduce((state, { number }) => folded(state, number), NOTHING_FOLDED);
    const view = viewFrame(durable.bytes);
    if (Number(view.eventCount) !== expected.count)
      throw new Error(`'${stream.name}' has counted ${view.eventCount} events, not ${expected.count}`);
    for (const [operator, bytes] of view.operators()) {
      const state = readFolded(bytes);
      if (state.count !== expected.count || state.hash !== expected.hash)
        throw new Error(
          `operator '${operator}' of '${stream.name}' has ${JSON.stringify(state)}, not ${JSON.stringify(expected)}`,
        );
    }
    if (stream.checkpointed !== undefined && stream.checkpointed.seen > stream.pushed)
      throw new Error(`'${stream.name}' has seen more than was pushed`);
  }
}
