/** The store as the engine has it: on a thread of its own, with frames in shared memory. */
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { FrameRef, RestorableCheckpoint, StoreContents } from '../../src/store/contract.ts';
import { inspectDirectory } from '../../src/store/log/inspect.ts';
import { LogStoreClient } from '../../src/store/log/log-store-client.ts';
import { nodeFileSystem } from '../../src/store/node-file-system.ts';
import { seeded } from '../support/random.ts';
import { frameOf } from './support/frames.ts';
import { placeFrames, sharedMemory, writersInTests } from './support/store-writer.ts';

const writers = writersInTests('writer');
const { start } = writers;

async function checkpointsOf(contents: StoreContents): Promise<Map<string, RestorableCheckpoint>> {
  const found = new Map<string, RestorableCheckpoint>();
  for await (const checkpoint of contents.checkpoints) found.set(checkpoint.stream, checkpoint);
  return found;
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

describe('a store on its writer', () => {
  test('writes frames from shared memory and gives them back', async () => {
    const memory = sharedMemory(64);
    const first = start(writers.directory, memory);
    const { generation } = await first.client.open();
    const small = Array.from({ length: 50 }, (_, i) => frameOf(`stream-${i}`, i + 1, { stateBytes: 17 * i }));
    const frames = placeFrames(memory, [...small, frameOf('large', 7, { stateBytes: 300_000 })]);
    await first.client.commit({ frames, frontiers: new Map([['s', 5n]]), generation });
    expect((await first.client.read('large'))?.bytes).toEqual(new Uint8Array(frames.at(-1)?.bytes ?? []));
    expect(await first.client.read('nobody')).toBeUndefined();
    expect((await first.client.list('stream-3')).map(({ sequence }) => sequence)).toEqual([4n]);
    expect((await first.client.list('stream-3'))[0]?.createdAt).toEqual(new Date(1_700_000_000_000));
    let streams = 0;
    for await (const stream of first.client.streams()) streams += stream.length > 0 ? 1 : 0;
    expect(streams).toBe(51);
    await first.stop();

    const second = start(writers.directory, memory);
    const contents = await second.client.open();
    expect(contents.generation).toBe(2n);
    expect(contents.frontiers).toEqual(new Map([['s', 5n]]));
    const checkpoints = await checkpointsOf(contents);
    expect(checkpoints.size).toBe(51);
    new Uint8Array(memory.buffer).fill(0);
    await Promise.all(
      frames.map(async ({ stream }, i) => {
        const checkpoint = checkpoints.get(stream) as RestorableCheckpoint;
        const shared = i % 2 === 0;
        const target = shared
          ? new Uint8Array(memory.buffer, 65_536 + 8000 * i, checkpoint.byteLength)
          : new Uint8Array(checkpoint.byteLength);
        await checkpoint.copyTo(target);
        const { sequence } = checkpoint;
        const stateBytes = stream === 'large' ? 300_000 : 17 * i;
        expect(new Uint8Array(target)).toEqual(frameOf(stream, sequence, { stateBytes }).bytes);
      }),
    );
    await second.stop();
  });

  test('takes frames that lie elsewhere, too', async () => {
    const writer = start(writers.directory, sharedMemory(1));
    const { generation } = await writer.client.open();
    const frame = frameOf('a', 1);
    await writer.client.commit({ frames: [frame], frontiers: new Map(), generation });
    expect(frame.bytes.length).toBeGreaterThan(0);
    expect((await writer.client.read('a'))?.bytes).toEqual(frame.bytes);
  });

  test('merges commits that wait and keeps their order', async () => {
    const memory = sharedMemory(16);
    const writer = start(writers.directory, memory);
    const { generation } = await writer.client.open();
    const frames = placeFrames(
      memory,
      Array.from({ length: 300 }, (_, i) => frameOf('a', i + 1)),
    );
    await Promise.all(
      frames.map((frame, i) =>
        writer.client.commit({ frames: [frame], frontiers: new Map([['s', BigInt(i)]]), generation }),
      ),
    );
    expect((await writer.client.read('a'))?.sequence).toBe(300n);
    await writer.stop();
    const [a] = inspectDirectory(nodeFileSystem, writers.directory, { verify: false }).streams;
    expect(a?.checkpoints.at(-1)?.commit).toBeLessThan(300);
    const again = start(writers.directory, memory);
    expect((await again.client.open()).frontiers).toEqual(new Map([['s', 299n]]));
  });

  test('tells each caller alone when only one of the merged commits is wrong', async () => {
    const writer = start(writers.directory, sharedMemory(1));
    const { client } = writer;
    const { generation } = await client.open();
    const good = (sequence: number) => ({
      frames: [frameOf('a', sequence)],
      frontiers: new Map(),
      generation,
    });
    const junk = { stream: 'b', sequence: 1n, bytes: new Uint8Array(50) };
    const codes = await Promise.all([
      codeOf(client.commit(good(1))),
      codeOf(client.commit({ frames: [junk], frontiers: new Map(), generation })),
      codeOf(client.commit(good(2))),
      codeOf(client.commit({ ...good(3), generation: generation - 1n })),
    ]);
    expect(codes).toEqual([undefined, 'ERR_TIDEMARK_DAMAGED_FRAME', undefined, 'ERR_TIDEMARK_FENCED']);
    expect((await client.read('a'))?.sequence).toBe(2n);
  });

  test('forgets a stream and knows it again by another number', async () => {
    const { client } = start(writers.directory, sharedMemory(1));
    const { generation } = await client.open();
    for (let round = 1; round <= 3; round++) {
      await client.commit({ frames: [frameOf('a', 10 - round)], frontiers: new Map(), generation });
      expect((await client.read('a'))?.sequence).toBe(BigInt(10 - round));
      await client.forget('a');
      expect(await client.read('a')).toBeUndefined();
    }
    const frames = [frameOf('b', 1), frameOf('b', 2)];
    await client.commit({ frames, frontiers: new Map(), generation });
    await client.deleteBefore('b', 2n);
    expect((await client.list('b')).map(({ sequence }) => sequence)).toEqual([2n]);
  });

  test('forgets streams together that are named one after the other, and tells each caller', async () => {
    const writer = start(writers.directory, sharedMemory(1));
    const { client } = writer;
    const { generation } = await client.open();
    const names = Array.from({ length: 600 }, (_, n) => `s${n}`);
    const frames = names.map((stream) => frameOf(stream, 1));
    await client.commit({ frames, frontiers: new Map(), generation });
    const forgets = names.slice(0, 500).map((stream) => client.forget(stream));
    const again = client.commit({ frames: [frameOf('s7', 1)], frontiers: new Map(), generation });
    await Promise.all([...forgets, client.forget('nobody'), again]);
    await writer.stop();
    const { streams } = inspectDirectory(nodeFileSystem, writers.directory, { verify: false });
    expect(streams.map(({ stream }) => stream).sort()).toEqual(['s7', ...names.slice(500)].sort());
    // Many commits fewer than one for each.
    expect(streams.find(({ stream }) => stream === 's7')?.checkpoints.at(-1)?.commit).toBeLessThan(100);
  });

  test('is refused when another has the directory, and can be opened when it is free', async () => {
    const first = start(writers.directory, sharedMemory(1));
    await first.client.open();
    const second = start(writers.directory, sharedMemory(1), { lockWaitMs: 0 });
    expect(await codeOf(second.client.open())).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
    await first.stop();
    expect((await second.client.open()).generation).toBe(2n);
  });
});

describe('promises of a store', () => {
  test('all settle when the thread dies', async () => {
    const writer = start(writers.directory, sharedMemory(1));
    const contents = await writer.client.open();
    const waiting = [
      writer.client.commit({
        frames: [frameOf('a', 1)],
        frontiers: new Map(),
        generation: contents.generation,
      }),
      writer.client.read('a'),
      writer.client.list('a'),
    ];
    const settled = Promise.allSettled(waiting);
    await writer.terminate();
    await settled;
    expect(await codeOf(writer.client.read('a'))).toBe('ERR_TIDEMARK_STORE_FAILED');
    await writer.client.close();
    // The thread is gone, and with it its lock.
    const next = start(writers.directory, sharedMemory(1));
    expect((await next.client.open()).generation).toBe(contents.generation + 1n);
  });

  test('are rejected with the error that `fail` is given', async () => {
    const { port1 } = new MessageChannel();
    const client = new LogStoreClient({ port: port1, memory: sharedMemory(1) });
    const waiting = [client.open(), client.read('a'), client.close()].map(codeOf);
    client.fail(Object.assign(new Error('the thread died'), { code: 'ERR_TEST' }));
    expect(await Promise.all(waiting)).toEqual(['ERR_TEST', 'ERR_TEST', 'ERR_TEST']);
    port1.close();
  });

  test('are refused after close, which ends the task and frees the directory', async () => {
    const writer = start(writers.directory, sharedMemory(1));
    await writer.client.open();
    await Promise.all([writer.client.close(), writer.client.close()]);
    await writer.ended;
    expect(await codeOf(writer.client.read('a'))).toBe('ERR_TIDEMARK_CLOSED');
    const next = start(writers.directory, sharedMemory(1), { lockWaitMs: 0 });
    expect((await next.client.open()).generation).toBe(2n);
  });

  test('are refused before the store is open', async () => {
    const { client } = start(writers.directory, sharedMemory(1));
    expect(await codeOf(client.read('a'))).toBe('ERR_TIDEMARK_CLOSED');
    const commit = client.commit({ frames: [frameOf('a', 1)], frontiers: new Map(), generation: 1n });
    expect(await codeOf(commit)).toBe('ERR_TIDEMARK_CLOSED');
  });
});

describe('the entry of the thread', () => {
  test('refuses to be loaded on the main thread', async () => {
    await expect(import('../../workers/store-writer.ts')).rejects.toThrow('a thread of its own');
  });
});

describe('a random workload', () => {
  test(
    'over many restarts of the writer equals a map',
    seeded(async (random) => {
      const memory = sharedMemory(64);
      const model = new Map<string, FrameRef[]>();
      let frontier = 0n;
      for (let life = 0; life < 4; life++) {
        const writer = start(writers.directory, memory, { diskBytes: 2 ** 21 });
        const contents = await writer.client.open();
        const restored = await checkpointsOf(contents);
        const expected = new Map([...model].map(([stream, kept]) => [stream, kept.at(-1)?.sequence]));
        expect(new Map([...restored].map(([stream, { sequence }]) => [stream, sequence]))).toEqual(expected);
        expect(contents.frontiers.get('s') ?? 0n).toBe(frontier);
        for (let i = 0; i < 60; i++) {
          frontier += 1n;
          const stream = `stream-${random.below(30)}`;
          if (random.chance(0.1)) {
            await writer.client.forget(stream);
            model.delete(stream);
          }
          const sequence = (model.get(stream)?.at(-1)?.sequence ?? 0n) + 1n;
          const frame = frameOf(stream, sequence, { stateBytes: random.magnitude(20_000), salt: i });
          const [placed] = placeFrames(memory, [frame], random.below(64)) as [FrameRef];
          const frontiers = new Map([['s', frontier]]);
          await writer.client.commit({ frames: [placed], frontiers, generation: contents.generation });
          model.set(stream, [...(model.get(stream) ?? []), frame].slice(-3));
        }
        for (const [stream, kept] of model) {
          const newest = kept.at(-1) as FrameRef;
          expect((await writer.client.read(stream))?.bytes).toEqual(newest.bytes);
        }
        await writer.stop();
      }
    }),
  );
});
