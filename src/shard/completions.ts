/**
 * What a shard tells the main thread, entry by entry, in the order in which it happened. Main sees the
 * entries of a turn at once: a frame together with the progress of its sources, so that the frontier of the
 * commit which takes it is exact. Only a shard that has to wait shows what it has told so far.
 */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { COMPLETION, completionRing, ENTRY, EntryProducer } from '../memory/entry-rings.ts';
import type { ArenaLayout } from '../memory/layout.ts';
import type { Frame } from './frame-writer.ts';
import type { ShardSource, ShardStream, SourcePosition } from './stream.ts';
import type { Waiting } from './waiting.ts';

const U32 = 2 ** 32;

export class Completions {
  /** Something was published that main should look at soon. */
  isNews = false;
  readonly #u32: Uint32Array<SharedArrayBuffer>;
  readonly #ring: EntryProducer;
  readonly #waiting: Waiting;

  constructor(memory: EngineMemory, arena: ArenaLayout, waiting: Waiting) {
    this.#u32 = memory.u32;
    this.#ring = new EntryProducer(memory, completionRing(arena));
    this.#waiting = waiting;
  }

  ready(): void {
    const at = this.#reserve();
    this.#u32[at + ENTRY.kind] = COMPLETION.ready;
    this.#stageNews();
  }

  /** A low of the frame that is published next, or of the stream that is said to be forgotten next. */
  low(position: SourcePosition): void {
    const at = this.#reserve();
    this.#u32[at + ENTRY.kind] = COMPLETION.low;
    this.#u32[at + ENTRY.index] = position.stream.index;
    this.#u32[at + ENTRY.source] = position.source.index;
    this.#u32[at + ENTRY.offset] = position.lowLow;
    this.#u32[at + ENTRY.offset + 1] = position.lowHigh;
    this.#ring.stage();
  }

  /** All records of the stream before `position` of the ring are in the frame. */
  stored(stream: ShardStream, { address, bytes }: Frame, position: number): void {
    const at = this.#reserve();
    const image = stream.image >>> 2;
    this.#u32[at + ENTRY.kind] = COMPLETION.stored;
    this.#u32[at + ENTRY.index] = stream.index;
    this.#u32[at + ENTRY.sequence] = this.#u32[image] as number;
    this.#u32[at + ENTRY.sequence + 1] = this.#u32[image + 1] as number;
    this.#u32[at + ENTRY.address] = address;
    this.#u32[at + ENTRY.bytes] = bytes;
    this.#count(at + ENTRY.seen, stream.seen);
    this.#count(at + ENTRY.position, position);
    this.#u32[at + ENTRY.count] = this.#u32[image + 4] as number;
    this.#u32[at + ENTRY.count + 1] = this.#u32[image + 5] as number;
    this.#stageNews();
  }

  covered(stream: ShardStream): void {
    const at = this.#reserve();
    this.#u32[at + ENTRY.kind] = COMPLETION.covered;
    this.#u32[at + ENTRY.index] = stream.index;
    this.#count(at + ENTRY.seen, stream.seen);
    this.#stageNews();
  }

  /** Nothing more is told of the stream: its number may name another one once main has read this. */
  forgotten(stream: ShardStream): void {
    const at = this.#reserve();
    this.#u32[at + ENTRY.kind] = COMPLETION.forgotten;
    this.#u32[at + ENTRY.index] = stream.index;
    this.#stageNews();
  }

  source(source: ShardSource): void {
    // The head has the least offset of the source that no frame covers.
    const open = source.lows.head?.owner;
    const at = this.#reserve();
    this.#u32[at + ENTRY.kind] = COMPLETION.source;
    this.#u32[at + ENTRY.index] = source.index;
    this.#u32[at + ENTRY.hasOffset] = open === undefined ? 0 : 1;
    this.#u32[at + ENTRY.offset] = open?.lowLow ?? 0;
    this.#u32[at + ENTRY.offset + 1] = open?.lowHigh ?? 0;
    this.#u32[at + ENTRY.lastOffset] = source.lastLow;
    this.#u32[at + ENTRY.lastOffset + 1] = source.lastHigh;
    this.#count(at + ENTRY.count, source.readEvents);
    // Progress alone can wait until main looks for something else.
    this.#ring.stage();
  }

  /**
   * What became of an event, whose record is at `position`, or of a stream that was restored as one set aside; `text`
   * lies in the shard's heap, and is main's to return.
   */
  fault(
    kind: typeof COMPLETION.aside | typeof COMPLETION.skipped,
    stream: ShardStream,
    fault: { readonly text: Frame; readonly position: number; readonly isRestored: boolean },
  ): void {
    const at = this.#reserve();
    this.#u32[at + ENTRY.kind] = kind;
    this.#u32[at + ENTRY.index] = stream.index;
    this.#u32[at + ENTRY.address] = fault.text.address;
    this.#u32[at + ENTRY.bytes] = fault.text.bytes;
    this.#u32[at + ENTRY.isRestored] = fault.isRestored ? 1 : 0;
    this.#count(at + ENTRY.seen, stream.seen);
    this.#count(at + ENTRY.position, fault.position);
    this.#stageNews();
  }

  checkpointed(request: number): void {
    const at = this.#reserve();
    this.#u32[at + ENTRY.kind] = COMPLETION.checkpointed;
    this.#u32[at + ENTRY.index] = request >>> 0;
    this.#stageNews();
  }

  #count(word: number, value: number): void {
    this.#u32[word] = value % U32;
    this.#u32[word + 1] = Math.floor(value / U32);
  }

  /** Lets main see what was told since the last time. */
  flush(): void {
    this.#ring.flush();
  }

  /** Main may be late, but it never refuses: the shard waits for room. */
  #reserve(): number {
    let at = this.#ring.reserve();
    if (at !== 0) return at;
    this.#waiting.until(() => {
      at = this.#ring.reserve();
      return at !== 0;
    });
    return at;
  }

  #stageNews(): void {
    this.#ring.stage();
    this.isNews = true;
  }
}
