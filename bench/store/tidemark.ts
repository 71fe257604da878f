/** The log as an engine uses it: on the store writer's thread, with frames that cross to it as numbers. */
import { MessageChannel } from 'node:worker_threads';
import { TaskThread } from '../../src/engine/thread.ts';
import type { EngineMemory } from '../../src/memory/engine-memory.ts';
import { openRestored } from '../../src/recovery/restore.ts';
import { LogStoreClient } from '../../src/store/log/log-store-client.ts';
import type { StoreWriterTask } from '../../src/store/log/writer-protocol.ts';
import type { StoreCase } from './cases.ts';
import { logOptionsOf } from './log-options.ts';
import { storeWriterFile } from './store-writer-file.ts';
import type { StoreSubjectModule } from './subject.ts';

/** Looked for before any clock starts. */
const file = storeWriterFile();

export const tidemark: StoreSubjectModule = {
  isShared: true,
  async open({ plan, directory, memory }) {
    const { client, thread } = start(plan, directory, memory);
    const { generation } = await client.open();
    let commits = 0n;
    return {
      commit(frames) {
        commits += 1n;
        return client.commit({ frames, frontiers: new Map([['bench', commits]]), generation });
      },
      kept: {
        sequences: async (stream) => (await client.list(stream)).map(({ sequence }) => sequence),
        newest: async (stream) => (await client.read(stream))?.bytes,
      },
      async close() {
        await client.close();
        await thread.destroy();
      },
    };
  },
  async recover({ plan, directory, target }) {
    const { client } = start(plan, directory, target.memory);
    const heaps = { memory: target.memory, arenas: target.arenas(), shardOf: () => 0 };
    const restored = await openRestored(heaps, client);
    for (const { stream, address, bytes } of restored.placed) target.frames.push({ stream, address, bytes });
  },
};

/** As the engine starts it. */
function start(plan: StoreCase, directory: string, { buffer, memory }: EngineMemory) {
  const { port1, port2 } = new MessageChannel();
  const client = new LogStoreClient({ port: port1, memory: buffer });
  const task: StoreWriterTask = { port: port2, memory, directory, options: logOptionsOf(plan) };
  const thread = new TaskThread<void>({
    file,
    task,
    transfer: [port2],
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  thread.outcome.catch((error: Error) => client.fail(error));
  return { client, thread };
}
