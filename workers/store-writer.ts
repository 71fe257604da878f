/**
 * Entry of the store writer's thread: one long-lived Piscina task that owns a checkpoint directory and
 * serves it over a port until the port closes.
 */
import { isMainThread } from 'node:worker_threads';
import { nodePorts } from '../src/store/log/node-ports.ts';
import type { StoreWriterTask } from '../src/store/log/writer-protocol.ts';
import { serveStore } from '../src/store/log/writer-server.ts';

if (isMainThread) throw new Error('the store writer waits for the disk and must run on a thread of its own');

export default async function storeWriter(task: StoreWriterTask): Promise<void> {
  await serveStore({ ...task, ports: nodePorts });
}
