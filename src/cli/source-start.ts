/** Where a run begins to read its source, which may no longer have what is to be read next. */
import { TidemarkError } from '../error.ts';
import { type ExpiredPolicy, invalidJob, type JobSource, sourceFailed } from './job.ts';

export interface SourceStart {
  /** The first offset to read; undefined: from the start. */
  readonly from: bigint | undefined;
  /** Offsets that will never be read, up to but not including `to`. */
  readonly skipped: { readonly from: bigint; readonly to: bigint } | undefined;
}

/**
 * Asks the source for its range, if it can tell, and applies `policy` if that begins behind `position`.
 * @throws ERR_TIDEMARK_SOURCE_EXPIRED, ERR_TIDEMARK_SOURCE, ERR_TIDEMARK_INVALID_JOB
 */
export async function startOf(
  source: JobSource,
  ask: {
    readonly position: bigint | undefined;
    readonly policy: ExpiredPolicy;
    readonly signal: AbortSignal;
  },
): Promise<SourceStart> {
  const { position, policy, signal } = ask;
  // Nothing was read yet, so nothing is missed.
  if (position === undefined || source.range === undefined) return { from: position, skipped: undefined };
  const range = await Promise.race([rangeOf(source, signal), aborted(signal)]);
  // Nothing will be read.
  if (range === undefined) return { from: position, skipped: undefined };
  const { earliest, latest } = range;
  if (position > latest) throw isAhead(source, position, latest);
  if (position >= earliest) return { from: position, skipped: undefined };
  if (policy === 'fail') throw isExpired(source, position, earliest);
  const from = policy === 'earliest' ? earliest : latest;
  return { from, skipped: { from: position, to: from } };
}

async function rangeOf(
  source: JobSource,
  signal: AbortSignal,
): Promise<{ earliest: bigint; latest: bigint }> {
  let range: unknown;
  try {
    range = await source.range?.(signal);
  } catch (error) {
    throw sourceFailed(source, error);
  }
  const { earliest, latest } = (range ?? {}) as { readonly earliest?: unknown; readonly latest?: unknown };
  if (!isOffset(earliest) || !isOffset(latest) || earliest > latest) {
    throw invalidJob(
      `range of the source '${source.name}' must give { earliest, latest }, offsets of which the second is no less`,
    );
  }
  return { earliest: BigInt(earliest), latest: BigInt(latest) };
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

function isOffset(value: unknown): value is bigint | number {
  return typeof value === 'bigint' ? value >= 0n : Number.isSafeInteger(value) && (value as number) >= 0;
}

function isExpired({ name }: JobSource, position: bigint, earliest: bigint): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_SOURCE_EXPIRED',
    `the source '${name}' begins at offset ${earliest}, but ${position} is the next to be read: what lies between is gone`,
  );
}

/** No policy helps: whatever the source has below its old position would be dropped as read before. */
function isAhead({ name }: JobSource, position: bigint, latest: bigint): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_SOURCE_EXPIRED',
    `the source '${name}' ends at offset ${latest}, but all below ${position} was read: it is not the source that it was; use another directory for it`,
  );
}
