/** A job of `tidemark run`: where events come from, the operators they meet, and the options of the engine. */

import type { Event } from '../engine/event.ts';
import type { EngineOptions } from '../engine/options.ts';
import { TidemarkError } from '../error.ts';

export interface JobSource {
  /** Name under which offsets are kept; events that carry an offset but no source get it. */
  readonly name: string;
  /**
   * Events in order, one by one or in arrays.
   * @param from the first offset still to be read; undefined: from the start
   * @param signal aborted when reading should end; what was yielded before is kept
   */
  read(from: bigint | undefined, signal: AbortSignal): AsyncIterable<Event | readonly Event[]>;
}

export interface JobDefinition extends EngineOptions {
  readonly source: JobSource;
}

// Registered, not a local symbol: the command and the job may load different copies of this package.
const BRAND = Symbol.for('tidemark.job');

export type Job = JobDefinition & { readonly [BRAND]: true };

/** @throws ERR_TIDEMARK_INVALID_JOB */
export function defineJob(definition: JobDefinition): Job {
  if (definition === null || typeof definition !== 'object') throw invalidJob('defineJob takes an object');
  const source: Partial<JobSource> | null | undefined = definition.source;
  if (source === null || typeof source !== 'object') throw invalidJob('a job needs a source: { name, read }');
  if (typeof source.name !== 'string' || source.name === '') {
    throw invalidJob('the name of the source must be a non-empty string');
  }
  if (typeof source.read !== 'function') throw invalidJob(`the source '${source.name}' needs a method read`);
  if (!(definition.operators instanceof URL) && typeof definition.operators !== 'string') {
    throw invalidJob("a job needs operators: new URL('./operators.ts', import.meta.url)");
  }
  return Object.freeze({ ...definition, [BRAND]: true as const });
}

export function isJob(value: unknown): value is Job {
  return typeof value === 'object' && value !== null && (value as { [BRAND]?: unknown })[BRAND] === true;
}

export function invalidJob(message: string, cause?: unknown): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_INVALID_JOB', message, { cause });
}
