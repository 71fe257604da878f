/** Small engine memories whose rings are full and wrap after a few records. */
import { EngineMemory } from '../../../src/memory/engine-memory.ts';
import { type ArenaLayout, planArenas, WORD, wordIndex } from '../../../src/memory/layout.ts';

export interface SmallEngine {
  readonly memory: EngineMemory;
  readonly arena: ArenaLayout;
}

/** One arena of 1 MiB with an ingest ring of `ringBytes` and entry rings of the least size. */
export function smallEngine(ringBytes = 4_096): SmallEngine {
  const memoryBytes = 2 ** 20;
  const memory = EngineMemory.reserve(memoryBytes);
  const arena = planArenas({ memoryBytes, shards: 1, ringBytes, heapBytesMin: 1 })?.[0];
  if (arena === undefined) throw new Error('the memory of the test is too small');
  return { memory, arena };
}

/** Lets a ring begin as if so many bytes and entries had passed already; before any side is constructed. */
export function startIndicesAt(engine: SmallEngine, at: { bytes: number; entries: number }): void {
  const { memory, arena } = engine;
  for (const word of [WORD.ingestWrite, WORD.ingestRead, WORD.ingestRelease]) {
    Atomics.store(memory.i32, wordIndex(arena, word), at.bytes);
  }
  for (const word of [WORD.completionWrite, WORD.completionRead, WORD.returnWrite, WORD.returnRead]) {
    Atomics.store(memory.i32, wordIndex(arena, word), at.entries);
  }
}
