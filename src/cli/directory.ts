/** The directories that commands are given. */
import { statSync } from 'node:fs';
import { TidemarkError } from '../error.ts';

export const DEFAULT_DIRECTORY = './tidemark-data';

/**
 * A file in the place of a directory is a wrong request, not a store that failed.
 * @throws ERR_TIDEMARK_NOT_A_STORE
 */
export function requireNoFile(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined || stats.isDirectory()) return;
  throw new TidemarkError('ERR_TIDEMARK_NOT_A_STORE', `${path} is no directory`);
}
