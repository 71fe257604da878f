/** Many streams: opening stays quick and its memory small. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { nodePorts } from '../../src/store/log/node-ports.ts';
import { openLog } from '../../src/store/log/open-log.ts';
import { frameOf } from './support/frames.ts';
import { sharedMemory, startWriter } from './support/store-writer.ts';

const STREAMS = 100_000;

describe('a directory of 100,000 streams', () => {
  test('opens on the writer, lists them all and copies them to shared memory', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidemark-scale-'));
    try {
      const options = { diskBytes: 2 ** 28, perStream: 3 };
      const { store, generation } = openLog(nodePorts, directory, options);
      for (let start = 0; start < STREAMS; start += 1000) {
        const frames = Array.from({ length: 1000 }, (_, i) =>
          frameOf(`stream-${start + i}`, 1, { stateBytes: 16 }),
        );
        store.commit({ frames, frontiers: new Map([['s', BigInt(start)]]), generation });
      }
      store.close();

      const memory = sharedMemory(1024);
      const writer = startWriter(directory, memory, options);
      const started = performance.now();
      const contents = await writer.client.open();
      const openMs = performance.now() - started;
      let at = 0;
      const copies: Promise<void>[] = [];
      for await (const checkpoint of contents.checkpoints) {
        copies.push(checkpoint.copyTo(new Uint8Array(memory.buffer, at, checkpoint.byteLength)));
        at += checkpoint.byteLength;
      }
      await Promise.all(copies);
      const restoreMs = performance.now() - started;
      expect(copies).toHaveLength(STREAMS);
      // Far above what it takes; a clone of an object for each stream, or a message, would show.
      expect(openMs).toBeLessThan(5000);
      expect(restoreMs).toBeLessThan(15_000);
      await writer.stop();
    } finally {
      rmSync(directory, { recursive: true });
    }
  }, 60_000);
});
