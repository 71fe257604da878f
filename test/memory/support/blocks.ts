/** A slow and obvious model of what an allocator has handed out. */
import { expect } from 'vitest';
import { classOf, PAGE_BYTES, SIZE_CLASSES, SLOT_BYTES_MAX } from '../../../src/memory/size-classes.ts';
import type { HeapRegion, SlabAllocator } from '../../../src/memory/slab-allocator.ts';
import type { Random } from '../../support/random.ts';

export interface Block {
  readonly address: number;
  readonly bytes: number;
}

/** What `bytes` bytes take of the heap. */
function paddedBytes(bytes: number): number {
  if (bytes > SLOT_BYTES_MAX) return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
  return SIZE_CLASSES[classOf(bytes)]?.slotBytes ?? 0;
}

export function heapOf(pages: number, base = 3 * PAGE_BYTES): HeapRegion {
  return { base, bytes: pages * PAGE_BYTES, spanTable: new Int32Array(new SharedArrayBuffer(pages * 4)) };
}

export class Blocks {
  readonly live: Block[] = [];
  usedBytes = 0;
  readonly #heap: HeapRegion;
  /** One flag for 16 bytes of the heap. */
  readonly #taken: Uint8Array;

  constructor(heap: HeapRegion) {
    this.#heap = heap;
    this.#taken = new Uint8Array(heap.bytes / 16);
  }

  /** Checks that the block is aligned, inside the heap and overlaps no other, padding included. */
  add(block: Block): void {
    const padded = paddedBytes(block.bytes);
    const start = block.address - this.#heap.base;
    expect(start % 16, `alignment of ${block.address}`).toBe(0);
    expect(start, 'begins in the heap').toBeGreaterThanOrEqual(0);
    expect(start + padded, 'ends in the heap').toBeLessThanOrEqual(this.#heap.bytes);
    const cells = this.#taken.subarray(start / 16, (start + padded) / 16);
    if (cells.includes(1)) expect.fail(`${block.bytes} bytes at ${block.address} overlap another block`);
    cells.fill(1);
    this.live.push(block);
    this.usedBytes += padded;
  }

  removeRandom(random: Random): Block {
    const at = random.below(this.live.length);
    const block = this.live[at] as Block;
    this.live[at] = this.live.at(-1) as Block;
    this.live.pop();
    const padded = paddedBytes(block.bytes);
    const start = block.address - this.#heap.base;
    this.#taken.fill(0, start / 16, (start + padded) / 16);
    this.usedBytes -= padded;
    return block;
  }
}

/** Allocates and frees at random, so that the heap fills up and empties in turns. */
export function churn(work: { allocator: SlabAllocator; blocks: Blocks; random: Random; steps: number }): {
  refused: number;
} {
  const { allocator, blocks, random } = work;
  let refused = 0;
  for (let step = 0; step < work.steps; step++) {
    const growing = Math.floor(step / 1_000) % 2 === 0;
    if (blocks.live.length === 0 || random.chance(growing ? 0.7 : 0.3)) {
      const bytes = random.magnitude(random.chance(0.2) ? 300_000 : SLOT_BYTES_MAX);
      const address = allocator.allocate(bytes);
      if (address === 0) refused++;
      else blocks.add({ address, bytes });
    } else {
      const block = blocks.removeRandom(random);
      allocator.free(block.address, block.bytes);
    }
    if (allocator.usedBytes !== blocks.usedBytes) {
      expect.fail(`usedBytes is ${allocator.usedBytes}, not ${blocks.usedBytes}`);
    }
  }
  return { refused };
}
