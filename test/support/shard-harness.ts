/**
 * A shard without its thread. The test is the main thread: it writes to the ring, reads what the shard
 * published, gives frames back, and plays its part whenever the shard would sleep.
 */
import type { CheckpointPolicy } from '../../src/checkpoint/schedule.ts';
import type { Clock } from '../../src/clock.ts';
import { firstHandover } from '../../src/engine/handover.ts';
import { ControlWords } from '../../src/memory/doorbells.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import {
  COMPLETION,
  completionRing,
  ENTRY,
  EntryConsumer,
  EntryProducer,
  returnRing,
} from '../../src/memory/entry-rings.ts';
import { AT, FLAG, IngestWriter, RECORD, recordBytes } from '../../src/memory/ingest-ring.ts';
import { type ArenaLayout, heapRegion, planArenas, WORD, type Word } from '../../src/memory/layout.ts';
import { SlabAllocator } from '../../src/memory/slab-allocator.ts';
import type { OperatorFactory } from '../../src/shard/operator.ts';
import { Shard } from '../../src/shard/shard.ts';
import type { Handover, PoisonPolicy } from '../../src/shard/task.ts';

export class FakeClock implements Clock {
  ms = 1_000;
  /** Added to the time by every look at it. */
  tickMs = 0;

  now(): number {
    this.ms += this.tickMs;
    return this.ms;
  }

  wallMs(): number {
    return 1_700_000_000_000 + Math.floor(this.ms);
  }
}

/** Lets the main thread act at the very moment at which the shard looks at a word. */
class WatchedWords extends ControlWords {
  onLook: ((word: Word) => void) | undefined;

  override get(word: Word): number {
    this.onLook?.(word);
    return super.get(word);
  }
}

export interface Pushed {
  readonly stream: string;
  readonly payload?: Uint8Array | string;
  readonly sequence?: bigint;
  readonly watermarkNs?: bigint;
  readonly source?: string;
  readonly offset?: bigint;
  readonly nextOffset?: bigint;
  readonly isDurable?: boolean;
}

export interface Stored {
  readonly kind: 'stored';
  readonly stream: string;
  readonly sequence: bigint;
  readonly seen: number;
  /** Of the ring. */
  readonly position: number;
  readonly address: number;
  readonly bytes: number;
  /** A copy. */
  readonly frame: Uint8Array;
}

/** What a shard published, with names in place of numbers. */
export type Completion =
  | { readonly kind: 'ready' }
  | { readonly kind: 'low'; readonly stream: string; readonly source: string; readonly offset: bigint }
  | Stored
  | { readonly kind: 'covered'; readonly stream: string; readonly seen: number }
  | {
      readonly kind: 'source';
      readonly source: string;
      readonly read: number;
      readonly lastOffset: bigint;
      readonly openLow: bigint | undefined;
    }
  | { readonly kind: 'checkpointed'; readonly request: number }
  | { readonly kind: 'aside' | 'skipped' | 'forgotten'; readonly stream: string };

export interface RestoredFrame {
  readonly stream: string;
  readonly frame: Uint8Array;
  /** Of a thread before this one: so many events of the frame are in no checkpoint. */
  readonly uncovered?: number;
  /** … and it has the stream's events before this position of the ring. */
  readonly readTo?: number;
}

export interface HarnessOptions {
  readonly factory: OperatorFactory;
  readonly policy?: CheckpointPolicy;
  readonly generation?: bigint;
  readonly memoryBytes?: number;
  readonly ringBytes?: number;
  readonly allowUnclaimedState?: boolean;
  readonly poison?: PoisonPolicy;
  readonly restored?: readonly RestoredFrame[];
  /** What the shard is handed, in place of just what is restored. */
  readonly handover?: (handover: Handover) => Handover;
}

export class ShardHarness {
  readonly clock = new FakeClock();
  readonly memory: EngineMemory;
  readonly arena: ArenaLayout;
  readonly words: ControlWords;
  /** The shard's. */
  readonly watched: WatchedWords;
  readonly ring: IngestWriter;
  readonly shard: Shard;
  /** Streams and sources as the main thread numbers them; of a stream that was forgotten until its number is used again. */
  readonly streams: string[];
  readonly sources: string[];
  /** Runs when the shard sleeps: here the main thread does something, or else the test fails. */
  onSleep: (ms: number, isIdle: () => boolean) => void = () => {
    throw new Error('the shard sleeps, and nothing would wake it');
  };
  sleeps: number[] = [];
  rings = 0;
  readonly #completions: EntryConsumer;
  readonly #returns: EntryProducer;
  /** Numbers of streams that were told to be forgotten; of these, the ones that the shard has answered. */
  readonly #over = new Set<number>();
  readonly #free: number[] = [];

  constructor(options: HarnessOptions) {
    const memoryBytes = options.memoryBytes ?? 2 ** 20;
    this.memory = EngineMemory.reserve(memoryBytes);
    this.arena = arenaOf(memoryBytes, options.ringBytes ?? 2 ** 16);
    this.words = new ControlWords(this.memory, this.arena);
    this.watched = new WatchedWords(this.memory, this.arena);
    this.ring = new IngestWriter(this.memory, this.arena);
    this.#completions = new EntryConsumer(this.memory, completionRing(this.arena));
    this.#returns = new EntryProducer(this.memory, returnRing(this.arena));
    const placed = placeFrames(this.memory, this.arena, options.restored ?? []);
    const handover = options.handover?.(placed) ?? placed;
    this.streams = [...(handover.streams.names as string[])];
    this.sources = [...(handover.sources.names as string[])];
    this.shard = new Shard(
      this.memory,
      {
        arena: this.arena,
        generation: options.generation ?? 7n,
        policy: options.policy ?? {},
        poison: options.poison ?? { onPoison: 'fail', attemptsMax: 1 },
        allowUnclaimedState: options.allowUnclaimedState ?? false,
        handover,
      },
      {
        factory: options.factory,
        clock: this.clock,
        words: this.watched,
        bell: {
          sleep: (ms, isIdle) => {
            this.sleeps.push(ms);
            this.onSleep(ms, isIdle);
          },
          ringMain: () => void this.rings++,
        },
      },
    );
  }

  /** A harness whose shard has restored its streams and is ready. */
  static started(options: HarnessOptions): ShardHarness {
    const harness = new ShardHarness(options);
    harness.start();
    const first = harness.take();
    if (first.length !== 1 || first[0]?.kind !== 'ready') throw new Error('a shard says that it is ready');
    return harness;
  }

  start(): void {
    this.shard.start();
  }

  push(event: Pushed): void {
    this.write(event);
    this.ring.publish();
  }

  /** As `push`, but the shard does not see it yet. */
  write(event: Pushed): void {
    const { memory } = this;
    const stream = this.#defineStream(event.stream);
    const payload = typeof event.payload === 'string' ? Buffer.from(event.payload) : event.payload;
    const content = payload?.length ?? 0;
    const source = event.source === undefined ? -1 : this.#defineSource(event.source);
    const address = this.#reserve(recordBytes(AT.payload, content));
    let flags = event.isDurable ? FLAG.durable : 0;
    if (event.sequence !== undefined) flags |= FLAG.sequence;
    if (source !== -1) flags |= FLAG.source;
    this.#writeHeader(address, { kind: RECORD.event | (flags << 16), index: stream, content });
    memory.u64[(address + AT.sequence) / 8] = event.sequence ?? 0xbad0_bad0n;
    memory.u64[(address + AT.watermark) / 8] = event.watermarkNs ?? 0n;
    memory.u64[(address + AT.offset) / 8] = event.offset ?? 0xbad0_bad0n;
    memory.u64[(address + AT.nextOffset) / 8] = event.nextOffset ?? (event.offset ?? 0n) + 1n;
    memory.u32[(address + AT.source) >>> 2] = source === -1 ? 0xbad0 : source;
    if (payload !== undefined) memory.u8.set(payload, address + AT.payload);
  }

  requestStream(name: string): void {
    this.#request(RECORD.checkpointStream, name);
  }

  /** A stream that is set aside goes on. */
  resume(name: string): void {
    this.#request(RECORD.resumeStream, name);
  }

  #request(kind: number, name: string): void {
    const stream = this.#defineStream(name);
    const address = this.#reserve(recordBytes(AT.name, 0));
    this.#writeHeader(address, { kind, index: stream, content: 0 });
    this.ring.publish();
  }

  /** False if there is none of that name. */
  forget(name: string): boolean {
    const stream = this.numberOf(name);
    if (stream === -1) return false;
    const address = this.#reserve(recordBytes(AT.name, 0));
    this.#writeHeader(address, { kind: RECORD.forgetStream, index: stream, content: 0 });
    this.ring.publish();
    this.#over.add(stream);
    return true;
  }

  requestAll(request: number): void {
    this.words.set(WORD.checkpointPosition, this.ring.position);
    this.words.set(WORD.checkpointRequest, request);
  }

  /** -1: there is none of that name. */
  numberOf(stream: string): number {
    return this.streams.findIndex((name, number) => name === stream && !this.#over.has(number));
  }

  stop(): void {
    this.words.set(WORD.stop, 1);
  }

  /** What was published since the last time, up to `most` entries of it. */
  take(most = Number.POSITIVE_INFINITY): Completion[] {
    const taken: Completion[] = [];
    for (let at = this.#completions.peek(); at !== 0 && taken.length < most; at = this.#completions.peek()) {
      taken.push(this.#read(at));
      this.#completions.consume();
    }
    return taken;
  }

  /** Turns until there is nothing to do; what they published. */
  run(): Completion[] {
    const taken: Completion[] = [];
    while (this.shard.step()) taken.push(...this.take());
    return taken;
  }

  giveBack(frame: { address: number; bytes: number }): void {
    const at = this.#returns.reserve();
    if (at === 0) throw new Error('the return ring is full');
    this.memory.u32[at] = frame.address;
    this.memory.u32[at + 1] = frame.bytes;
    this.#returns.publish();
  }

  /** Meets or denies the shard's open request for memory. */
  answerMemory(isDenied: boolean): void {
    const request = this.words.get(WORD.memoryRequest);
    if (isDenied) this.words.set(WORD.memoryDenied, request);
    this.words.set(WORD.memoryAnswered, request);
  }

  get isMemoryAsked(): boolean {
    return this.words.get(WORD.memoryRequest) !== this.words.get(WORD.memoryAnswered);
  }

  #defineStream(name: string): number {
    const known = this.numberOf(name);
    if (known !== -1) return known;
    const free = this.#free.pop();
    if (free !== undefined) this.#over.delete(free);
    return this.#writeDefinition(this.streams, { kind: RECORD.defineStream, name, index: free });
  }

  #defineSource(name: string): number {
    const known = this.sources.indexOf(name);
    if (known !== -1) return known;
    return this.#writeDefinition(this.sources, { kind: RECORD.defineSource, name, index: undefined });
  }

  #writeDefinition(names: string[], what: { kind: number; name: string; index: number | undefined }): number {
    const { kind, name, index = names.length } = what;
    const bytes = Buffer.from(name);
    const address = this.#reserve(recordBytes(AT.name, bytes.length));
    this.#writeHeader(address, { kind, index, content: bytes.length });
    this.memory.u8.set(bytes, address + AT.name);
    names[index] = name;
    return index;
  }

  #reserve(bytes: number): number {
    const address = this.ring.reserve(bytes);
    if (address === 0) throw new Error('the ring of the test is full');
    this.memory.u32[address >>> 2] = bytes;
    return address;
  }

  #writeHeader(address: number, header: { kind: number; index: number; content: number }): void {
    const word = address >>> 2;
    this.memory.u32[word + 1] = header.kind;
    this.memory.u32[word + 2] = header.index;
    this.memory.u32[word + 3] = header.content;
  }

  #read(at: number): Completion {
    const { u32 } = this.memory;
    const index = u32[at + ENTRY.index] as number;
    switch (u32[at + ENTRY.kind]) {
      case COMPLETION.ready:
        return { kind: 'ready' };
      case COMPLETION.low: {
        const source = nameOf(this.sources, u32[at + ENTRY.source]);
        return {
          kind: 'low',
          stream: nameOf(this.streams, index),
          source,
          offset: this.#u64(at + ENTRY.offset),
        };
      }
      case COMPLETION.stored: {
        const address = u32[at + ENTRY.address] as number;
        const bytes = u32[at + ENTRY.bytes] as number;
        return {
          kind: 'stored',
          stream: nameOf(this.streams, index),
          sequence: this.#u64(at + ENTRY.sequence),
          seen: Number(this.#u64(at + ENTRY.seen)),
          position: Number(this.#u64(at + ENTRY.position)),
          address,
          bytes,
          frame: this.memory.u8.slice(address, address + bytes),
        };
      }
      case COMPLETION.covered:
        return {
          kind: 'covered',
          stream: nameOf(this.streams, index),
          seen: Number(this.#u64(at + ENTRY.seen)),
        };
      case COMPLETION.source:
        return {
          kind: 'source',
          source: nameOf(this.sources, index),
          read: Number(this.#u64(at + ENTRY.count)),
          lastOffset: this.#u64(at + ENTRY.lastOffset),
          openLow: u32[at + ENTRY.hasOffset] === 0 ? undefined : this.#u64(at + ENTRY.offset),
        };
      case COMPLETION.checkpointed:
        return { kind: 'checkpointed', request: index | 0 };
      case COMPLETION.aside:
        return { kind: 'aside', stream: nameOf(this.streams, index) };
      case COMPLETION.skipped:
        return { kind: 'skipped', stream: nameOf(this.streams, index) };
      case COMPLETION.forgotten:
        if (!this.#over.has(index)) throw new Error(`a stream that is not to be forgotten: ${index}`);
        this.#free.push(index);
        return { kind: 'forgotten', stream: nameOf(this.streams, index) };
      default:
        throw new Error(`completion of kind ${u32[at + ENTRY.kind]}`);
    }
  }

  #u64(word: number): bigint {
    const { u32 } = this.memory;
    return (BigInt(u32[word + 1] as number) << 32n) | BigInt(u32[word] as number);
  }
}

/** Only what a test can look at of the frames among completions. */
export function storedIn(completions: readonly Completion[]): Stored[] {
  return completions.filter((completion) => completion.kind === 'stored');
}

export function arenaOf(memoryBytes: number, ringBytes: number): ArenaLayout {
  const arena = planArenas({ memoryBytes, shards: 1, ringBytes, heapBytesMin: 1 })?.[0];
  if (arena === undefined) throw new Error('the memory of the test is too small');
  return arena;
}

function placeFrames(memory: EngineMemory, arena: ArenaLayout, frames: readonly RestoredFrame[]): Handover {
  const allocator = new SlabAllocator(heapRegion(arena, memory.buffer));
  const placed = frames.map(({ stream, frame }) => {
    const address = allocator.allocate(frame.length);
    if (address === 0) throw new Error('the restored frames of the test do not fit');
    memory.u8.set(frame, address);
    return { stream: { name: stream }, address, bytes: frame.length };
  });
  const handover = firstHandover(placed, false);
  for (const [index, { uncovered = 0, readTo = 0 }] of frames.entries()) {
    handover.streams.uncovered[index] = uncovered;
    handover.streams.readTo[index] = readTo;
  }
  return handover;
}

function nameOf(names: readonly string[], index: number | undefined): string {
  const name = index === undefined ? undefined : names[index];
  if (name === undefined)
    throw new Error(`the shard names a stream or source ${index} that it was never told of`);
  return name;
}
