/** Imports the module that `tidemark run JOB` names. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { invalidJob, isJob, type Job } from './job.ts';

/** @throws ERR_TIDEMARK_INVALID_JOB */
export async function loadJob(path: string): Promise<Job> {
  const file = resolve(path);
  if (!existsSync(file)) throw invalidJob(`there is no file '${path}'`);
  let module: { readonly default?: unknown };
  try {
    module = await import(pathToFileURL(file).href);
  } catch (cause) {
    throw invalidJob(
      `'${path}' cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    );
  }
  if (!isJob(module.default)) throw invalidJob(`'${path}' has no job as its default export`);
  return module.default;
}
