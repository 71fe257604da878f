/** The quota of a directory as another process sees it, while a hundred times as much goes through. */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { nodePorts } from '../../src/store/log/node-ports.ts';
import { openLog } from '../../src/store/log/open-log.ts';
import { newDirectory } from './support/engine.ts';
import { startProgram } from './support/program.ts';

const DISK_BYTES = 8 * 2 ** 20;
const WRITTEN_BYTES = 100 * DISK_BYTES;
/** What `blocks` of a file's status counts. */
const BLOCK_BYTES = 512;
const PROGRAM = new URL('./programs/fill.ts', import.meta.url);

interface Use {
  /** Bytes of blocks that the files have, and the sum of their lengths. */
  readonly allocated: number;
  readonly length: number;
}

/** By inode: a file that is renamed between two looks is not to be counted twice. */
function useOf(directory: string): Use {
  const files = new Map<number, Use>();
  for (const name of readdirSync(directory)) {
    const file = statSync(join(directory, name), { throwIfNoEntry: false });
    if (file !== undefined) files.set(file.ino, { allocated: file.blocks * BLOCK_BYTES, length: file.size });
  }
  const sum = (of: (use: Use) => number): number =>
    [...files.values()].reduce((all, use) => all + of(use), 0);
  return { allocated: sum(({ allocated }) => allocated), length: sum(({ length }) => length) };
}

test('a directory never takes more than its quota, though a hundred times as much is written', async () => {
  const directory = await newDirectory();
  mkdirSync(directory);
  const { end } = startProgram(PROGRAM, { directory, diskBytes: DISK_BYTES, bytes: WRITTEN_BYTES });
  let isRunning = true;
  void end.then(() => {
    isRunning = false;
  });
  const most = { allocated: 0, length: 0, looks: 0 };
  while (isRunning) {
    const { allocated, length } = useOf(directory);
    most.allocated = Math.max(most.allocated, allocated);
    most.length = Math.max(most.length, length);
    most.looks++;
    await nextTurn();
  }
  const { code, reports, stderr } = await end;
  expect(code, stderr).toBe(0);
  const [told] = reports as unknown as [{ durableBytes: number; pushed: Record<string, number> }];
  console.log(`${most.looks} looks; at most ${most.allocated} bytes of blocks, ${most.length} of files`);
  expect(told.durableBytes).toBeGreaterThanOrEqual(WRITTEN_BYTES);
  expect(most.looks).toBeGreaterThan(100);
  // It was used, too: a log that never fills its disk shows nothing.
  expect(most.allocated).toBeGreaterThan(DISK_BYTES / 2);
  expect(most.allocated).toBeLessThanOrEqual(DISK_BYTES);
  expect(most.length).toBeLessThanOrEqual(DISK_BYTES);

  const { store } = openLog(nodePorts, directory, { diskBytes: DISK_BYTES, perStream: 2 });
  try {
    const newest = [...store.streams()].map((stream) => [stream, Number(store.newest(stream)?.sequence)]);
    expect(Object.fromEntries(newest)).toEqual(told.pushed);
  } finally {
    store.close();
  }
}, 120_000);
