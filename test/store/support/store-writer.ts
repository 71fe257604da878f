/** A store writer on a real thread, with the client that talks to it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { afterEach, beforeEach } from 'vitest';
import { LogStoreClient } from '../../../src/store/log/log-store-client.ts';
import type { LogOptions } from '../../../src/store/log/options.ts';
import type { StoreWriterTask } from '../../../src/store/log/writer-protocol.ts';

const ENTRY = new URL('../../../workers/store-writer.ts', import.meta.url);

export interface RunningWriter {
  readonly client: LogStoreClient;
  /** Settles when the writer's thread has nothing more to serve. */
  readonly ended: Promise<void>;
  /** Ends the thread as a crash of it would. */
  terminate(): Promise<void>;
  stop(): Promise<void>;
}

export function startWriter(
  directory: string,
  memory: WebAssembly.Memory,
  options: Partial<LogOptions> = {},
): RunningWriter {
  const pool = new Piscina<StoreWriterTask, void>({
    filename: ENTRY.href,
    minThreads: 1,
    maxThreads: 1,
    atomics: 'disabled',
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const { port1, port2 } = new MessageChannel();
  const task: StoreWriterTask = {
    port: port2,
    memory,
    directory,
    options: { diskBytes: 2 ** 24, perStream: 3, ...options },
  };
  const ended = pool.run(task, { transferList: [port2] });
  ended.catch(() => {
    // Whoever waits for the end is told; nobody else has to.
  });
  const client = new LogStoreClient({ port: port1, memory });
  let destroyed: Promise<void> | undefined;
  const terminate = (): Promise<void> => {
    destroyed ??= pool.destroy();
    return destroyed;
  };
  return {
    client,
    ended,
    terminate,
    async stop() {
      await client.close();
      await ended;
      await terminate();
    },
  };
}

/** For every test of the file: a directory, and writers that end with the test. */
export function writersInTests(name: string): {
  readonly directory: string;
  start(...parameters: Parameters<typeof startWriter>): RunningWriter;
} {
  const running: RunningWriter[] = [];
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), `tidemark-${name}-`));
  });
  afterEach(async () => {
    for (const writer of running.splice(0)) await writer.terminate();
    rmSync(directory, { recursive: true });
  });
  return {
    get directory() {
      return directory;
    },
    start(...parameters) {
      const writer = startWriter(...parameters);
      running.push(writer);
      return writer;
    },
  };
}

export function sharedMemory(pages: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** Lays `frames` out in `memory`, one behind the other, unaligned as they come. */
export function placeFrames<Frame extends { readonly bytes: Uint8Array }>(
  memory: WebAssembly.Memory,
  frames: readonly Frame[],
  start = 3,
): Frame[] {
  let at = start;
  return frames.map((frame) => {
    const bytes = new Uint8Array(memory.buffer, at, frame.bytes.length);
    bytes.set(frame.bytes);
    at += frame.bytes.length;
    return { ...frame, bytes };
  });
}
