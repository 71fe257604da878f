/** Opens the durable store that the options ask for, on a thread of its own if it is the embedded log. */
import { MessageChannel } from 'node:worker_threads';
import { TidemarkError } from '../error.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { RestoringStore } from '../recovery/restore.ts';
import type { CheckpointStore } from '../store/contract.ts';
import { LogStoreClient } from '../store/log/log-store-client.ts';
import type { StoreWriterTask } from '../store/log/writer-protocol.ts';
import { withDeadline } from './deadline.ts';
import type { RestartEvent } from './metrics.ts';
import type { ResolvedOptions } from './options.ts';
import { type StoreWriter, SupervisedLog } from './supervised-log.ts';
import { TaskThread } from './thread.ts';
import { workerFile } from './worker-files.ts';

/** How long a store is given to close when the engine has not opened or has failed, in milliseconds. */
export const ABANDON_MS = 1_000;

export interface StoreConnection {
  readonly store: CheckpointStore;
  /** The same store, if it can be opened so. */
  readonly restoring?: RestoringStore;
  /** `listener` hears of each thread of the store that has taken the place of another. */
  onRestart(listener: (restart: RestartEvent) => void): void;
  /** Ends what `close` of the store left running. */
  release(): Promise<void>;
}

/** Undefined: memory only. The store is not opened yet. */
export function connectStore(options: ResolvedOptions, memory: EngineMemory): StoreConnection | undefined {
  const { directory, store } = options;
  if (store !== undefined) return { store, onRestart: () => {}, release: () => Promise.resolve() };
  if (directory === undefined) return undefined;
  const file = workerFile('store-writer', options.workersUrl);
  const log = new SupervisedLog({
    start: () => startWriter(file, memory, { directory, options }),
    timeoutMs: options.storeTimeoutMs,
  });
  return {
    store: log,
    restoring: log,
    onRestart: (listener) => {
      log.onRestart = listener;
    },
    release: () => log.release(),
  };
}

function startWriter(
  file: string,
  { buffer, memory }: EngineMemory,
  { directory, options }: Pick<StoreWriterTask, 'directory' | 'options'>,
): StoreWriter {
  const { port1, port2 } = new MessageChannel();
  const client = new LogStoreClient({ port: port1, memory: buffer });
  const { diskBytes, perStream } = options;
  const thread = new TaskThread<void>({
    file,
    task: { port: port2, memory, directory, options: { diskBytes, perStream } } satisfies StoreWriterTask,
    transfer: [port2],
    // node:sqlite, which holds the directory's lock, warns that it is experimental.
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  return { client, outcome: thread.outcome, destroy: () => thread.destroy() };
}

/** Closes the store, if it answers. @throws ERR_TIDEMARK_STORE_FAILED, and what the store throws */
export async function closeStore(connection: StoreConnection | undefined, ms: number): Promise<void> {
  if (connection === undefined) return;
  const late = (): Error =>
    new TidemarkError(
      'ERR_TIDEMARK_STORE_FAILED',
      `the store was not closed within ${ms} ms; see why it does not answer`,
    );
  await withDeadline(Promise.resolve(connection.store.close()), ms, late);
}
