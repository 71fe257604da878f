/**
 * Opens a directory as a log. Order: the lock, then reading (`findLog`), then all that was found durable, then the new
 * generation durable in the superblock, and only then anything else that changes the directory (`finish`).
 *
 * Between the two, what indexes list must be verified: by `verify`, or by copying all of it to where it is wanted.
 */
import { join } from 'node:path';
import { TidemarkError } from '../../error.ts';
import { type FileSystem, writeFully } from '../file-system.ts';
import { CheckpointIndex } from './checkpoint-index.ts';
import { tombstoneBytesMax } from './commit-record.ts';
import { carriedWeight } from './compaction.ts';
import {
  classifyDirectory,
  type DirectoryOnDisk,
  notAStore,
  readDirectory,
  type SegmentOnDisk,
} from './directory.ts';
import type { FrameTargets } from './frame-copies.ts';
import {
  HEADER_COPY_BYTES,
  HEADER_REGION_BYTES,
  parseSegmentFileName,
  SUPERBLOCK_BYTES,
  viewOf,
} from './layout.ts';
import type { DirectoryLock } from './lock.ts';
import { LogStore } from './log-store.ts';
import { LogWriter } from './log-writer.ts';
import { NewestFrames } from './newest-frames.ts';
import { type LogLimits, type LogOptions, type LogPorts, logLimits } from './options.ts';
import { type RecoverDepth, type RecoveredLog, recoverLog } from './recover.ts';
import { encodeSegmentHeader } from './segment-header.ts';
import { indexEntryBytesMax } from './segment-index.ts';
import { type Segment, Segments } from './segments.ts';
import type { Superblock } from './superblock.ts';
import { createSuperblock, writeSuperblockSlot } from './superblock-file.ts';

export interface OpenedLog {
  readonly store: LogStore;
  readonly generation: bigint;
  readonly frontiers: ReadonlyMap<string, bigint>;
  /** Damage was found that no opening before had found, and the frontiers are lowered for it. */
  readonly lowered: boolean;
  readonly fellBack: RecoveredLog['fellBack'];
  readonly lost: RecoveredLog['lost'];
  readonly damage: RecoveredLog['damage'];
}

interface Opening {
  readonly ports: LogPorts;
  readonly limits: LogLimits;
  readonly directory: string;
}

/**
 * @throws ERR_TIDEMARK_NOT_A_STORE for a directory that is not ours, which is left untouched;
 * ERR_TIDEMARK_DIRECTORY_LOCKED; ERR_TIDEMARK_UNSUPPORTED; ERR_TIDEMARK_STORE_FAILED when it cannot be read or written
 */
export function openLog(ports: LogPorts, directory: string, options: LogOptions): OpenedLog {
  const found = findLog(ports, directory, options);
  found.verify();
  return found.finish();
}

/** Locks and reads a directory. @throws as `openLog` */
export function findLog(ports: LogPorts, directory: string, options: LogOptions): FoundLog {
  const limits = logLimits(options);
  return withSystemErrors(directory, () => {
    const { fileSystem } = ports;
    // Looked at before the lock too: a lock file must not be left in somebody else's directory.
    if (classifyDirectory(fileSystem, directory) === 'foreign') throw notAStore(directory);
    fileSystem.makeDirectory(directory);
    const { lockWaitMs } = limits;
    const lock = ports.lockDirectory({ directory, mode: 'exclusive', waitMs: lockWaitMs });
    try {
      const opening = { ports, limits, directory };
      if (classifyDirectory(fileSystem, directory) === 'empty') begin(opening);
      const onDisk = readDirectory(fileSystem, directory, 'read-write');
      try {
        return new FoundLog(opening, onDisk, lock);
      } catch (error) {
        closeAll(fileSystem, onDisk);
        throw error;
      }
    } catch (error) {
      lock.release();
      throw error;
    }
  });
}

/** A directory that is locked and has been read, but not changed yet. Whatever throws gives it up. */
export class FoundLog {
  private readonly opening: Opening;
  private readonly onDisk: DirectoryOnDisk;
  private readonly lock: DirectoryLock;
  private recovered: RecoveredLog;
  private frames: NewestFrames | undefined;
  /** Given up, or in the hands of a store. */
  isOver = false;

  constructor(opening: Opening, onDisk: DirectoryOnDisk, lock: DirectoryLock) {
    this.opening = opening;
    this.onDisk = onDisk;
    this.lock = lock;
    this.recovered = this.recover('indexed');
  }

  get fellBack(): RecoveredLog['fellBack'] {
    return this.recovered.fellBack;
  }

  /** Good until more is read or the log is finished. */
  get newest(): NewestFrames {
    const { fileSystem } = this.opening.ports;
    this.frames ??= new NewestFrames({ fileSystem, ...this.recovered });
    return this.frames;
  }

  /** Verifies the newest checkpoints of which only an index was read. If one is not good, everything is read. */
  verify(): void {
    this.attempt(() => {
      const { unread } = this.recovered;
      if (unread.size > 0 && !this.newest.areGoodIn(unread)) this.recoverAll();
    });
  }

  /** As `copy` of the newest frames. */
  copy(from: number, targets: FrameTargets): boolean {
    return this.attempt(() => this.newest.copy(from, targets));
  }

  /** Reads everything, and falls back from what is damaged. */
  readAll(): void {
    this.attempt(() => this.recoverAll());
  }

  finish(): OpenedLog {
    return this.attempt(() => {
      const opened = resume(this.opening, this.onDisk, { recovered: this.recovered, lock: this.lock });
      this.isOver = true;
      return opened;
    });
  }

  abandon(): void {
    if (this.isOver) return;
    this.isOver = true;
    closeAll(this.opening.ports.fileSystem, this.onDisk);
    this.lock.release();
  }

  private attempt<T>(work: () => T): T {
    // Its lock is somebody else's by now, and its files are closed.
    if (this.isOver) throw new TidemarkError('ERR_TIDEMARK_CLOSED', 'the directory was given up');
    return withSystemErrors(this.opening.directory, () => {
      try {
        return work();
      } catch (error) {
        this.abandon();
        throw error;
      }
    });
  }

  private recoverAll(): void {
    this.recovered = this.recover('verify');
    this.frames = undefined;
  }

  private recover(depth: RecoverDepth): RecoveredLog {
    const { limits, ports } = this.opening;
    const { fileSystem } = ports;
    const { onDisk } = this;
    // Random, and nobody who only names streams knows it.
    const seed = viewOf(onDisk.directoryId).getInt32(0, true);
    const weigh = (bytes: number): number => carriedWeight(bytes, limits.segmentBytes);
    const newIndex = (): CheckpointIndex => new CheckpointIndex(limits.perStream, weigh, seed);
    return recoverLog({ fileSystem, onDisk, newIndex, depth });
  }
}

function begin({ ports, limits, directory }: Opening): void {
  const superblock = {
    directoryId: ports.newDirectoryId(),
    counter: 1,
    generation: 0,
    durableCommit: 0,
    carryCommit: 0,
    settledCommit: 0,
    perStream: limits.perStream,
    diskBytes: limits.diskBytes,
    headIndex: 0,
  };
  createSuperblock({ fileSystem: ports.fileSystem, directory }, superblock);
}

function resume(
  opening: Opening,
  onDisk: DirectoryOnDisk,
  { recovered, lock }: { readonly recovered: RecoveredLog; readonly lock: DirectoryLock },
): OpenedLog {
  const { ports, limits, directory } = opening;
  const { fileSystem, clock } = ports;
  const { index } = recovered;
  makeDurable(opening, recovered);
  const superblocks = new Superblocks(opening, onDisk);
  // The slot that is lost may have held the generation after the one that is known.
  const generation = recovered.generation + (onDisk.isSuperblockWhole ? 1 : 2);
  superblocks.write({ ...recovered, generation });
  repair(opening, onDisk, recovered);
  // Twice the superblock: while it is made anew, there are two.
  const fixedBytes = 2 * SUPERBLOCK_BYTES + onDisk.foreignBytes;
  const capacityBytes = limits.diskBytes - fixedBytes;
  const segments = new Segments({
    fileSystem,
    directory,
    limits,
    directoryId: onDisk.directoryId,
    capacityBytes,
    live: recovered.live.map((segment) => asSegment(fileSystem, segment)),
    free: onDisk.segments
      .filter((segment) => !recovered.live.includes(segment))
      .map((segment) => asSegment(fileSystem, segment)),
    appendAt: recovered.appendAt ?? recovered.live.at(-1)?.size ?? 0,
    indexBytes: headIndexBytes(recovered),
    nextLap: 1 + greatest(onDisk.segments.map(({ lap }) => lap)),
    nextId: 1 + greatest(onDisk.segments.map(({ id }) => id)),
  });
  const { frontiers, lastCommit, carryCommit, tailLap, headTombstones } = recovered;
  const damagedLap = recovered.damage.length > 0 ? recovered.headLap : undefined;
  const settledCommit = recovered.lowered ? lastCommit : recovered.settledCommit;
  const state = { clock, segments, index, generation, frontiers, lastCommit, carryCommit };
  const writer = new LogWriter({ ...state, settledCommit, tailLap, headTombstones, damagedLap });
  const seal = (sealed: LogWriter, headIndex: number): void => superblocks.write(sealed, headIndex);
  const store = new LogStore({ ports, limits, writer, lock, capacityBytes, seal });
  if (recovered.lowered) settle(writer, recovered.settledCommit);
  const { lowered, fellBack, lost, damage } = recovered;
  return { store, generation: BigInt(generation), frontiers, lowered, fellBack, lost, damage };
}

/**
 * Makes lowered frontiers durable, so that the damage behind them does not lower those of later commits
 * again. Without room for it the next opening comes to the same frontiers by itself.
 */
function settle(writer: LogWriter, settledBefore: number): void {
  const append = { frames: [] };
  const bytes = writer.bytesOf(append);
  const hasRoom = writer.segments.room >= bytes || writer.activate(bytes, true);
  if (!hasRoom || !writer.append(append)) writer.settledCommit = settledBefore;
}

/** What of the log's state the superblock repeats. */
interface Sealed {
  readonly generation: number;
  readonly lastCommit: number;
  readonly carryCommit: number;
  readonly settledCommit: number;
}

class Superblocks {
  private readonly opening: Opening;
  private readonly directoryId: Uint8Array;
  private readonly isMissing: boolean;
  private slot: number;
  private counter: number;

  constructor(opening: Opening, onDisk: DirectoryOnDisk) {
    this.opening = opening;
    this.directoryId = onDisk.directoryId;
    this.isMissing = onDisk.superblock === undefined;
    this.slot = onDisk.slot;
    this.counter = onDisk.superblock?.counter ?? 0;
  }

  write(state: Sealed, headIndex = 0): void {
    const { ports, limits, directory } = this.opening;
    const place = { fileSystem: ports.fileSystem, directory };
    this.counter += 1;
    const superblock: Superblock = {
      directoryId: this.directoryId,
      counter: this.counter,
      generation: state.generation,
      durableCommit: state.lastCommit,
      carryCommit: state.carryCommit,
      settledCommit: state.settledCommit,
      perStream: limits.perStream,
      diskBytes: limits.diskBytes,
      headIndex,
    };
    if (this.isMissing && this.counter === 1) {
      createSuperblock(place, superblock);
      this.counter += 1;
      this.slot = 1;
      return;
    }
    this.slot = 1 - this.slot;
    writeSuperblockSlot(place, this.slot, superblock);
  }
}

/**
 * What an engine wrote but did not sync before it was killed is found here all the same, until the power fails. From
 * this opening on it counts as acknowledged, so it must be durable before the superblock says so, and so must names.
 * It can only be in the newest segment: whatever is in an earlier one was synced before the next was put to use.
 */
function makeDurable({ ports, directory }: Opening, { live }: RecoveredLog): void {
  const newest = live.at(-1);
  if (newest !== undefined) ports.fileSystem.datasync(newest.handle);
  ports.fileSystem.syncDirectory(directory);
}

/** Removes what interrupted work left behind and makes both copies of each header whole again. */
function repair({ ports, directory }: Opening, onDisk: DirectoryOnDisk, recovered: RecoveredLog): void {
  const { fileSystem } = ports;
  for (const name of onDisk.leftovers) {
    if (parseSegmentFileName(name) !== undefined) fileSystem.unlink(join(directory, name));
  }
  for (const segment of recovered.live) {
    const { header, damagedCopies, interrupted, handle } = segment;
    if (header === undefined) continue;
    const copies = interrupted ? [0, HEADER_COPY_BYTES] : damagedCopies;
    for (const position of copies) {
      writeFully(fileSystem, handle, [encodeSegmentHeader(header)], position);
      fileSystem.datasync(handle);
    }
  }
}

/** What the index of the head takes at most for what is in it already. */
function headIndexBytes({ index, live, headTombstones }: RecoveredLog): number {
  let bytes = index.sumIn(live.at(-1)?.id ?? -1, indexEntryBytesMax);
  for (const tombstone of headTombstones) bytes += tombstoneBytesMax(tombstone);
  return bytes;
}

function asSegment(fileSystem: FileSystem, segment: SegmentOnDisk): Segment {
  const { id, handle, size, lap, fileBytes } = segment;
  const reusable = fileBytes === size && size % HEADER_REGION_BYTES === 0;
  // Where its holes are is not told, so what is behind the headers is filled again if there are any.
  const filled = fileSystem.allocatedBytes(handle) >= size ? size : HEADER_REGION_BYTES;
  return { id, handle, size, lap, reusable, filled };
}

function closeAll(fileSystem: FileSystem, onDisk: DirectoryOnDisk): void {
  for (const { handle } of onDisk.segments) {
    try {
      fileSystem.close(handle);
    } catch {
      // It was closed before the opening failed; the error that matters is the one that is on its way.
    }
  }
}

function greatest(numbers: readonly number[]): number {
  return numbers.reduce((most, number) => Math.max(most, number), 0);
}

/** Errors of the operating system become errors of ours that say what to do. */
export function withSystemErrors<T>(directory: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TidemarkError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new TidemarkError(
      'ERR_TIDEMARK_STORE_FAILED',
      `${directory} cannot be used: ${reason}; check the path, its permissions and the disk`,
      { cause: error },
    );
  }
}
