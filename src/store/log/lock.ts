/**
 * The lock of a directory: an exclusive transaction of SQLite on the empty file `LOCK`. The operating system
 * releases it when its owner dies, whatever way, so it is never stale as a file with a process id would be.
 *
 * `LOCK` must not be opened by anything else in this process: POSIX drops all locks that a process has on a file when
 * it closes any handle of that file. SQLite knows this and keeps its own handles open, and since all threads
 * share one SQLite, two owners in one process exclude each other too.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { TidemarkError } from '../../error.ts';
import { LOCK_FILE, LOCK_REPAIR_FILE } from './layout.ts';

export interface DirectoryLock {
  release(): void;
}

export interface LockRequest {
  readonly directory: string;
  /** `shared` keeps owners away and changes nothing; it is for looking at a directory that nobody owns. */
  readonly mode: 'exclusive' | 'shared';
  readonly waitMs: number;
}

/**
 * Takes the lock, or waits for it at most `waitMs`; blocks the thread.
 * @throws ERR_TIDEMARK_DIRECTORY_LOCKED when it is held by another owner; ERR_TIDEMARK_STORE_FAILED when the lock
 * file cannot be used
 */
export type LockDirectory = (request: LockRequest) => DirectoryLock;

/** A lock lasts until it is released: were its database collected as garbage, it would be gone without a word. */
const held = new Set<object>();

const SQLITE_BUSY = 5;
const SQLITE_NOT_A_DATABASE = 26;

export const lockDirectory: LockDirectory = (request) => {
  const path = join(request.directory, LOCK_FILE);
  try {
    return takeLock(path, request);
  } catch (error) {
    if (!isDamagedLock(error) || request.mode === 'shared') throw asLockError(error, request.directory);
  }
  try {
    return repairAndTakeLock(path, request);
  } catch (error) {
    throw asLockError(error, request.directory);
  }
};

/** Whether `error`, from a shared lock, says that the lock file holds what no owner writes. */
export function isDamagedLock(error: unknown): boolean {
  return sqliteCode(error) === SQLITE_NOT_A_DATABASE;
}

function takeLock(path: string, request: LockRequest): DirectoryLock {
  // Loaded when the first lock is taken: some versions of Node print a warning at that moment.
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
  const exclusive = request.mode === 'exclusive';
  const database = new DatabaseSync(path, { timeout: request.waitMs, readOnly: !exclusive });
  try {
    // Without a journal nothing but the empty LOCK itself is ever in the directory.
    if (exclusive) database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    else database.exec('BEGIN; SELECT count(*) FROM sqlite_schema');
  } catch (error) {
    database.close();
    throw error;
  }
  held.add(database);
  return {
    release: () => {
      held.delete(database);
      database.close();
    },
  };
}

/**
 * Somebody wrote into `LOCK`. It is emptied in place: with another file in its place, two owners could each hold
 * the lock of one. Two repairs must not overlap, since emptying closes a handle of `LOCK` and so would drop
 * a lock that this process has just taken; hence the second lock, under which the first is tried again.
 */
function repairAndTakeLock(path: string, request: LockRequest): DirectoryLock {
  const repair = takeLock(join(request.directory, LOCK_REPAIR_FILE), request);
  try {
    try {
      return takeLock(path, request);
    } catch (error) {
      if (!isDamagedLock(error)) throw error;
    }
    fs.truncateSync(path, 0);
    return takeLock(path, request);
  } finally {
    repair.release();
  }
}

function asLockError(error: unknown, directory: string): unknown {
  const code = sqliteCode(error);
  if (code === undefined) return error;
  if (code === SQLITE_BUSY) {
    return new TidemarkError(
      'ERR_TIDEMARK_DIRECTORY_LOCKED',
      `${directory} is in use by another engine; close that one, or give this one a directory of its own`,
      { cause: error, retryable: true },
    );
  }
  if (code === SQLITE_NOT_A_DATABASE) return error;
  return new TidemarkError(
    'ERR_TIDEMARK_STORE_FAILED',
    `the lock of ${directory} cannot be taken; check that the directory is writable and on a file system with locks`,
    { cause: error },
  );
}

/** The primary result code of SQLite. */
function sqliteCode(error: unknown): number | undefined {
  const code = error instanceof Error ? (error as { errcode?: unknown }).errcode : undefined;
  return typeof code === 'number' ? code & 0xff : undefined;
}
