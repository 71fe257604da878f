/** The file system as it is: what a simulated disk cannot show. */
import { spawnSync } from 'node:child_process';
import fs, { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { nodeFileSystem } from '../../src/store/node-file-system.ts';

const OPENER = new URL('support/opener.ts', import.meta.url);

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'tidemark-files-'));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(scratch, { recursive: true });
});

/** In a process of its own: a thread that a system call holds cannot be ended. */
function openInProcess(directory: string): string {
  const { stdout } = spawnSync(process.execPath, [OPENER.pathname, directory], {
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  return stdout.trim();
}

describe('a directory that is made', () => {
  test('brings those above it, each name durable in the one that holds it', () => {
    const opened = vi.spyOn(fs, 'openSync');
    const synced = vi.spyOn(fs, 'fsyncSync');
    nodeFileSystem.makeDirectory(join(scratch, 'a/b/c'));
    expect(readdirSync(join(scratch, 'a/b'))).toEqual(['c']);
    const holders = [scratch, join(scratch, 'a'), join(scratch, 'a/b')];
    expect(opened.mock.calls.map(([path]) => path)).toEqual(process.platform === 'win32' ? [] : holders);
    expect(synced).toHaveBeenCalledTimes(opened.mock.calls.length);
  });

  test('is left as it is when it exists', () => {
    writeFileSync(join(scratch, 'letter.txt'), 'Dear reader');
    nodeFileSystem.makeDirectory(scratch);
    expect(readdirSync(scratch)).toEqual(['letter.txt']);
  });

  test('may have been made by another in the meantime', () => {
    const path = join(scratch, 'a');
    const make = fs.mkdirSync;
    vi.spyOn(fs, 'mkdirSync').mockImplementationOnce((name) => {
      make(name);
      return make(name) as undefined;
    });
    nodeFileSystem.makeDirectory(path);
    expect(readdirSync(scratch)).toEqual(['a']);
  });
});

test('free bytes are those of the file system that holds the path', () => {
  const free = nodeFileSystem.freeBytes(tmpdir());
  expect(free).toBeGreaterThan(0);
  expect(Number.isSafeInteger(free)).toBe(true);
});

test('free bytes that the system does not tell are none', () => {
  expect(nodeFileSystem.freeBytes(join(tmpdir(), 'no-such-directory'))).toBe(0);
  vi.spyOn(fs, 'statfsSync').mockImplementationOnce(() => {
    throw Object.assign(new Error('not permitted'), { code: 'EPERM' });
  });
  expect(nodeFileSystem.freeBytes(tmpdir())).toBe(0);
});

test('a file with a hole has fewer bytes of blocks than its size', () => {
  const path = join(scratch, 'sparse');
  const handle = nodeFileSystem.open(path, 'create');
  nodeFileSystem.writev(handle, [new Uint8Array(1)], 2 ** 20);
  nodeFileSystem.sync(handle);
  expect(nodeFileSystem.size(handle)).toBe(2 ** 20 + 1);
  expect(nodeFileSystem.allocatedBytes(handle)).toBeLessThan(2 ** 20);
  nodeFileSystem.writev(handle, [new Uint8Array(2 ** 20)], 0);
  nodeFileSystem.sync(handle);
  expect(nodeFileSystem.allocatedBytes(handle)).toBeGreaterThanOrEqual(2 ** 20);
  nodeFileSystem.close(handle);
});

describe('a directory that cannot be made', () => {
  test('is no directory when a file has its name', () => {
    const path = join(scratch, 'letter.txt');
    writeFileSync(path, 'Dear reader');
    expect(() => nodeFileSystem.makeDirectory(path)).toThrow('EEXIST');
  });

  test('fails the opening of a store below a file', () => {
    const path = join(scratch, 'letter.txt');
    writeFileSync(path, 'Dear reader');
    expect(openInProcess(join(path, 'checkpoints'))).toBe('ERR_TIDEMARK_STORE_FAILED');
    expect(openInProcess(join(path, 'more/checkpoints'))).toBe('ERR_TIDEMARK_STORE_FAILED');
  });

  test.runIf(process.platform === 'linux')('fails the opening of a store below /proc, and at once', () => {
    expect(openInProcess('/proc/nope')).toBe('ERR_TIDEMARK_STORE_FAILED');
    expect(openInProcess('/proc/nope/checkpoints')).toBe('ERR_TIDEMARK_STORE_FAILED');
  });
});
