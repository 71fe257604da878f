/** A store on its writer that copies its checkpoints while it is opened. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { FoundCheckpoint, RestoreTarget } from '../../src/store/contract.ts';
import { LogStoreClient } from '../../src/store/log/log-store-client.ts';
import { nodePorts } from '../../src/store/log/node-ports.ts';
import { serveStore } from '../../src/store/log/writer-server.ts';
import { frameOf } from './support/frames.ts';
import { sharedMemory, writersInTests } from './support/store-writer.ts';

const memory = sharedMemory(64);
const writers = writersInTests('restoring');
const { start } = writers;

function stateBytesOf(stream: number): number {
  return stream === 0 ? 100_000 : 30 + (stream % 50);
}

/** Two checkpoints of each of some streams, the frontier at ten times their sequence; closed cleanly. */
async function fill(streams: number): Promise<void> {
  const writer = start(writers.directory, memory);
  const { generation } = await writer.client.open();
  for (const sequence of [1, 2]) {
    const frames = Array.from({ length: streams }, (_, i) =>
      frameOf(`stream-${i}`, sequence, { stateBytes: stateBytesOf(i), generation }),
    );
    const frontiers = new Map([['s', BigInt(10 * sequence)]]);
    await writer.client.commit({ frames, frontiers, generation });
  }
  await writer.stop();
}

/** Flips a bit of the state of a frame in the first segment. */
function damageFrame(stream: string, sequence: number, stateBytes: number): void {
  const name = readdirSync(writers.directory).find((each) => each.endsWith('.log'));
  const path = join(writers.directory, name as string);
  const bytes = readFileSync(path);
  const at = bytes.indexOf(frameOf(stream, sequence, { stateBytes }).bytes);
  expect(at).toBeGreaterThan(0);
  bytes[at + 60] = (bytes[at + 60] as number) ^ 1;
  writeFileSync(path, bytes);
}

class Target implements RestoreTarget {
  begins = 0;
  readonly placed = new Map<string, { checkpoint: FoundCheckpoint; address: number; byteLength: number }>();
  #next = 65_536;

  begin(): void {
    this.begins += 1;
    this.placed.clear();
    this.#next = 65_536;
  }

  place(checkpoint: FoundCheckpoint, byteLength: number): number {
    const address = this.#next;
    this.#next += Math.ceil(byteLength / 16) * 16;
    this.placed.set(checkpoint.stream, { checkpoint, address, byteLength });
    return address;
  }

  bytesOf(stream: string): Uint8Array {
    const { byteLength, address } = this.placed.get(stream) ?? {};
    return new Uint8Array(memory.buffer, address, byteLength).slice();
  }
}

describe('a store that restores while it is opened', () => {
  test('has copied all checkpoints when it is open', async () => {
    // More than go with one message.
    const streams = 5_000;
    await fill(streams);
    const { client } = start(writers.directory, memory);
    const target = new Target();
    const contents = await client.openInto(target);
    expect(contents).toEqual({ generation: 2n, frontiers: new Map([['s', 20n]]), lost: [] });
    expect(target.begins).toBe(1);
    expect(target.placed.size).toBe(streams);
    for (let i = 0; i < streams; i += 7) {
      const stream = `stream-${i}`;
      expect(target.placed.get(stream)?.checkpoint).toMatchObject({
        sequence: 2n,
        generation: 1n,
        fellBack: 0,
      });
      const expected = frameOf(stream, 2, { stateBytes: stateBytesOf(i) });
      expect(target.bytesOf(stream)).toEqual(expected.bytes);
    }
    await client.commit({ frames: [frameOf('new', 1)], frontiers: new Map(), generation: 2n });
  });

  test.each([
    ['large', 'stream-0', 100_000],
    ['small', 'stream-3', 33],
  ])('falls back from a %s damaged checkpoint before anything is told', async (_, stream, stateBytes) => {
    await fill(10);
    damageFrame(stream, 2, stateBytes);
    const { client } = start(writers.directory, memory);
    const target = new Target();
    const contents = await client.openInto(target);
    expect(contents.frontiers).toEqual(new Map([['s', 10n]]));
    expect(contents.generation).toBe(2n);
    expect(target.begins).toBe(2);
    expect(target.placed.size).toBe(10);
    expect(target.placed.get(stream)?.checkpoint).toMatchObject({ sequence: 1n, fellBack: 1 });
    expect(target.placed.get(stream)?.checkpoint.reason).toContain('checksum');
    expect(target.bytesOf(stream)).toEqual(frameOf(stream, 1, { stateBytes }).bytes);
  });

  test('rejects with what the target throws, and has opened nothing', async () => {
    await fill(10);
    const writer = start(writers.directory, memory);
    const target = new Target();
    const full = new Error('there is no room');
    const place = (checkpoint: FoundCheckpoint, byteLength: number): number => {
      if (target.placed.size === 5) throw full;
      return target.place(checkpoint, byteLength);
    };
    await expect(writer.client.openInto({ begin: () => target.begin(), place })).rejects.toBe(full);
    await expect(writer.client.open()).rejects.toMatchObject({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' });
    await writer.stop();
    const next = start(writers.directory, memory, { lockWaitMs: 0 });
    expect((await next.client.open()).generation).toBe(2n);
  });

  test('and is closed meanwhile leaves the directory as it is to whoever has its lock next', async () => {
    const { port1, port2 } = new MessageChannel();
    const options = { diskBytes: 2 ** 24, perStream: 3 };
    const service = { port: port2, memory, directory: writers.directory, options, ports: nodePorts };
    const served = serveStore(service);
    const client = new LogStoreClient({ port: port1, memory });
    const closed: Promise<void>[] = [];
    // There is nothing to copy, so what opens it comes right behind.
    const target = { begin: () => void closed.push(client.close()), place: () => 0 };
    await expect(client.openInto(target)).rejects.toMatchObject({ code: 'ERR_TIDEMARK_CLOSED' });
    await Promise.all([...closed, served]);
    const next = start(writers.directory, memory, { lockWaitMs: 0 });
    expect((await next.client.open()).generation).toBe(1n);
  });

  test('rejects while another has the directory, and opens when it is free', async () => {
    const first = start(writers.directory, memory);
    await first.client.open();
    const { client } = start(writers.directory, memory, { lockWaitMs: 0 });
    const refused = { code: 'ERR_TIDEMARK_DIRECTORY_LOCKED' };
    await expect(client.openInto(new Target())).rejects.toMatchObject(refused);
    await first.stop();
    expect((await client.openInto(new Target())).generation).toBe(2n);
  });
});
