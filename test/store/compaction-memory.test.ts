/** What compaction holds in memory between its steps. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { nodePorts } from '../../src/store/log/node-ports.ts';
import { openLog } from '../../src/store/log/open-log.ts';
import { frameOf } from './support/frames.ts';
import { MIB } from './support/log.ts';

/** Bytes of array buffers that somebody holds. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().arrayBuffers;
}

test('a huge frame that was carried is not held any more', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-compaction-'));
  const options = { diskBytes: 256 * MIB, perStream: 1, segmentBytesMax: MIB };
  const { store, generation } = openLog(nodePorts, directory, options);
  try {
    const commit = (stream: string, sequence: number, stateBytes: number): void => {
      const frames = [frameOf(stream, sequence, { stateBytes })];
      store.commit({ frames, frontiers: new Map(), generation });
    };
    const before = heldBytes();
    commit('huge', 1, 24 * MIB);
    const segment = store.newest('huge')?.segment;
    for (let sequence = 1; store.newest('huge')?.segment === segment; sequence++) {
      commit('other', sequence, MIB / 2);
      while (store.idleStep());
    }
    commit('other', 1_000_000, 100);
    expect(heldBytes() - before).toBeLessThan(12 * MIB);
  } finally {
    store.close();
    rmSync(directory, { recursive: true });
  }
});
