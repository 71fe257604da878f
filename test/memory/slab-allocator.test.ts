import { describe, expect, test } from 'vitest';
import { PAGE_BYTES, SIZE_CLASSES, SLOT_BYTES_MAX } from '../../src/memory/size-classes.ts';
import { SlabAllocator } from '../../src/memory/slab-allocator.ts';
import { seeded } from '../support/random.ts';
import { Blocks, churn, heapOf } from './support/blocks.ts';

const PAGES = 1_024;

describe('random allocations and frees', () => {
  test(
    'never overlap, stay inside the heap, are aligned to 16 bytes and counted exactly',
    seeded((random) => {
      const heap = heapOf(PAGES);
      const allocator = new SlabAllocator(heap);
      const { refused } = churn({ allocator, blocks: new Blocks(heap), random, steps: 20_000 });
      // Otherwise the test never saw a full heap.
      expect(refused).toBeGreaterThan(0);
    }),
  );

  test(
    'leave a heap that one allocation of all its bytes fits, once everything is freed',
    seeded((random) => {
      const heap = heapOf(PAGES);
      const allocator = new SlabAllocator(heap);
      for (let round = 0; round < 10; round++) {
        const blocks = new Blocks(heap);
        churn({ allocator, blocks, random, steps: 2_000 });
        while (blocks.live.length > 0) {
          const block = blocks.removeRandom(random);
          allocator.free(block.address, block.bytes);
        }
        expect(allocator.usedBytes).toBe(0);
        expect(allocator.freeBytes).toBe(heap.bytes);
        expect(allocator.allocate(heap.bytes)).toBe(heap.base);
        expect(allocator.allocate(1)).toBe(0);
        allocator.free(heap.base, heap.bytes);
      }
    }),
  );

  test('fits says what allocate would do and leaves no trace', () => {
    const allocator = new SlabAllocator(heapOf(16));
    expect(allocator.fits(16 * PAGE_BYTES)).toBe(true);
    expect(allocator.fits(16 * PAGE_BYTES + 1)).toBe(false);
    expect(allocator.fits(100)).toBe(true);
    expect(allocator.usedBytes).toBe(0);
    allocator.allocate(16 * PAGE_BYTES);
    expect(allocator.fits(1)).toBe(false);
  });
});

describe('a kept empty span', () => {
  test('gives its pages to a large allocation that needs them', () => {
    const allocator = new SlabAllocator(heapOf(16));
    const address = allocator.allocate(64);
    allocator.free(address, 64);
    expect(allocator.allocate(16 * PAGE_BYTES)).toBe(address);
  });

  test('gives its pages to a span of another class', () => {
    const allocator = new SlabAllocator(heapOf(32));
    allocator.free(allocator.allocate(64), 64);
    // A span of the greatest slots takes the whole heap.
    expect(allocator.allocate(SLOT_BYTES_MAX)).not.toBe(0);
  });

  test('is not stuck behind a span that regained room after it', () => {
    const slots = SIZE_CLASSES[0]?.slots ?? 0;
    const allocator = new SlabAllocator(heapOf(10));
    const full = Array.from({ length: slots }, () => allocator.allocate(64));
    allocator.free(allocator.allocate(64), 64);
    allocator.free(full[0] as number, 64);
    expect(allocator.allocate(9 * PAGE_BYTES)).not.toBe(0);
  });
});

describe('wrong frees throw and change nothing', () => {
  const cases: readonly (readonly [string, number, (address: number) => [number, number]])[] = [
    ['a slot at another address', 100, (address) => [address + 16, 100]],
    ['a slot with the length of another class', 100, (address) => [address, 200]],
    ['a slot with the length of a large run', 100, (address) => [address, 40_000]],
    ['a slot beside the one that is taken', 112, (address) => [address + 112, 112]],
    ['a large run at another page', 40_000, (address) => [address + PAGE_BYTES, 40_000]],
    ['a large run off its page', 40_000, (address) => [address + 16, 40_000]],
    ['a large run with another number of pages', 40_000, (address) => [address, 80_000]],
    ['a large run with the length of a slot', 40_000, (address) => [address, 100]],
    ['an address before the heap', 100, () => [16, 100]],
    ['an address behind the heap', 100, () => [2 ** 31, 100]],
  ];
  for (const [name, bytes, wrong] of cases) {
    test(name, () => {
      const allocator = new SlabAllocator(heapOf(64));
      const address = allocator.allocate(bytes);
      const used = allocator.usedBytes;
      expect(() => allocator.free(...wrong(address))).toThrow(RangeError);
      expect(allocator.usedBytes).toBe(used);
      allocator.free(address, bytes);
      expect(allocator.usedBytes).toBe(0);
    });
  }

  test('a double free', () => {
    for (const bytes of [1, 100, SLOT_BYTES_MAX, SLOT_BYTES_MAX + 1]) {
      const allocator = new SlabAllocator(heapOf(64));
      const address = allocator.allocate(bytes);
      allocator.free(address, bytes);
      expect(() => allocator.free(address, bytes)).toThrow(RangeError);
      expect(allocator.usedBytes).toBe(0);
    }
  });
});

describe('rebuild', () => {
  test(
    'takes exactly a random live subset and goes on, whatever the old owner left in the span table',
    seeded((random) => {
      const heap = heapOf(PAGES);
      let allocator = new SlabAllocator(heap);
      let blocks = new Blocks(heap);
      for (let generation = 0; generation < 12; generation++) {
        churn({ allocator, blocks, random, steps: 1_500 });
        // What the dead owner had taken beyond this leaves stale entries in the table.
        const share = random.pick([0, 0.1, 0.5, 1]);
        const live = random.shuffle(blocks.live).filter(() => random.chance(share));
        allocator = SlabAllocator.rebuild(heap, live);
        blocks = new Blocks(heap);
        for (const block of live) blocks.add(block);
        expect(allocator.usedBytes).toBe(blocks.usedBytes);
      }
      while (blocks.live.length > 0) {
        const block = blocks.removeRandom(random);
        allocator.free(block.address, block.bytes);
      }
      expect(allocator.allocate(heap.bytes)).toBe(heap.base);
    }),
  );

  test('refuses lists that cannot be', () => {
    const heap = heapOf(64);
    const owner = new SlabAllocator(heap);
    const slot = owner.allocate(100);
    const large = owner.allocate(40_000);
    const tail = SIZE_CLASSES.find(
      ({ slotBytes, spanPages, slots }) => slotBytes * slots < spanPages * PAGE_BYTES,
    );
    const waste = owner.allocate(tail?.slotBytes ?? 0) + (tail?.slotBytes ?? 0) * (tail?.slots ?? 0);
    const impossible: readonly (readonly { address: number; bytes: number }[])[] = [
      [
        { address: slot, bytes: 100 },
        { address: slot, bytes: 100 },
      ],
      [
        { address: slot, bytes: 100 },
        { address: slot, bytes: 200 },
      ],
      [
        { address: slot, bytes: 100 },
        { address: slot, bytes: 40_000 },
      ],
      [{ address: slot + 16, bytes: 100 }],
      [
        { address: large, bytes: 40_000 },
        { address: large + 4 * PAGE_BYTES, bytes: 40_000 },
      ],
      [{ address: large + 16, bytes: 40_000 }],
      [{ address: large, bytes: 100 }],
      [{ address: waste, bytes: tail?.slotBytes ?? 0 }],
      [{ address: 16, bytes: 100 }],
      [{ address: heap.base + heap.bytes, bytes: 100 }],
      [{ address: heap.base + heap.bytes - PAGE_BYTES, bytes: 40_000 }],
    ];
    for (const [i, live] of impossible.entries()) {
      expect(() => SlabAllocator.rebuild(heap, live), `case ${i}`).toThrow(RangeError);
    }
  });
});
