/**
 * The port through which the log touches storage: the few synchronous operations that it needs, so that a
 * simulated disk or one that fails on cue can take the place of the real one.
 *
 * Nothing in the log goes around it. A file is an opaque handle. A read or write may move fewer bytes than
 * it was asked to; `readFully` and `writeFully` go on until all have moved.
 */

/** Opaque; meaningful only to the file system that gave it. */
export type FileHandle = number;

/** `read` never changes the file; `create` fails when the file exists. */
export type OpenMode = 'read' | 'read-write' | 'create';

export interface FileSystem {
  open(path: string, mode: OpenMode): FileHandle;
  close(handle: FileHandle): void;
  /** Reads into `target` (possibly shared memory) and returns how many bytes; 0 only at the end of the file. */
  read(handle: FileHandle, target: Uint8Array, position: number): number;
  /** Writes a prefix of the concatenated `buffers` (possibly shared memory) and returns its length. */
  writev(handle: FileHandle, buffers: readonly Uint8Array[], position: number): number;
  size(handle: FileHandle): number;
  /** Bytes of blocks that the file has; fewer than its size where it has holes. */
  allocatedBytes(handle: FileHandle): number;
  /** Contents and metadata of the file are durable when it returns. */
  sync(handle: FileHandle): void;
  /** Contents of the file, and what is needed to read them, are durable when it returns. */
  datasync(handle: FileHandle): void;
  /** Names created, renamed or removed in the directory are durable when it returns. */
  syncDirectory(path: string): void;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Names in the directory; undefined when there is no such directory. */
  list(path: string): string[] | undefined;
  /** Bytes that files in the directory may still grow by; 0 when the system does not say. */
  freeBytes(path: string): number;
  /** Makes the directory and those above it that are missing, durably. */
  makeDirectory(path: string): void;
}

/** Fills `target` and returns how many bytes were read: fewer than its length only at the end of the file. */
export function readFully(
  fileSystem: FileSystem,
  handle: FileHandle,
  target: Uint8Array,
  position: number,
): number {
  let done = 0;
  while (done < target.length) {
    const rest = done === 0 ? target : target.subarray(done);
    const count = fileSystem.read(handle, rest, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Writes all of `buffers`, one behind the other, from `position` on. */
export function writeFully(
  fileSystem: FileSystem,
  handle: FileHandle,
  buffers: readonly Uint8Array[],
  position: number,
): void {
  let total = 0;
  for (const buffer of buffers) total += buffer.length;
  let rest = buffers;
  let done = 0;
  while (done < total) {
    const count = fileSystem.writev(handle, rest, position + done);
    if (!(count > 0)) throw new Error(`a write of ${total - done} bytes moved none`);
    done += count;
    if (done < total) rest = withoutPrefix(rest, count);
  }
}

function withoutPrefix(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = count;
  for (const buffer of buffers) {
    if (skip >= buffer.length) {
      skip -= buffer.length;
      continue;
    }
    rest.push(skip === 0 ? buffer : buffer.subarray(skip));
    skip = 0;
  }
  return rest;
}

/** The system error code of a failed operation, such as `ENOSPC`; undefined when it has none. */
export function systemErrorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : undefined;
}
