/** Finds the thread entries, which bundlers are prone to lose, before a pool hangs on a missing one. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TidemarkError } from '../error.ts';

/** Sources run as they are in development; the package ships compiled files. */
const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/**
 * Path of the worker entry `name`, in `folder` or beside this package's own.
 * @throws ERR_TIDEMARK_WORKER_LOAD when there is no such file
 */
export function workerFile(name: string, folder: URL | undefined): string {
  const url =
    folder === undefined
      ? new URL(`../../workers/${name}${EXTENSION}`, import.meta.url)
      : new URL(`${name}${EXTENSION}`, folder.href.endsWith('/') ? folder : new URL(`${folder.href}/`));
  const path = fileURLToPath(url);
  if (existsSync(path)) return path;
  throw new TidemarkError(
    'ERR_TIDEMARK_WORKER_LOAD',
    `the worker file ${path} does not exist; keep tidemark out of the bundle, or pass workersUrl`,
  );
}
