/** The shard's side of the doorbell tests: each scenario posts one message when it is through. */
import { parentPort, workerData } from 'node:worker_threads';
import { ControlWords, ShardBell } from '../../../src/memory/doorbells.ts';
import { WORD } from '../../../src/memory/layout.ts';
import { Latch } from './latch.ts';
import { engineOf, type PeerData } from './peer.ts';

/** Far beyond a test's time limit: only a ring ends such a sleep. */
const FOREVER_MS = 2 ** 30;

export interface BellTask {
  readonly scenario: 'sleep' | 'sleep-when-work-is-there' | 'ring-main' | 'alternate';
  /** Opened by the worker once it has come to the point of its scenario. */
  readonly reached: Int32Array<SharedArrayBuffer>;
  /** Opened by the main thread when the worker may go on. */
  readonly proceed: Int32Array<SharedArrayBuffer>;
  readonly rounds: number;
}

if (parentPort !== null) parentPort.postMessage(run(workerData as PeerData<BellTask>));

function run(data: PeerData<BellTask>): string {
  const { memory, arena } = engineOf(data);
  const bell = new ShardBell(memory, arena);
  const words = new ControlWords(memory, arena);
  const { scenario, rounds } = data.task;
  const reached = new Latch(data.task.reached);
  const proceed = new Latch(data.task.proceed);
  switch (scenario) {
    case 'sleep':
      bell.sleep(FOREVER_MS, () => {
        reached.open();
        proceed.wait();
        return true;
      });
      return 'woken';
    case 'sleep-when-work-is-there':
      bell.sleep(FOREVER_MS, () => false);
      return 'awake';
    case 'ring-main':
      reached.wait();
      bell.ringMain();
      proceed.open();
      return 'rung';
    case 'alternate':
      for (let round = 1; round <= rounds; round++) {
        while (words.get(WORD.ingestWrite) < round) {
          bell.sleep(FOREVER_MS, () => words.get(WORD.ingestWrite) < round);
        }
        words.set(WORD.completionWrite, round);
        bell.ringMain();
      }
      return 'alternated';
  }
}
