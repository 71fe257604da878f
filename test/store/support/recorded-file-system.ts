/** A file system that writes down what is done to it: every operation that changes files or makes changes durable. */
import { basename } from 'node:path';
import type { FileHandle, FileSystem, OpenMode } from '../../../src/store/file-system.ts';

export class RecordedFileSystem implements FileSystem {
  readonly lines: string[] = [];
  private readonly inner: FileSystem;
  private readonly names = new Map<FileHandle, string>();

  constructor(inner: FileSystem) {
    this.inner = inner;
  }

  open(path: string, mode: OpenMode): FileHandle {
    const handle = this.inner.open(path, mode);
    this.names.set(handle, basename(path));
    if (mode === 'create') this.note('create', basename(path));
    return handle;
  }

  close(handle: FileHandle): void {
    this.inner.close(handle);
    this.names.delete(handle);
  }

  read(handle: FileHandle, target: Uint8Array, position: number): number {
    return this.inner.read(handle, target, position);
  }

  writev(handle: FileHandle, buffers: readonly Uint8Array[], position: number): number {
    const length = this.inner.writev(handle, buffers, position);
    this.note('write', this.nameOf(handle), `${length} at ${position}`);
    return length;
  }

  size(handle: FileHandle): number {
    return this.inner.size(handle);
  }

  allocatedBytes(handle: FileHandle): number {
    return this.inner.allocatedBytes(handle);
  }

  sync(handle: FileHandle): void {
    this.inner.sync(handle);
    this.note('sync', this.nameOf(handle));
  }

  datasync(handle: FileHandle): void {
    this.inner.datasync(handle);
    this.note('datasync', this.nameOf(handle));
  }

  syncDirectory(path: string): void {
    this.inner.syncDirectory(path);
    this.note('syncDirectory', basename(path));
  }

  rename(from: string, to: string): void {
    this.inner.rename(from, to);
    for (const [handle, name] of this.names)
      if (name === basename(from)) this.names.set(handle, basename(to));
    this.note('rename', basename(from), basename(to));
  }

  unlink(path: string): void {
    this.inner.unlink(path);
    this.note('unlink', basename(path));
  }

  list(path: string): string[] | undefined {
    return this.inner.list(path);
  }

  freeBytes(path: string): number {
    return this.inner.freeBytes(path);
  }

  makeDirectory(path: string): void {
    this.inner.makeDirectory(path);
    this.note('makeDirectory', basename(path));
  }

  private nameOf(handle: FileHandle): string {
    return this.names.get(handle) ?? `handle ${handle}`;
  }

  private note(...words: readonly string[]): void {
    this.lines.push(words.join(' '));
  }
}
