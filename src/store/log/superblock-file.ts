/**
 * The file `SUPERBLOCK`: made whole under another name and renamed, then changed one slot at a time, so that one good
 * slot is there at every moment. Owned by the thread that writes the log.
 */
import { join } from 'node:path';
import { type FileSystem, writeFully } from '../file-system.ts';
import { SUPERBLOCK_FILE, SUPERBLOCK_SLOT_BYTES, SUPERBLOCK_TEMPORARY_FILE } from './layout.ts';
import { encodeSuperblock, type Superblock } from './superblock.ts';

export interface SuperblockPlace {
  readonly fileSystem: FileSystem;
  readonly directory: string;
}

/** Makes the file anew with both slots good; durable when it returns. */
export function createSuperblock(place: SuperblockPlace, superblock: Superblock): void {
  const { fileSystem, directory } = place;
  const temporary = join(directory, SUPERBLOCK_TEMPORARY_FILE);
  if (fileSystem.list(directory)?.includes(SUPERBLOCK_TEMPORARY_FILE)) fileSystem.unlink(temporary);
  const handle = fileSystem.open(temporary, 'create');
  try {
    const older = encodeSuperblock(superblock);
    const newer = encodeSuperblock({ ...superblock, counter: superblock.counter + 1 });
    writeFully(fileSystem, handle, [older, newer], 0);
    fileSystem.sync(handle);
  } finally {
    fileSystem.close(handle);
  }
  fileSystem.rename(temporary, join(directory, SUPERBLOCK_FILE));
  fileSystem.syncDirectory(directory);
}

/** Writes one slot, which must not be the one that holds the newest state; durable when it returns. */
export function writeSuperblockSlot(place: SuperblockPlace, slot: number, superblock: Superblock): void {
  const { fileSystem, directory } = place;
  const handle = fileSystem.open(join(directory, SUPERBLOCK_FILE), 'read-write');
  try {
    writeFully(fileSystem, handle, [encodeSuperblock(superblock)], slot * SUPERBLOCK_SLOT_BYTES);
    fileSystem.datasync(handle);
  } finally {
    fileSystem.close(handle);
  }
}
