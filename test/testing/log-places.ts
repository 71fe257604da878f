/** Places for the log store: on a real directory with a real thread, and on the simulated disk, which can lose power. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { TidemarkError } from '../../src/error.ts';
import type { CheckpointStore } from '../../src/store/contract.ts';
import { LogStoreClient } from '../../src/store/log/log-store-client.ts';
import { serveStore } from '../../src/store/log/writer-server.ts';
import type { StoreFactory, StorePlace } from '../../src/testing/index.ts';
import { DIRECTORY, MIB, portsOn } from '../store/support/log.ts';
import { SimulatedDisk } from '../store/support/simulated-disk.ts';
import { type RunningWriter, sharedMemory, startWriter } from '../store/support/store-writer.ts';
import type { Random } from '../support/random.ts';

const PER_STREAM = 3;

class RealPlace implements StorePlace {
  private readonly directory: string;
  private readonly diskBytes: number;
  private readonly writers: RunningWriter[] = [];

  private constructor(directory: string, diskBytes: number) {
    this.directory = directory;
    this.diskBytes = diskBytes;
  }

  static async create(diskBytes: number): Promise<RealPlace> {
    return new RealPlace(await mkdtemp(join(tmpdir(), 'tidemark-place-')), diskBytes);
  }

  store(): CheckpointStore {
    const options = { diskBytes: this.diskBytes, perStream: PER_STREAM, lockWaitMs: 0 };
    const writer = startWriter(join(this.directory, 'checkpoints'), sharedMemory(1), options);
    this.writers.push(writer);
    return writer.client;
  }

  /** Of the thread: the port closes, and whoever waits is told. */
  async crash(): Promise<void> {
    await this.writers.at(-1)?.terminate();
  }

  async dispose(): Promise<void> {
    await Promise.all(this.writers.map((writer) => writer.terminate()));
    await rm(this.directory, { recursive: true });
  }
}

export const realLog: StoreFactory = {
  perStream: PER_STREAM,
  secondOpener: 'refused',
  canCrash: true,
  create: () => RealPlace.create(2 ** 26),
  createSmall: () => RealPlace.create(2 ** 22),
};

class SimulatedPlace implements StorePlace {
  private readonly random: Random;
  private readonly diskBytes: number;
  private disk = new SimulatedDisk();
  private client: LogStoreClient | undefined;

  constructor(random: Random, diskBytes: number) {
    this.random = random;
    this.diskBytes = diskBytes;
  }

  store(): CheckpointStore {
    const { port1, port2 } = new MessageChannel();
    const memory = new SharedArrayBuffer(64);
    const options = { diskBytes: this.diskBytes, perStream: PER_STREAM };
    void serveStore({ port: port2, memory, directory: DIRECTORY, options, ports: portsOn(this.disk) });
    this.client = new LogStoreClient({ port: port1, memory });
    return this.client;
  }

  /** Of the machine: of what was not synced any sectors survive. The writer goes on with a disk that nobody has. */
  async crash(): Promise<void> {
    this.disk = this.disk.crash(() => this.random.chance(0.5));
    this.client?.fail(new TidemarkError('ERR_TIDEMARK_STORE_FAILED', 'the power failed'));
  }
}

export function simulatedLog(random: Random): StoreFactory {
  return {
    perStream: PER_STREAM,
    secondOpener: 'refused',
    canCrash: true,
    create: async () => new SimulatedPlace(random, 64 * MIB),
    createSmall: async () => new SimulatedPlace(random, 4 * MIB),
  };
}
