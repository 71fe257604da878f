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

/** A collection frees array buffers on another thread, some time after it. */
const COLLECTIONS_MAX = 50;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of array buffers that somebody holds: collects until these are fewer than `enough`, or as often as it is worth. */
async function heldBytes(enough = 0): Promise<number> {
  for (let i = 0; i < COLLECTIONS_MAX && process.memoryUsage().arrayBuffers >= enough; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().arrayBuffers;
}

test('a huge frame that was carried is not held any more', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-compaction-'));
  const options = { diskBytes: 256 * MIB, perStream: 1, segmentBytesMax: MIB };
  const { store, generation } = openLog(nodePorts, directory, options);
  try {
    const commit = (stream: string, sequence: number, stateBytes: number): void => {
      const frames = [frameOf(stream, sequence, { stateBytes })];
      store.commit({ frames, frontiers: new Map(), generation });
    };
    const before = await heldBytes();
    commit('huge', 1, 24 * MIB);
    const segment = store.newest('huge')?.segment;
    for (let sequence = 1; store.newest('huge')?.segment === segment; sequence++) {
      commit('other', sequence, MIB / 2);
      while (store.idleStep());
    }
    commit('other', 1_000_000, 100);
    const most = before + 12 * MIB;
    expect(await heldBytes(most)).toBeLessThan(most);
  } finally {
    store.close();
    rmSync(directory, { recursive: true });
  }
});
