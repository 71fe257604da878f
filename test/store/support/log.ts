/** Opens logs for tests, on a simulated disk unless told otherwise. */
import type { Clock } from '../../../src/clock.ts';
import { TidemarkError } from '../../../src/error.ts';
import { type OpenedLog, openLog } from '../../../src/store/log/open-log.ts';
import type { LogOptions, LogPorts } from '../../../src/store/log/options.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

export const DIRECTORY = '/checkpoints';
export const MIB = 1024 * 1024;

/** Time stands still: nothing in the log may depend on it. */
const clock: Clock = { now: () => 0, wallMs: () => 1_700_000_000_000 };

export function portsOn(disk: SimulatedDisk): LogPorts {
  return {
    fileSystem: disk,
    clock,
    lockDirectory: disk.lockDirectory,
    newDirectoryId: () => new Uint8Array(16).fill(7),
  };
}

export function openOn(disk: SimulatedDisk, options: Partial<LogOptions> = {}): OpenedLog {
  return openLog(portsOn(disk), DIRECTORY, { diskBytes: 4 * MIB, perStream: 3, ...options });
}

/** The code of the `TidemarkError` that `work` throws; anything else it throws is thrown on. */
export function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof TidemarkError) return error.code;
    throw error;
  }
}

/** The sequence of the newest checkpoint of each stream that can be read, verified. */
export function newestOf({ store }: Pick<OpenedLog, 'store'>): Map<string, bigint> {
  const newest = new Map<string, bigint>();
  for (const stream of store.streams()) {
    const bytes = store.readFrame(stream);
    if (bytes !== undefined) newest.set(stream, new DataView(bytes.buffer).getBigUint64(0, true));
  }
  return newest;
}

export function segmentFiles(disk: SimulatedDisk): string[] {
  return (disk.list(DIRECTORY) ?? [])
    .filter((name) => name.startsWith('segment-'))
    .map((name) => `${DIRECTORY}/${name}`);
}
