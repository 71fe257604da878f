/**
 * What is in a directory, for tools: read in this thread, without a writer and without changing anything.
 *
 * Listing takes no lock, so it works beside a running engine; what that engine recycles meanwhile can look
 * like damage. Verifying keeps engines away while it reads, so what it finds is true.
 */
import { compareUtf8 } from '../../codec/utf8.ts';
import { TidemarkError } from '../../error.ts';
import type { FileSystem } from '../file-system.ts';
import { CheckpointIndex, type CheckpointLocation } from './checkpoint-index.ts';
import type { Damage } from './damage.ts';
import { classifyDirectory, type DirectoryOnDisk, notAStore, readDirectory } from './directory.ts';
import { readFrameFacts } from './frame-facts.ts';
import { readFrameInto, type SegmentAccess, segmentAccess } from './frame-reader.ts';
import { LOCK_FILE, SUPERBLOCK_BYTES } from './layout.ts';
import { type DirectoryLock, isDamagedLock, lockDirectory } from './lock.ts';
import { withSystemErrors } from './open-log.ts';
import { type RecoveredLog, recoverLog } from './recover.ts';
import type { ScanDepth } from './scan.ts';

export interface InspectedCheckpoint {
  readonly sequence: bigint;
  /** Undefined for a damaged one. */
  readonly createdAt: Date | undefined;
  /** Of the frame. */
  readonly bytes: number;
  /** The commit that first saved it. */
  readonly commit: number;
  readonly segment: number;
  /** Of its record in the segment; -1 when that is not known. */
  readonly offset: number;
  readonly good: boolean;
}

export interface InspectedStream {
  readonly stream: string;
  /** Ascending by sequence. */
  readonly checkpoints: readonly InspectedCheckpoint[];
}

export interface Inspection {
  /** Ascending by the UTF-8 bytes of their names. */
  readonly streams: readonly InspectedStream[];
  /** From where an engine that opened it now would read. */
  readonly frontiers: ReadonlyMap<string, bigint>;
  readonly generation: bigint;
  readonly segments: number;
  /** Of all files of the log. */
  readonly diskBytes: number;
  /** A last commit that was cut short by a crash; that is no damage. */
  readonly torn: RecoveredLog['torn'];
  readonly damage: readonly Damage[];
}

export interface InspectOptions {
  /** Read and check every byte, with engines kept out. Otherwise only what the list needs. */
  readonly verify: boolean;
}

/** A default when no superblock says how many checkpoints of a stream are kept. */
const PER_STREAM = 3;
const LIST_ATTEMPTS = 3;

/**
 * @throws ERR_TIDEMARK_NOT_A_STORE; ERR_TIDEMARK_DIRECTORY_LOCKED when it is to be verified while an engine
 * owns it; ERR_TIDEMARK_UNSUPPORTED
 */
export function inspectDirectory(
  fileSystem: FileSystem,
  directory: string,
  options: InspectOptions,
): Inspection {
  return withSystemErrors(directory, () => {
    if (classifyDirectory(fileSystem, directory) !== 'ours') throw notAStore(directory);
    return options.verify ? verify(fileSystem, directory) : list(fileSystem, directory);
  });
}

function verify(fileSystem: FileSystem, directory: string): Inspection {
  const { lock, damage } = keepEnginesOut(fileSystem, directory);
  try {
    return withLog({ fileSystem, directory, depth: 'verify' }, (found) => inspection(found, damage));
  } finally {
    lock?.release();
  }
}

/** Damage that is gone when it is looked at again was an engine at work. */
function list(fileSystem: FileSystem, directory: string): Inspection {
  const look = (): Inspection =>
    withLog({ fileSystem, directory, depth: 'skim' }, (found) => inspection(found, []));
  let found = look();
  for (let attempt = 1; attempt < LIST_ATTEMPTS && found.damage.length > 0; attempt++) found = look();
  return found;
}

/**
 * The frame of the newest good checkpoint of `stream`, or of the one at `sequence`; verified, in memory of
 * its own. Undefined when the directory does not have it.
 * @throws ERR_TIDEMARK_NOT_A_STORE; ERR_TIDEMARK_DAMAGED_FRAME; ERR_TIDEMARK_UNSUPPORTED
 */
export function readFrame(
  fileSystem: FileSystem,
  directory: string,
  wanted: { readonly stream: string; readonly sequence?: bigint | undefined },
): Uint8Array<ArrayBuffer> | undefined {
  return withSystemErrors(directory, () => {
    if (classifyDirectory(fileSystem, directory) !== 'ours') throw notAStore(directory);
    return withLog({ fileSystem, directory, depth: 'skim' }, ({ log, access }) => {
      const { stream, sequence } = wanted;
      if (sequence !== undefined) {
        const place = log.index.find(stream, sequence);
        if (place !== undefined) return readPlace(access, place);
        if (!isDamagedThere(log, stream, sequence)) return undefined;
        throw damagedCheckpoint(stream, sequence);
      }
      let damaged: Error | undefined;
      for (const place of log.index.entries(stream)) {
        try {
          return readPlace(access, place);
        } catch (error) {
          // The next older one may be good, as it would be for an engine that opened the directory.
          damaged = error instanceof Error ? error : damagedCheckpoint(stream, place.sequence);
        }
      }
      if (damaged === undefined) return undefined;
      throw damaged;
    });
  });
}

interface FoundLog {
  readonly onDisk: DirectoryOnDisk;
  readonly log: RecoveredLog;
  readonly access: SegmentAccess;
}

interface LogPlace {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly depth: ScanDepth;
}

function withLog<T>({ fileSystem, directory, depth }: LogPlace, use: (found: FoundLog) => T): T {
  const onDisk = readDirectory(fileSystem, directory, 'read');
  try {
    const perStream = onDisk.superblock?.perStream ?? PER_STREAM;
    const log = recoverLog({ fileSystem, onDisk, newIndex: () => new CheckpointIndex(perStream), depth });
    const byId = new Map(onDisk.segments.map((segment) => [segment.id, segment]));
    const access = segmentAccess(fileSystem, (id) => byId.get(id));
    return use({ onDisk, log, access });
  } finally {
    for (const { handle } of onDisk.segments) fileSystem.close(handle);
  }
}

interface Kept {
  readonly lock: DirectoryLock | undefined;
  readonly damage: readonly Damage[];
}

const NO_LOCK: Kept = { lock: undefined, damage: [] };

/** No lock file: no engine has ever opened the directory since somebody removed it, and none is made. */
function keepEnginesOut(fileSystem: FileSystem, directory: string): Kept {
  if (!fileSystem.list(directory)?.includes(LOCK_FILE)) return NO_LOCK;
  try {
    return { lock: lockDirectory({ directory, mode: 'shared', waitMs: 0 }), damage: [] };
  } catch (error) {
    if (!isDamagedLock(error)) throw error;
    const detail = 'the lock file holds something; the next engine to open the directory empties it';
    return { lock: undefined, damage: [{ kind: 'lock', file: LOCK_FILE, position: 0, detail }] };
  }
}

function inspection(found: FoundLog, lockDamage: readonly Damage[]): Inspection {
  const { onDisk, log } = found;
  const segmentBytes = onDisk.segments.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
  return {
    streams: inspectStreams(found),
    frontiers: log.frontiers,
    generation: BigInt(log.generation),
    segments: onDisk.segments.length,
    diskBytes: segmentBytes + SUPERBLOCK_BYTES + onDisk.foreignBytes,
    torn: log.torn,
    damage: [...lockDamage, ...log.damage],
  };
}

function inspectStreams({ log, access }: FoundLog): InspectedStream[] {
  const byStream = new Map<string, InspectedCheckpoint[]>();
  for (const stream of log.index.streams()) {
    const good = log.index.entries(stream).map((place) => ({
      sequence: place.sequence,
      createdAt: new Date(readFrameFacts(access, place).createdAtMs),
      bytes: place.length,
      commit: place.origin,
      segment: place.segment,
      offset: place.position,
      good: true,
    }));
    byStream.set(stream, good);
  }
  for (const frame of log.damagedFrames) {
    const { stream, sequence, length: bytes, origin: commit, segment, position: offset } = frame;
    const checkpoints = byStream.get(stream) ?? [];
    if (checkpoints.some((other) => other.sequence === sequence && other.good)) continue;
    checkpoints.push({ sequence, createdAt: undefined, bytes, commit, segment, offset, good: false });
    byStream.set(stream, checkpoints);
  }
  return [...byStream]
    .map(([stream, checkpoints]) => ({ stream, checkpoints: checkpoints.sort(bySequence) }))
    .sort((a, b) => compareUtf8(a.stream, b.stream));
}

function bySequence(a: InspectedCheckpoint, b: InspectedCheckpoint): number {
  return a.sequence < b.sequence ? -1 : Number(a.sequence > b.sequence);
}

function readPlace(access: SegmentAccess, place: CheckpointLocation): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(place.length);
  readFrameInto(access, place, bytes);
  return bytes;
}

function isDamagedThere(log: RecoveredLog, stream: string, sequence: bigint): boolean {
  return log.damagedFrames.some((frame) => frame.stream === stream && frame.sequence === sequence);
}

function damagedCheckpoint(stream: string, sequence: bigint): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_DAMAGED_FRAME',
    `the checkpoint of ${JSON.stringify(stream)} at ${sequence} is damaged; ask for another one`,
  );
}
