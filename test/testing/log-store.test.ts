/**
 * The log store keeps the contract of stores: on a disk that loses what was not synced, with writers that die, and on a
 * thread and a directory of its own as the engine has it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { describe, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type StoreWriter, SupervisedLog } from '../../src/engine/supervised-log.ts';
import { LogStoreClient } from '../../src/store/log/log-store-client.ts';
import { serveStore } from '../../src/store/log/writer-server.ts';
import { type StoreFactory, suite } from '../../src/testing/index.ts';
import { DIRECTORY, MIB, portsOn } from '../store/support/log.ts';
import { SimulatedDisk } from '../store/support/simulated-disk.ts';
import { type RunningWriter, sharedMemory, startWriter } from '../store/support/store-writer.ts';
import { Random, seeded } from '../support/random.ts';

const OPTIONS = { diskBytes: 4 * MIB, perStream: 3 };
const PROMISES = { secondOpener: 'refused', perStream: 3, capacityBytes: OPTIONS.diskBytes } as const;

describe('the log on a disk that loses what was not synced', () => {
  interface Machine {
    disk: SimulatedDisk;
    readonly cut: (() => Promise<void>)[];
  }

  let random = new Random(0);

  const factory: StoreFactory<Machine> = {
    ...PROMISES,
    create: () => ({ disk: new SimulatedDisk(), cut: [] }),
    connect({ disk, cut }) {
      const { port1, port2 } = new MessageChannel();
      const memory = sharedMemory(1);
      const ports = { ...portsOn(disk), clock: systemClock };
      const ended = serveStore({ port: port2, memory, directory: DIRECTORY, options: OPTIONS, ports });
      const client = new LogStoreClient({ port: port1, memory });
      cut.push(() => {
        // First, so that nobody hears what is still answered from the disk as it was.
        client.fail(new Error('crashed'));
        port1.close();
        return ended;
      });
      return client;
    },
    async crash(machine) {
      machine.disk = machine.disk.crash(() => random.chance(0.5));
      await this.dispose?.(machine);
    },
    async dispose({ cut }) {
      for (const each of cut.splice(0)) await each();
    },
  };

  suite({
    factory,
    test: (name, body) =>
      test(
        name,
        seeded((fresh) => {
          random = fresh;
          return body();
        }),
      ),
  });
});

describe('the log whose writers die again and again', () => {
  interface Machine {
    disk: SimulatedDisk;
    readonly logs: SupervisedLog[];
  }

  /** Every fourth request is done and not answered. */
  function mortalWriter(disk: SimulatedDisk, memory: WebAssembly.Memory): StoreWriter {
    const { port1, port2 } = new MessageChannel();
    let answersLeft = 3;
    const answer = port2.postMessage.bind(port2);
    port2.postMessage = (...parameters: Parameters<typeof answer>) => {
      if (answersLeft-- > 0) answer(...parameters);
      else port2.close();
    };
    const ports = { ...portsOn(disk), clock: systemClock };
    const outcome = serveStore({ port: port2, memory, directory: DIRECTORY, options: OPTIONS, ports });
    const client = new LogStoreClient({ port: port1, memory });
    const destroy = (): Promise<void> => {
      client.fail(new Error('crashed'));
      port1.close();
      return outcome;
    };
    return { client, outcome, destroy };
  }

  async function cut({ logs }: Machine): Promise<void> {
    for (const log of logs.splice(0)) await log.release();
  }

  suite<Machine>({
    test,
    factory: {
      ...PROMISES,
      create: () => ({ disk: new SimulatedDisk(), logs: [] }),
      connect({ disk, logs }) {
        const memory = sharedMemory(1);
        const log = new SupervisedLog({ start: () => mortalWriter(disk, memory), timeoutMs: 20_000 });
        logs.push(log);
        return log;
      },
      async crash(machine) {
        machine.disk = machine.disk.crash(() => true);
        await cut(machine);
      },
      dispose: cut,
    },
  });
});

describe('the log on its thread', () => {
  interface Home {
    readonly directory: string;
    readonly writers: RunningWriter[];
  }

  /** What a thread, a real directory and its lock may change; each store takes a thread's start. */
  const relevant = /crash|opener|shared memory|under way|closed/;

  suite<Home>({
    test: (name, body) => relevant.test(name) && test(name, body),
    factory: {
      ...PROMISES,
      create: () => ({ directory: mkdtempSync(join(tmpdir(), 'tidemark-testing-')), writers: [] }),
      connect({ directory, writers }) {
        const writer = startWriter(directory, sharedMemory(1), OPTIONS);
        writers.push(writer);
        return writer.client;
      },
      async crash({ writers }) {
        await Promise.all(writers.splice(0).map((writer) => writer.terminate()));
      },
      async dispose({ directory, writers }) {
        await Promise.all(writers.map((writer) => writer.terminate()));
        rmSync(directory, { recursive: true });
      },
    },
  });
});
