/** What a directory takes of a disk, and what a process writes to it. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** File systems that have no disk under them: tmpfs and ramfs. */
const IN_MEMORY: readonly number[] = [0x0102_1994, 0x8584_58f6];
/** What `blocks` of a file's status counts. */
const BLOCK_BYTES = 512;
const READ_BYTES = 2 ** 20;

/** False, too, where the system does not say. */
export function isInMemory(directory: string): boolean {
  return IN_MEMORY.includes(statfsSync(directory).type);
}

/** Bytes of the blocks that the files in `directory` have. */
export function allocatedBytes(directory: string): number {
  return files(directory).reduce((sum, file) => sum + statSync(file).blocks * BLOCK_BYTES, 0);
}

/** Reads every file, so that all of it is in the page cache as far as there is room. */
export function warm(directory: string): void {
  const buffer = new Uint8Array(READ_BYTES);
  for (const file of files(directory)) {
    const handle = openSync(file, 'r');
    while (readSync(handle, buffer) > 0);
    closeSync(handle);
  }
}

/**
 * Bytes that this process has handed to write calls so far; undefined where the system does not count them. What
 * reaches the disk is more: whole blocks, and what the file system notes about them.
 */
export function writtenBytes(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const count = /^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1];
  return count === undefined ? undefined : Number(count);
}

function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
