/** The limits of a log, how they follow from the options, and the ports through which it reaches the world. */
import type { Clock } from '../../clock.ts';
import { TidemarkError } from '../../error.ts';
import type { FileSystem } from '../file-system.ts';
import { alignUp, HEADER_REGION_BYTES } from './layout.ts';
import type { LockDirectory } from './lock.ts';

export interface LogOptions {
  /** The files of the directory never take more than this together. At least 1 MiB. */
  readonly diskBytes: number;
  /** Checkpoints kept of each stream while there is room; the newest one always is. */
  readonly perStream: number;
  /** Largest segment; a frame that does not fit gets one of its own. Default: a sixteenth of the disk, at most 32 MiB. */
  readonly segmentBytesMax?: number;
  /** How long to wait for a lock that another owner holds: one that was killed may take a moment to vanish. */
  readonly lockWaitMs?: number;
}

export interface LogPorts {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly lockDirectory: LockDirectory;
  /** Sixteen bytes that no other directory has. */
  readonly newDirectoryId: () => Uint8Array;
}

export interface LogLimits {
  readonly diskBytes: number;
  readonly perStream: number;
  /** Size of segments once the log has grown. */
  readonly segmentBytes: number;
  /** Size of the first segment; each further one may be as large as all before it. */
  readonly firstSegmentBytes: number;
  readonly lockWaitMs: number;
}

const DISK_BYTES_MIN = 1024 * 1024;
const SEGMENT_BYTES_MIN = 64 * 1024;
/** What a crash leaves unsealed is read at the next opening. */
const SEGMENT_BYTES_MAX = 32 * 1024 * 1024;
const FIRST_SEGMENT_BYTES = 1024 * 1024;
/** Every segment costs an open file and a header to read, so beyond 8 GiB of disk segments grow instead. */
const SEGMENTS_MAX = 256;
/** Below this many segments there is no room to compact. */
const SEGMENTS_MIN = 8;
const LOCK_WAIT_MS = 2000;

/** @throws ERR_TIDEMARK_INVALID_ARGUMENT when an option is out of range or two do not go together */
export function logLimits(options: LogOptions): LogLimits {
  const { diskBytes, perStream, segmentBytesMax, lockWaitMs = LOCK_WAIT_MS } = options;
  requireInteger(diskBytes, 'diskBytes', DISK_BYTES_MIN);
  requireInteger(perStream, 'perStream', 1);
  requireInteger(lockWaitMs, 'lockWaitMs', 0);
  const byDisk = Math.min(Math.max(diskBytes / 16, SEGMENT_BYTES_MIN), SEGMENT_BYTES_MAX);
  const wanted = segmentBytesMax ?? Math.max(byDisk, diskBytes / SEGMENTS_MAX);
  requireInteger(Math.floor(wanted), 'segmentBytesMax', SEGMENT_BYTES_MIN);
  const segmentBytes = alignUp(Math.floor(wanted) - HEADER_REGION_BYTES + 1, HEADER_REGION_BYTES);
  if (segmentBytes * SEGMENTS_MIN > diskBytes) {
    throw new TidemarkError(
      'ERR_TIDEMARK_INVALID_ARGUMENT',
      `segmentBytesMax (${segmentBytes}) must be at most an eighth of diskBytes (${diskBytes})`,
    );
  }
  const firstSegmentBytes = Math.min(FIRST_SEGMENT_BYTES, segmentBytes);
  return { diskBytes, perStream, segmentBytes, firstSegmentBytes, lockWaitMs };
}

function requireInteger(value: number, name: string, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new TidemarkError(
    'ERR_TIDEMARK_INVALID_ARGUMENT',
    `${name} must be an integer of at least ${least}, got ${value}`,
  );
}
