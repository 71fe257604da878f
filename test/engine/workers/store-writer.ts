/** A store writer whose thread ends at the moment that the test has arranged, in the middle of whatever it does. */

import type { FileSystem } from '../../../src/store/file-system.ts';
import { nodePorts } from '../../../src/store/log/node-ports.ts';
import type { StoreWriterTask, WriterRequest } from '../../../src/store/log/writer-protocol.ts';
import { serveStore } from '../../../src/store/log/writer-server.ts';
import { nodeFileSystem } from '../../../src/store/node-file-system.ts';
import { WriterDeath } from '../support/writer-death.ts';

const death = WriterDeath.inherited();

const fileSystem: FileSystem = {
  ...nodeFileSystem,
  writev(handle, buffers, position) {
    death.pass('before write');
    const length = nodeFileSystem.writev(handle, buffers, position);
    death.pass('after write');
    return length;
  },
  datasync(handle) {
    nodeFileSystem.datasync(handle);
    death.pass('after sync');
  },
};

export default async function storeWriter(task: StoreWriterTask): Promise<void> {
  const { port } = task;
  const { on, postMessage } = port;
  const hear = (event: string, listener: (message: WriterRequest) => void): typeof port => {
    const heard = (message: WriterRequest): void => {
      death.begin(message.type);
      listener(message);
      death.end();
    };
    return on.call(port, event, event === 'message' ? heard : listener);
  };
  port.on = hear as typeof on;
  port.postMessage = (...parameters: Parameters<typeof postMessage>) => {
    death.pass('before answer');
    postMessage.apply(port, parameters);
    death.pass('after answer');
  };
  await serveStore({ ...task, ports: { ...nodePorts, fileSystem } });
}
