/**
 * Where recovered checkpoints go, whatever store they come from: into an engine's memory, each verified by its
 * checksum. The kernel does that for stores that hand over bytes; it is the fastest there is.
 */
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { type ArenaLayout, MAIN_BLOCK_BYTES, planArenas } from '../../src/memory/layout.ts';
import type { StoreCase } from './cases.ts';
import { alignedBytes } from './frame-source.ts';

/** What an arena needs besides its frames. */
const ARENA_BYTES = 2 ** 25;
const RING_BYTES = 2 ** 16;

export interface RecoveredFrame {
  readonly stream: string;
  readonly address: number;
  readonly bytes: number;
}

export class RecoveryTarget {
  readonly memory: EngineMemory;
  readonly frames: RecoveredFrame[] = [];
  #next = MAIN_BLOCK_BYTES;

  constructor({ streams, frameBytes }: StoreCase) {
    // An allocator rounds up to the next of its sizes.
    this.memory = EngineMemory.reserve(Math.ceil(streams * alignedBytes(frameBytes) * 1.25) + ARENA_BYTES);
  }

  /** The memory as one shard's, for a store that recovers with the engine's own code. */
  arenas(): readonly ArenaLayout[] {
    const memoryBytes = this.memory.buffer.byteLength;
    const arenas = planArenas({ memoryBytes, shards: 1, ringBytes: RING_BYTES, heapBytesMin: RING_BYTES });
    if (arenas === undefined) throw new Error('the memory is too small for an arena');
    return arenas;
  }

  /** A place for a frame that the caller copies and verifies. */
  place(stream: string, bytes: number): Uint8Array {
    const address = this.#next;
    this.#next += alignedBytes(bytes);
    this.frames.push({ stream, address, bytes });
    return this.memory.u8.subarray(address, address + bytes);
  }

  /** Copies the frame in `bytes` and verifies the copy. */
  take(stream: string, bytes: Uint8Array): void {
    const { memory } = this;
    const { byteOffset: address } = this.place(stream, bytes.length);
    memory.copyIn(bytes, address);
    if (memory.kernel.verify(address, bytes.length, memory.frames.knownLayout) === 0)
      throw new Error(`the frame of ${stream} does not verify`);
  }
}
