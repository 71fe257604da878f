import { describe, expect, test } from 'vitest';
import {
  type ArenaLayout,
  COMPLETION_ENTRY_BYTES,
  heapRegion,
  MAIN_BLOCK_BYTES,
  MAIN_DOORBELL,
  MAIN_WAITING,
  planArenas,
  RETURN_ENTRY_BYTES,
  WORD,
  wordIndex,
} from '../../src/memory/layout.ts';
import { PAGE_BYTES } from '../../src/memory/size-classes.ts';
import { type Random, seeded } from '../support/random.ts';

const LINE_PAIR_BYTES = 128;

interface Part {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

function partsOf(arena: ArenaLayout): Part[] {
  const part = (name: string, start: number, bytes: number): Part => ({ name, start, end: start + bytes });
  return [
    part('control', arena.control, (Math.max(...Object.values(WORD)) + 1) * LINE_PAIR_BYTES),
    part('completion', arena.completion, arena.completionEntries * COMPLETION_ENTRY_BYTES),
    part('returns', arena.returns, arena.returnEntries * RETURN_ENTRY_BYTES),
    part('ingest', arena.ingest, arena.ingestBytes),
    part('spans', arena.spans, Math.floor(arena.heapBytes / PAGE_BYTES) * 4),
    part('heap', arena.heap, arena.heapBytes),
  ];
}

function randomPlan(random: Random) {
  return {
    memoryBytes: random.between(2 ** 16, random.pick([2 ** 20, 2 ** 24, 2 ** 29, 2 ** 32])),
    shards: random.between(1, random.pick([1, 4, 256])),
    ringBytes: 2 ** random.between(12, 24),
    heapBytesMin: random.pick([1, 2 ** 16, 2 ** 20]),
  };
}

test(
  'the parts of all arenas follow each other without overlap and end inside the memory',
  seeded((random) => {
    let planned = 0;
    for (let round = 0; round < 2_000; round++) {
      const plan = randomPlan(random);
      const arenas = planArenas(plan);
      if (arenas === undefined) continue;
      planned++;
      expect(arenas.length).toBe(plan.shards);
      let end = MAIN_BLOCK_BYTES;
      for (const part of arenas.flatMap(partsOf)) {
        if (part.start < end) expect.fail(`${part.name} begins at ${part.start}, before ${end}`);
        end = part.end;
      }
      expect(end).toBeLessThanOrEqual(plan.memoryBytes);
    }
    expect(planned).toBeGreaterThan(100);
  }),
);

test(
  'every part is aligned for what lies in it, and rings are powers of two',
  seeded((random) => {
    for (let round = 0; round < 500; round++) {
      const plan = randomPlan(random);
      for (const arena of planArenas(plan) ?? []) {
        expect(arena.control % LINE_PAIR_BYTES).toBe(0);
        expect(arena.completion % COMPLETION_ENTRY_BYTES).toBe(0);
        expect(arena.returns % RETURN_ENTRY_BYTES).toBe(0);
        expect(arena.ingest % 8).toBe(0);
        expect(arena.spans % 4).toBe(0);
        expect(arena.heap % PAGE_BYTES).toBe(0);
        expect(arena.heapBytes % PAGE_BYTES).toBe(0);
        expect(arena.heapBytes).toBeGreaterThanOrEqual(plan.heapBytesMin);
        expect(arena.ingestBytes).toBe(plan.ringBytes);
        for (const entries of [arena.completionEntries, arena.returnEntries]) {
          expect(entries & (entries - 1)).toBe(0);
        }
        // The shard can return from a completion ring that is full twice over, before main drains it.
        expect(arena.returnEntries).toBeGreaterThanOrEqual(arena.completionEntries);
      }
    }
  }),
);

describe('a memory that is too small', () => {
  test('is answered with undefined, not with an empty heap', () => {
    const plan = { shards: 1, ringBytes: 2 ** 12, heapBytesMin: PAGE_BYTES };
    expect(planArenas({ ...plan, memoryBytes: 0 })).toBeUndefined();
    expect(planArenas({ ...plan, memoryBytes: MAIN_BLOCK_BYTES })).toBeUndefined();
    expect(planArenas({ ...plan, memoryBytes: 2 ** 14 })).toBeUndefined();
    expect(planArenas({ ...plan, memoryBytes: 2 ** 20, shards: 256 })).toBeUndefined();
    expect(planArenas({ ...plan, memoryBytes: 2 ** 20, ringBytes: 2 ** 20 })).toBeUndefined();
  });

  test('is found exactly: one page less than enough is too little', () => {
    const plan = { shards: 1, ringBytes: 2 ** 12, memoryBytes: 2 ** 20 };
    const heapBytes = planArenas({ ...plan, heapBytesMin: 1 })?.[0]?.heapBytes ?? 0;
    expect(planArenas({ ...plan, heapBytesMin: heapBytes })).toBeDefined();
    expect(planArenas({ ...plan, heapBytesMin: heapBytes + 1 })).toBeUndefined();
  });
});

test('every word that a second thread polls has a cache line pair of its own', () => {
  const [first, second] =
    planArenas({ memoryBytes: 2 ** 22, shards: 2, ringBytes: 2 ** 12, heapBytesMin: 1 }) ?? [];
  if (first === undefined || second === undefined) throw new Error('the plan of the test is too small');
  const addresses = [MAIN_DOORBELL, MAIN_WAITING];
  for (const arena of [first, second]) {
    for (const word of Object.values(WORD)) addresses.push(wordIndex(arena, word) * 4);
  }
  expect(new Set(Object.values(WORD)).size).toBe(Object.keys(WORD).length);
  expect(new Set(addresses.map((address) => Math.floor(address / LINE_PAIR_BYTES))).size).toBe(
    addresses.length,
  );
});

test('a heap region has a word of the span table for each of its pages', () => {
  const buffer = new SharedArrayBuffer(2 ** 20);
  const [arena] = planArenas({ memoryBytes: 2 ** 20, shards: 1, ringBytes: 2 ** 12, heapBytesMin: 1 }) ?? [];
  if (arena === undefined) throw new Error('the plan of the test is too small');
  const region = heapRegion(arena, buffer);
  expect(region.spanTable.length).toBe(region.bytes / PAGE_BYTES);
  expect(region.spanTable.byteOffset + region.spanTable.byteLength).toBeLessThanOrEqual(region.base);
});
