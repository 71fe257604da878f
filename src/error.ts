/**
 * The one error type of the package, and its form between threads.
 *
 * A `TidemarkError` says what went wrong (`code`), whether the same call can succeed later without a
 * change by the caller (`retryable`), and what to do (`message`). Classes and codes do not survive
 * structured cloning, so errors cross threads as an `ErrorRecord`.
 */

export type ErrorCode =
  | 'ERR_TIDEMARK_INVALID_ARGUMENT'
  | 'ERR_TIDEMARK_DESERIALIZATION'
  | 'ERR_TIDEMARK_DAMAGED_FRAME'
  | 'ERR_TIDEMARK_CLOSED'
  | 'ERR_TIDEMARK_SHARD_EXITED'
  | 'ERR_TIDEMARK_OPERATOR'
  | 'ERR_TIDEMARK_ASYNC_OPERATOR'
  | 'ERR_TIDEMARK_OPERATORS_MODULE'
  | 'ERR_TIDEMARK_WORKER_LOAD'
  | 'ERR_TIDEMARK_STATE_VERSION'
  | 'ERR_TIDEMARK_UNCLAIMED_STATE'
  | 'ERR_TIDEMARK_PAYLOAD_TOO_LARGE'
  | 'ERR_TIDEMARK_MEMORY_FULL'
  | 'ERR_TIDEMARK_STORE_FULL'
  | 'ERR_TIDEMARK_STORE_FAILED'
  | 'ERR_TIDEMARK_NOT_DURABLE'
  | 'ERR_TIDEMARK_QUARANTINED'
  | 'ERR_TIDEMARK_NEEDS_REPLAY'
  | 'ERR_TIDEMARK_DEAD_LETTER'
  | 'ERR_TIDEMARK_FENCED'
  | 'ERR_TIDEMARK_DIRECTORY_LOCKED'
  | 'ERR_TIDEMARK_NOT_A_STORE'
  | 'ERR_TIDEMARK_NOT_FOUND'
  | 'ERR_TIDEMARK_INVALID_JOB'
  | 'ERR_TIDEMARK_SOURCE'
  | 'ERR_TIDEMARK_SOURCE_EXPIRED'
  | 'ERR_TIDEMARK_UNSUPPORTED';

export interface TidemarkErrorOptions {
  readonly cause?: unknown;
  /** The same call can succeed later without a change by the caller. Default false. */
  readonly retryable?: boolean;
}

/** A stream of which accepted events are not durable, and how many: they are its last ones. */
export interface NotDurable {
  readonly stream: string;
  readonly events: number;
}

export class TidemarkError extends Error {
  override readonly name = 'TidemarkError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** On a rejected `push` of an array: how many of its events were accepted. */
  declare accepted?: number;
  /** On a rejected `close`: all streams with accepted events that are in no durable checkpoint. */
  declare notDurable?: readonly NotDurable[];

  constructor(code: ErrorCode, message: string, options: TidemarkErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** What is left of an error when it has crossed a thread boundary by structured clone. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
  readonly retryable?: boolean;
  readonly cause?: ErrorRecord;
}

/** Causes nest at most this deep in a record, so that a cyclic chain ends. */
const CAUSE_DEPTH_MAX = 8;

export function toErrorRecord(error: unknown, depth = 0): ErrorRecord {
  if (!(error instanceof Error)) return { name: 'Error', message: describeThrown(error) };
  const { code, retryable } = error as { code?: unknown; retryable?: unknown };
  return {
    name: String(error.name),
    message: String(error.message),
    ...(typeof error.stack === 'string' ? { stack: error.stack } : {}),
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof retryable === 'boolean' ? { retryable } : {}),
    ...(error.cause !== undefined && depth < CAUSE_DEPTH_MAX
      ? { cause: toErrorRecord(error.cause, depth + 1) }
      : {}),
  };
}

export function fromErrorRecord(record: ErrorRecord): Error {
  const cause = record.cause === undefined ? undefined : fromErrorRecord(record.cause);
  if (record.code?.startsWith('ERR_TIDEMARK_')) {
    const error = new TidemarkError(record.code as ErrorCode, record.message, {
      cause,
      retryable: record.retryable ?? false,
    });
    if (record.stack !== undefined) error.stack = record.stack;
    return error;
  }
  const error = new Error(record.message, cause === undefined ? undefined : { cause });
  error.name = record.name;
  if (record.stack !== undefined) error.stack = record.stack;
  if (record.code !== undefined) Object.assign(error, { code: record.code });
  return error;
}

/** A thrown value can be anything, even an object whose `toString` throws. */
function describeThrown(value: unknown): string {
  try {
    return `thrown value: ${String(value)}`;
  } catch {
    // The value refuses to be described; its type is all there is to say.
    return `thrown value of type ${typeof value}`;
  }
}
