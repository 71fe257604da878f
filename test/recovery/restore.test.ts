/** From what a store holds to checkpoints in the heaps of the shards. */
import { describe, expect, test } from 'vitest';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { type ArenaLayout, heapRegion, planArenas } from '../../src/memory/layout.ts';
import { SlabAllocator } from '../../src/memory/slab-allocator.ts';
import { type Restored, restoreCheckpoints } from '../../src/recovery/restore.ts';
import type { RestorableCheckpoint, StoreContents } from '../../src/store/contract.ts';
import { seeded } from '../support/random.ts';

const MEMORY_BYTES = 2 ** 21;
const SHARDS = 2;
/** Three of them fit half a heap, four do not. */
const LARGE_BYTES = 150_000;

function arenas(): ArenaLayout[] {
  const plan = { memoryBytes: MEMORY_BYTES, shards: SHARDS, ringBytes: 2 ** 12, heapBytesMin: 1 };
  return planArenas(plan) as ArenaLayout[];
}

function checkpoint(
  stream: string,
  bytes: Uint8Array,
  more: Partial<RestorableCheckpoint> = {},
): RestorableCheckpoint {
  return {
    stream,
    sequence: 5n,
    generation: 2n,
    byteLength: bytes.length,
    fellBack: 0,
    copyTo: (target) => {
      target.set(bytes);
      return Promise.resolve();
    },
    ...more,
  };
}

async function restore(
  checkpoints: StoreContents['checkpoints'],
  more: Partial<StoreContents> = {},
): Promise<Restored & { memory: EngineMemory }> {
  const memory = EngineMemory.reserve(MEMORY_BYTES);
  const contents: StoreContents = { generation: 3n, frontiers: new Map(), lost: [], checkpoints, ...more };
  const heaps = { memory, arenas: arenas(), shardOf: (stream: string) => stream.length % SHARDS };
  const restored = await restoreCheckpoints(heaps, contents);
  return { ...restored, memory };
}

/** What the process hears of rejections that nobody handled while `body` ran. */
async function unhandledDuring(body: () => Promise<void>): Promise<unknown[]> {
  const unhandled: unknown[] = [];
  const listener = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', listener);
  try {
    await body();
    await macrotask();
  } finally {
    process.off('unhandledRejection', listener);
  }
  return unhandled;
}

function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('an empty store restores nothing, and says where reading goes on', async () => {
  const lost = [{ stream: 'gone', reason: 'damaged' }];
  const { placed, receipt } = await restore([], { frontiers: new Map([['file', 9n]]), lost });
  expect(placed).toEqual([]);
  expect(receipt).toEqual({ generation: 3n, streams: [], lost, positions: new Map([['file', 9n]]) });
});

test(
  'every checkpoint is copied whole to the heap of its shard, and none over another',
  seeded(async (random) => {
    const frames = new Map<string, Uint8Array>();
    for (let i = 0; i < 300; i++) {
      frames.set(`${i}${'x'.repeat(random.below(3))}`, random.bytes(1 + random.magnitude(3_000)));
    }
    const { placed, memory } = await restore([...frames].map(([stream, bytes]) => checkpoint(stream, bytes)));
    expect(placed.map(({ stream }) => stream)).toEqual([...frames.keys()]);
    for (const { stream, address, bytes, shard } of placed) {
      expect(shard).toBe(stream.length % SHARDS);
      expect(address % 16).toBe(0);
      expect(memory.u8.slice(address, address + bytes)).toEqual(frames.get(stream));
    }
    for (const [shard, arena] of arenas().entries()) {
      // A shard can rebuild its allocator from the list: they are where it expects them, and do not overlap.
      const own = placed.filter((each) => each.shard === shard);
      expect(() => SlabAllocator.rebuild(heapRegion(arena, memory.buffer), own)).not.toThrow();
    }
  }),
);

test('the receipt says of each stream what was restored, how far it fell back and why', async () => {
  const { receipt } = await restore([
    checkpoint('a', new Uint8Array(40)),
    checkpoint('b', new Uint8Array(40), { sequence: 8n, generation: 1n, fellBack: 2, reason: 'checksum' }),
  ]);
  expect(receipt.streams).toEqual([
    { stream: 'a', sequence: 5n, generation: 2n, fellBack: 0 },
    { stream: 'b', sequence: 8n, generation: 1n, fellBack: 2, reason: 'checksum' },
  ]);
});

test('checkpoints may come asynchronously', async () => {
  async function* later(): AsyncGenerator<RestorableCheckpoint> {
    await macrotask();
    yield checkpoint('a', new Uint8Array(100).fill(1));
    await macrotask();
    yield checkpoint('b', new Uint8Array(100).fill(2));
  }
  const { placed, memory } = await restore(later());
  expect(placed.map(({ address }) => memory.u8[address])).toEqual([1, 2]);
});

test('so many copies are under way at a time, and all are done when it resolves', async () => {
  let open = 0;
  let most = 0;
  let done = 0;
  const slow = Array.from({ length: 20_000 }, (_, index) =>
    checkpoint(`${index}`, new Uint8Array(64), {
      copyTo: async () => {
        most = Math.max(most, ++open);
        await macrotask();
        open--;
        done++;
      },
    }),
  );
  await restore(slow);
  expect(done).toBe(20_000);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(2 * 4_096);
});

test('a copy that fails is waited for with all the others before anybody is told', async () => {
  let open = 0;
  const failing = Array.from({ length: 10_000 }, (_, index) =>
    checkpoint(`${index}`, new Uint8Array(64), {
      copyTo: async () => {
        open++;
        await macrotask();
        if (index === 5_000) throw new Error('the disk is gone');
        await macrotask();
        open--;
      },
    }),
  );
  await expect(restore(failing)).rejects.toThrow('the disk is gone');
  // The one that failed never came to its end.
  expect(open).toBe(1);
});

describe('checkpoints that take much of a heap', () => {
  const large = (stream: string): RestorableCheckpoint => checkpoint(stream, new Uint8Array(LARGE_BYTES));

  test('leave it as their streams are restored, to make room for the images', async () => {
    expect((await restore([large('a')])).isTransient).toEqual([false, false]);
    expect((await restore(['a', 'b', 'c', 'dd'].map(large))).isTransient).toEqual([false, true]);
    expect((await restore(['a', 'bb', 'dd', 'ff'].map(large))).isTransient).toEqual([true, false]);
  });

  test('are refused when the heap cannot hold them', async () => {
    const many = Array.from({ length: 10 }, (_, n) => large('aa'.repeat(n + 1)));
    await expect(restore(many)).rejects.toMatchObject({
      code: 'ERR_TIDEMARK_MEMORY_FULL',
      message: expect.stringMatching(/at stream 'a+'\); raise memory\.bytes/),
    });
  });
});

describe('a copy that fails', () => {
  const cause = new Error('the disk is gone');
  const failing = (stream: string): RestorableCheckpoint =>
    checkpoint(stream, new Uint8Array(64), { copyTo: () => Promise.reject(cause) });

  test('rejects with its error', async () => {
    await expect(restore([failing('a'), checkpoint('b', new Uint8Array(64))])).rejects.toBe(cause);
  });

  test('while further checkpoints are awaited is nobody else to handle', async () => {
    async function* slow(): AsyncGenerator<RestorableCheckpoint> {
      yield failing('a');
      await macrotask();
      await macrotask();
      yield failing('b');
    }
    expect(await unhandledDuring(() => expect(restore(slow())).rejects.toBe(cause))).toEqual([]);
  });

  test('before there is no more room is nobody else to handle', async () => {
    const checkpoints = [
      failing('aa'),
      ...['bb', 'cc', 'dd', 'ee'].map((s) => checkpoint(s, new Uint8Array(LARGE_BYTES))),
    ];
    const body = (): Promise<void> => expect(restore(checkpoints)).rejects.toThrow();
    expect(await unhandledDuring(body)).toEqual([]);
  });

  test('is reported only when no copy writes to memory any more', async () => {
    let open = 0;
    const slow = checkpoint('b', new Uint8Array(64), {
      copyTo: async () => {
        open++;
        await macrotask();
        await macrotask();
        open--;
      },
    });
    await expect(restore([slow, failing('a'), slow])).rejects.toBe(cause);
    expect(open).toBe(0);
  });
});

test('what the store throws while it lists its checkpoints is passed on', async () => {
  const cause = new Error('unreadable');
  async function* broken(): AsyncGenerator<RestorableCheckpoint> {
    yield checkpoint('a', new Uint8Array(64));
    await macrotask();
    throw cause;
  }
  await expect(restore(broken())).rejects.toBe(cause);
});
