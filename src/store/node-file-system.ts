/** The file system port on node:fs. Synchronous: it belongs to threads that may wait for the disk. */
import fs from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type FileSystem, type OpenMode, systemErrorCode } from './file-system.ts';

const OPEN_FLAGS: Record<OpenMode, string> = { read: 'r', 'read-write': 'r+', create: 'wx+' };

/** The unit of `blocks` in what stat answers, whatever the blocks of the file system. */
const STAT_BLOCK_BYTES = 512;

export const nodeFileSystem: FileSystem = {
  open: (path, mode) => fs.openSync(path, OPEN_FLAGS[mode]),
  close: (handle) => fs.closeSync(handle),
  read: (handle, target, position) => fs.readSync(handle, target, 0, target.length, position),
  writev: (handle, buffers, position) =>
    buffers.length === 1
      ? fs.writeSync(handle, buffers[0] as Uint8Array, 0, undefined, position)
      : fs.writevSync(handle, buffers, position),
  size: (handle) => fs.fstatSync(handle).size,
  allocatedBytes: (handle) => fs.fstatSync(handle).blocks * STAT_BLOCK_BYTES,
  sync: (handle) => fs.fsyncSync(handle),
  datasync: (handle) => fs.fdatasyncSync(handle),
  syncDirectory,
  rename: (from, to) => fs.renameSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  list(path) {
    try {
      return fs.readdirSync(path);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  },
  freeBytes,
  makeDirectory: (path) => makeDirectory(resolve(path)),
};

/** Not by the `recursive` of mkdir: on a path like /proc/nope, where nothing can be made, that never returns. */
function makeDirectory(path: string): void {
  if (isDirectory(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectory(parent);
  try {
    fs.mkdirSync(path);
  } catch (error) {
    // Somebody else may have made it in the meantime, and may not have made it durable yet.
    if (systemErrorCode(error) !== 'EEXIST' || !isDirectory(path)) throw error;
  }
  // The new name is durable only once the directory that holds it is.
  syncDirectory(parent);
}

function isDirectory(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = fs.statfsSync(path);
    return bavail * bsize;
  } catch {
    // Whatever keeps the system from saying it: who asks must do without.
    return 0;
  }
}

function syncDirectory(path: string): void {
  // Windows has no handle for a directory; its file systems journal names by themselves.
  if (process.platform === 'win32') return;
  const handle = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}
