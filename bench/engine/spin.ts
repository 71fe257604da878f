/** A thread that never rests until it is told to end. */
import { parentPort, workerData } from 'node:worker_threads';

const stop = workerData as Int32Array;
parentPort?.postMessage('spinning');
while (Atomics.load(stop, 0) === 0);
