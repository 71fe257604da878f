/** Opens the directory that it is given: as a process it commits once and holds it; as a thread it tells how it went. */
import { parentPort } from 'node:worker_threads';
import { TidemarkError } from '../../../src/error.ts';
import { nodePorts } from '../../../src/store/log/node-ports.ts';
import { openLog } from '../../../src/store/log/open-log.ts';
import { frameOf } from './frames.ts';

const directory = process.argv.at(-1) as string;

try {
  const { store, generation } = openLog(nodePorts, directory, {
    diskBytes: 2 ** 22,
    perStream: 3,
    lockWaitMs: 0,
  });
  store.commit({ frames: [frameOf('from the owner', 1)], frontiers: new Map(), generation });
  parentPort?.postMessage('opened');
  if (parentPort === null) {
    console.log('opened');
    // Held until it is killed.
    process.stdin.resume();
  } else {
    store.close();
  }
} catch (error) {
  const outcome = error instanceof TidemarkError ? error.code : String(error);
  if (parentPort === null) console.log(outcome);
  else parentPort.postMessage(outcome);
}
