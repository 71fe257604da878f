/** A job of `tidemark run`: where events come from, the operators they meet, and the options of the engine. */

import type { Event } from '../engine/event.ts';
import type { EngineOptions } from '../engine/options.ts';
import { TidemarkError } from '../error.ts';

/** What of a source can be read. */
export interface SourceRange {
  /** The first offset that the source still has. */
  readonly earliest: bigint | number;
  /** The offset that its next event will have. */
  readonly latest: bigint | number;
}

/**
 * What a run does when the source no longer has the offset that is to be read next: fail, or go on from the earliest or
 * from the latest offset and say what was skipped.
 */
export type ExpiredPolicy = 'fail' | 'earliest' | 'latest';

export interface JobSource {
  /** Name under which offsets are kept; events that carry an offset but no source get it. */
  readonly name: string;
  /**
   * Events in order, one by one or in arrays.
   * @param from the first offset still to be read; undefined: from the start
   * @param signal aborted when reading should end; what was yielded before is kept
   */
  read(from: bigint | undefined, signal: AbortSignal): AsyncIterable<Event | readonly Event[]>;
  /** Asked before a run reads on, so that nothing is missed without a word. A source that keeps everything needs none. */
  range?(signal: AbortSignal): SourceRange | Promise<SourceRange>;
}

export interface JobDefinition extends EngineOptions {
  readonly source: JobSource;
  /** Default 'fail'. */
  readonly onExpired?: ExpiredPolicy | undefined;
}

const EXPIRED_POLICIES: readonly unknown[] = ['fail', 'earliest', 'latest'] satisfies ExpiredPolicy[];

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
  if (source.range !== undefined && typeof source.range !== 'function') {
    throw invalidJob(`range of the source '${source.name}' must be a method`);
  }
  if (definition.onExpired !== undefined && !EXPIRED_POLICIES.includes(definition.onExpired)) {
    throw invalidJob("onExpired must be 'fail', 'earliest' or 'latest'");
  }
  if (!(definition.operators instanceof URL) && typeof definition.operators !== 'string') {
    throw invalidJob("a job needs operators: new URL('./operators.ts', import.meta.url)");
  }
  return Object.freeze({ ...definition, [BRAND]: true as const });
}

export function isJob(value: unknown): value is Job {
  return typeof value === 'object' && value !== null && (value as { [BRAND]?: unknown })[BRAND] === true;
}

export function sourceFailed({ name }: JobSource, cause: unknown): TidemarkError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new TidemarkError('ERR_TIDEMARK_SOURCE', `the source '${name}' failed: ${message}`, {
    cause,
    retryable: true,
  });
}

export function invalidJob(message: string, cause?: unknown): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_INVALID_JOB', message, { cause });
}
