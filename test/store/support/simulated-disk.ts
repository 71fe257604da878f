/**
 * A disk in memory behind the file system port. It knows what was synced, so it can crash: everything synced is
 * kept; of unsynced bytes any subset of sectors, each as any write since the sync left it, since a system writes back
 * when it likes; of unsynced changes of names any prefix, as a journal does it.
 * Files have blocks where they were written and holes elsewhere; there are only so many blocks.
 *
 * Operations can be watched and made to fail through `before`.
 */
import { basename, dirname } from 'node:path';
import { TidemarkError } from '../../../src/error.ts';
import type { FileHandle, FileSystem, OpenMode } from '../../../src/store/file-system.ts';
import type { DirectoryLock, LockRequest } from '../../../src/store/log/lock.ts';

const SECTOR = 512;
const BLOCK = 4096;
/** A sector of which no earlier unsynced write is known. */
const CLEAN: readonly Uint8Array[] = [];

interface SimulatedFile {
  bytes: Uint8Array;
  synced: Uint8Array;
  /** Unsynced sectors, each with what earlier unsynced writes had left there. */
  readonly dirty: Map<number, readonly Uint8Array[]>;
  readonly blocks: Set<number>;
}

interface NameChange {
  readonly removed?: string;
  readonly added?: { readonly path: string; readonly file: SimulatedFile };
}

interface OpenedFile {
  path: string;
  readonly file: SimulatedFile;
}

export type Operation =
  | 'open'
  | 'read'
  | 'writev'
  | 'sync'
  | 'datasync'
  | 'syncDirectory'
  | 'rename'
  | 'unlink';

export class SimulatedDisk implements FileSystem {
  /** Called before an operation; what it throws, the operation throws. */
  before: (operation: Operation, path: string) => void = () => {};
  /** The greatest sum of file sizes there ever was. */
  bytesMax = 0;
  bytesWritten = 0;
  /** Bytes that were read, through all handles. */
  bytesRead = 0;
  /** What the blocks of all files may take together. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Some file systems do not say how much they have. */
  tellsFreeBytes = true;
  private names = new Map<string, SimulatedFile>();
  private durableNames = new Map<string, SimulatedFile>();
  /** Changes of names since the directory was synced, in order. */
  private nameChanges: NameChange[] = [];
  private readonly directories = new Set<string>();
  private readonly handles = new Map<FileHandle, OpenedFile>();
  private readonly locked = new Set<string>();
  private nextHandle = 1;

  open(path: string, mode: OpenMode): FileHandle {
    this.before('open', path);
    let file = this.names.get(path);
    if (mode === 'create') {
      if (file !== undefined) throw systemError('EEXIST', path);
      const created = fileOf(new Uint8Array());
      file = created;
      this.changeName({ added: { path, file: created } });
    }
    if (file === undefined) throw systemError('ENOENT', path);
    const handle = this.nextHandle;
    this.nextHandle += 1;
    this.handles.set(handle, { path, file });
    return handle;
  }

  close(handle: FileHandle): void {
    if (!this.handles.delete(handle)) throw systemError('EBADF', String(handle));
  }

  read(handle: FileHandle, target: Uint8Array, position: number): number {
    const { path, file } = this.opened(handle);
    this.before('read', path);
    const bytes = file.bytes.subarray(position, position + target.length);
    target.set(bytes);
    this.bytesRead += bytes.length;
    return bytes.length;
  }

  writev(handle: FileHandle, buffers: readonly Uint8Array[], position: number): number {
    const { path, file } = this.opened(handle);
    this.before('writev', path);
    const source = Buffer.concat(buffers);
    const end = position + this.allocate(file, position, source.length, path);
    if (end > file.bytes.length) file.bytes = resized(file.bytes, end);
    for (let sector = Math.floor(position / SECTOR); sector * SECTOR < end; sector++) soil(file, sector);
    file.bytes.set(source.subarray(0, end - position), position);
    this.bytesMax = Math.max(this.bytesMax, this.usedBytes());
    this.bytesWritten += end - position;
    return end - position;
  }

  allocatedBytes(handle: FileHandle): number {
    return BLOCK * this.opened(handle).file.blocks.size;
  }

  size(handle: FileHandle): number {
    return this.opened(handle).file.bytes.length;
  }

  sync(handle: FileHandle): void {
    const { path, file } = this.opened(handle);
    this.before('sync', path);
    makeDurable(file);
  }

  datasync(handle: FileHandle): void {
    const { path, file } = this.opened(handle);
    this.before('datasync', path);
    makeDurable(file);
  }

  syncDirectory(path: string): void {
    this.before('syncDirectory', path);
    this.durableNames = new Map(this.names);
    this.nameChanges = [];
  }

  rename(from: string, to: string): void {
    this.before('rename', from);
    const file = this.names.get(from);
    if (file === undefined) throw systemError('ENOENT', from);
    this.changeName({ removed: from, added: { path: to, file } });
    for (const opened of this.handles.values()) if (opened.path === from) opened.path = to;
  }

  unlink(path: string): void {
    this.before('unlink', path);
    if (!this.names.has(path)) throw systemError('ENOENT', path);
    this.changeName({ removed: path });
  }

  list(path: string): string[] | undefined {
    if (!this.directories.has(path)) return undefined;
    return [...this.names.keys()].filter((name) => dirname(name) === path).map((name) => basename(name));
  }

  freeBytes(): number {
    return this.tellsFreeBytes ? Math.max(0, this.capacityBytes - this.blockBytes()) : 0;
  }

  makeDirectory(path: string): void {
    this.directories.add(path);
  }

  /** A lock that dies with `crash`, as the real one does with its owner. */
  readonly lockDirectory = ({ directory }: LockRequest): DirectoryLock => {
    if (this.locked.has(directory)) throw new TidemarkError('ERR_TIDEMARK_DIRECTORY_LOCKED', directory);
    this.locked.add(directory);
    return { release: () => this.locked.delete(directory) };
  };

  /** The disk after a power failure: of what was not synced, `keep` decides sector by sector, name by name. */
  crash(keep: () => boolean): SimulatedDisk {
    const after = new SimulatedDisk();
    for (const directory of this.directories) after.directories.add(directory);
    const names = new Map(this.durableNames);
    for (const change of this.nameChanges) {
      if (!keep()) break;
      applyChange(names, change);
    }
    for (const [name, file] of names) {
      const bytes = crashedBytes(file, keep);
      const blocks = [...file.blocks].filter((block) => block * BLOCK < bytes.length);
      after.names.set(name, { ...fileOf(bytes), blocks: new Set(blocks) });
    }
    after.durableNames = new Map(after.names);
    return after;
  }

  /** The same disk a second time: what is unsynced is still so, and the process that had files open is gone. */
  fork(): SimulatedDisk {
    const fork = new SimulatedDisk();
    for (const directory of this.directories) fork.directories.add(directory);
    const copies = new Map<SimulatedFile, SimulatedFile>();
    const copyOf = (file: SimulatedFile): SimulatedFile => {
      const known = copies.get(file);
      if (known !== undefined) return known;
      const { bytes, synced, dirty, blocks } = file;
      const copied = {
        bytes: new Uint8Array(bytes),
        synced: new Uint8Array(synced),
        dirty: new Map(dirty),
        blocks: new Set(blocks),
      };
      copies.set(file, copied);
      return copied;
    };
    for (const [name, file] of this.names) fork.names.set(name, copyOf(file));
    for (const [name, file] of this.durableNames) fork.durableNames.set(name, copyOf(file));
    fork.nameChanges = this.nameChanges.map(({ removed, added }) => ({
      ...(removed === undefined ? {} : { removed }),
      ...(added === undefined ? {} : { added: { path: added.path, file: copyOf(added.file) } }),
    }));
    return fork;
  }

  /** The same disk with nothing lost and all of it durable: a machine that was left alone for a while. */
  copy(): SimulatedDisk {
    const copy = new SimulatedDisk();
    for (const directory of this.directories) copy.directories.add(directory);
    for (const [name, file] of this.names) {
      copy.names.set(name, { ...fileOf(new Uint8Array(file.bytes)), blocks: new Set(file.blocks) });
    }
    copy.durableNames = new Map(copy.names);
    return copy;
  }

  /** The bytes themselves: what a test changes in them is on the disk. */
  bytesOf(path: string): Uint8Array {
    const file = this.names.get(path);
    if (file === undefined) throw systemError('ENOENT', path);
    return file.bytes;
  }

  replace(path: string, bytes: Uint8Array): void {
    const file = fileOf(bytes);
    for (let block = 0; block * BLOCK < bytes.length; block++) file.blocks.add(block);
    this.names.set(path, file);
    this.directories.add(dirname(path));
  }

  remove(path: string): void {
    this.names.delete(path);
    this.durableNames.delete(path);
  }

  usedBytes(): number {
    let sum = 0;
    for (const file of this.names.values()) sum += file.bytes.length;
    return sum;
  }

  /** Bytes of the blocks of all files. */
  blockBytes(): number {
    let blocks = 0;
    for (const file of this.names.values()) blocks += file.blocks.size;
    return BLOCK * blocks;
  }

  get openHandles(): number {
    return this.handles.size;
  }

  /** Gives out the blocks of a write, as far as there are any; returns how much of it has blocks. */
  private allocate(file: SimulatedFile, position: number, length: number, path: string): number {
    let freeBlocks = Math.floor((this.capacityBytes - this.blockBytes()) / BLOCK);
    for (let block = Math.floor(position / BLOCK); block * BLOCK < position + length; block++) {
      if (file.blocks.has(block)) continue;
      if (freeBlocks <= 0) {
        const fitting = block * BLOCK - position;
        if (fitting <= 0) throw systemError('ENOSPC', path);
        return fitting;
      }
      file.blocks.add(block);
      freeBlocks -= 1;
    }
    return length;
  }

  private changeName(change: NameChange): void {
    applyChange(this.names, change);
    this.nameChanges.push(change);
  }

  private opened(handle: FileHandle): OpenedFile {
    const opened = this.handles.get(handle);
    if (opened === undefined) throw systemError('EBADF', String(handle));
    return opened;
  }
}

export function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}

function fileOf(bytes: Uint8Array): SimulatedFile {
  return { bytes, synced: new Uint8Array(bytes), dirty: new Map(), blocks: new Set() };
}

function applyChange(names: Map<string, SimulatedFile>, { removed, added }: NameChange): void {
  if (removed !== undefined) names.delete(removed);
  if (added !== undefined) names.set(added.path, added.file);
}

/** Notes that a sector is about to be written. */
function soil(file: SimulatedFile, sector: number): void {
  const earlier = file.dirty.get(sector);
  if (earlier === undefined) file.dirty.set(sector, CLEAN);
  else file.dirty.set(sector, [file.bytes.slice(sector * SECTOR, (sector + 1) * SECTOR), ...earlier]);
}

function makeDurable(file: SimulatedFile): void {
  if (file.synced.length !== file.bytes.length) file.synced = resized(file.synced, file.bytes.length);
  for (const sector of file.dirty.keys()) {
    const start = sector * SECTOR;
    file.synced.set(file.bytes.subarray(start, start + SECTOR), start);
  }
  file.dirty.clear();
}

function crashedBytes(file: SimulatedFile, keep: () => boolean): Uint8Array {
  const grew = file.bytes.length > file.synced.length && keep();
  const bytes = resized(file.synced, grew ? file.bytes.length : file.synced.length);
  for (const [sector, earlier] of file.dirty) {
    const start = sector * SECTOR;
    if (start >= bytes.length) continue;
    // The newest first.
    const survivor = [file.bytes.subarray(start, start + SECTOR), ...earlier].find(keep);
    if (survivor !== undefined) bytes.set(survivor.subarray(0, bytes.length - start), start);
  }
  return bytes;
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(0, length));
  return copy;
}
