/**
 * The shard's memory for images and frames: its allocator, the frames that main gives back, and what
 * happens when there is no room.
 *
 * Liveness: an image is only allocated if the largest frame of the shard still fits beside it. So when
 * every frame that may leave memory has left, one checkpoint can still be taken; it becomes durable,
 * leaves in its turn, and so on. When main cannot give anything back any more it says so, and the
 * allocation throws.
 */
import { TidemarkError } from '../error.ts';
import type { ControlWords } from '../memory/doorbells.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { EntryConsumer, returnRing } from '../memory/entry-rings.ts';
import { type ArenaLayout, heapRegion, WORD } from '../memory/layout.ts';
import { SlabAllocator } from '../memory/slab-allocator.ts';
import type { Waiting } from './waiting.ts';

/** From this share of the heap on, main is asked to give frames back before there is need. */
const PRESSURE_SHARE = 3 / 4;
/** … and asked for this share of the heap; a shard that waits asks for less, to wait less. */
const RELIEF_SHARE = 1 / 8;
const RELIEF_SHARE_MIN = 1 / 64;

export interface LiveFrame {
  readonly address: number;
  readonly bytes: number;
}

export class ShardHeap {
  readonly #memory: EngineMemory;
  readonly #words: ControlWords;
  readonly #waiting: Waiting;
  readonly #allocator: SlabAllocator;
  readonly #returns: EntryConsumer;
  /** Bytes of the largest frame so far. */
  #largestFrame = 0;
  #request: number;
  /** Until streams are restored: frames that main gives back meanwhile may be those that they are restored from. */
  #holdsReturns = true;
  /** Bytes in use from which on relief is asked for. */
  #relieveAbove: number;

  constructor(
    memory: EngineMemory,
    arena: ArenaLayout,
    ports: { words: ControlWords; waiting: Waiting; live: Iterable<LiveFrame> },
  ) {
    this.#memory = memory;
    this.#words = ports.words;
    this.#waiting = ports.waiting;
    this.#allocator = SlabAllocator.rebuild(heapRegion(arena, memory.buffer), ports.live);
    this.#returns = new EntryConsumer(memory, returnRing(arena));
    this.#request = this.#words.get(WORD.memoryRequest);
    this.#relieveAbove = this.#allocator.bytes * PRESSURE_SHARE;
  }

  /** From now on what main gives back is freed. */
  takeReturns(): void {
    this.#holdsReturns = false;
  }

  /** Frees what main has given back; returns how many frames that were. */
  drainReturns(): number {
    if (this.#holdsReturns) return 0;
    let count = 0;
    for (let entry = this.#returns.peek(); entry !== 0; entry = this.#returns.peek()) {
      this.#allocator.free(this.#memory.u32[entry] as number, this.#memory.u32[entry + 1] as number);
      this.#returns.consume();
      count++;
    }
    return count;
  }

  /** Publishes how much is in use, and asks for relief once that is a lot. */
  report(): void {
    const { usedBytes, bytes } = this.#allocator;
    this.#words.set(WORD.heapUsed, usedBytes | 0);
    if (usedBytes <= bytes * PRESSURE_SHARE) {
      this.#relieveAbove = bytes * PRESSURE_SHARE;
      return;
    }
    if (usedBytes <= this.#relieveAbove || !this.#isAnswered) return;
    this.#ask(bytes * RELIEF_SHARE);
    // If that is denied there is no use in asking again before more is in use.
    this.#relieveAbove = usedBytes + bytes * RELIEF_SHARE * RELIEF_SHARE;
  }

  /** Waits for room if need be. @throws ERR_TIDEMARK_MEMORY_FULL, ShardStopped */
  allocateFrame(bytes: number, stream: string): number {
    this.#largestFrame = Math.max(this.#largestFrame, bytes);
    return this.#allocate(
      bytes,
      () => this.#allocator.allocate(bytes),
      () => `a checkpoint of stream '${stream}'`,
    );
  }

  /** Room for a frame that need not be: 0 rather than waiting, or leaving none for the largest frame. */
  allocateSpare(bytes: number): number {
    this.#largestFrame = Math.max(this.#largestFrame, bytes);
    return this.#allocateBeside(bytes, this.#largestFrame);
  }

  /** As `allocateFrame`, for the image of a stream whose frames take about `frameBytes`. */
  allocateImage(bytes: number, frameBytes: number, stream: string): number {
    const reserve = Math.max(this.#largestFrame, frameBytes);
    const address = this.#allocate(
      bytes + reserve,
      () => this.#allocateBeside(bytes, reserve),
      () => `the state of stream '${stream}' and one checkpoint of it`,
    );
    this.#largestFrame = reserve;
    return address;
  }

  free(address: number, bytes: number): void {
    this.#allocator.free(address, bytes);
  }

  /** 0 also where there would be no room for `reserve` bytes more. */
  #allocateBeside(bytes: number, reserve: number): number {
    const address = this.#allocator.allocate(bytes);
    if (address === 0 || this.#allocator.fits(reserve)) return address;
    this.#allocator.free(address, bytes);
    return 0;
  }

  #allocate(bytes: number, attempt: () => number, purpose: () => string): number {
    let address = attempt();
    let hasAsked = false;
    while (address === 0) {
      // Main returns frames first and answers then. So with the answer read before the returns are
      // drained, a denial together with a failed attempt means that nothing is left on its way.
      const isAnswered = this.#isAnswered;
      if (this.drainReturns() > 0) address = attempt();
      if (address !== 0) break;
      if (isAnswered) {
        if (hasAsked && this.#isDenied) throw this.#full(bytes, purpose());
        // More than is needed, so that a full heap does not cost a round trip for every frame.
        this.#ask(Math.max(bytes, this.#allocator.bytes * RELIEF_SHARE_MIN));
        hasAsked = true;
      }
      this.#waiting.until(() => (!this.#holdsReturns && this.#returns.peek() !== 0) || this.#isAnswered);
    }
    return address;
  }

  get #isAnswered(): boolean {
    return this.#words.get(WORD.memoryAnswered) === this.#request;
  }

  get #isDenied(): boolean {
    return this.#words.get(WORD.memoryDenied) === this.#request;
  }

  #ask(bytes: number): void {
    this.#request = (this.#request + 1) | 0;
    this.#words.set(WORD.memoryWanted, Math.min(bytes, 2 ** 31 - 1) | 0);
    this.#words.set(WORD.memoryRequest, this.#request);
  }

  #full(bytes: number, purpose: string): TidemarkError {
    return new TidemarkError(
      'ERR_TIDEMARK_MEMORY_FULL',
      `no room for ${purpose} (${bytes} bytes): ${this.#allocator.usedBytes} of the shard's ${this.#allocator.bytes} bytes are in use and nothing more can leave; raise memory.bytes or use fewer streams`,
    );
  }
}
