/** The options of the log in the store suite, for both of its subjects. */
import type { LogOptions } from '../../src/store/log/options.ts';
import type { StoreCase } from './cases.ts';

/** The engine's default. */
const DISK_BYTES_LEAST = 2 ** 30;
/** A log grows to three times what it keeps before it compacts by itself; segments that are free come on top. */
const DISK_FACTOR = 4;

export function logOptionsOf({ streams, frameBytes, perStream }: StoreCase): LogOptions {
  const diskBytes = Math.max(DISK_BYTES_LEAST, DISK_FACTOR * streams * frameBytes * perStream);
  return { diskBytes, perStream };
}
