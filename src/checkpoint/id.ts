/** The identity of a checkpoint: which stream, up to which event, taken when. */
import { type InspectOptions, inspect } from 'node:util';
import { U64_MAX, u64 } from '../codec/u64.ts';
import { compareUtf8, requireText } from '../codec/utf8.ts';
import { TidemarkError } from '../error.ts';
import { inspectModel } from './inspection.ts';

/** Frames keep the time in unsigned 64-bit nanoseconds since the Unix epoch. */
const CREATED_AT_MS_MAX = Number(U64_MAX / 1_000_000n);

/** Ids of one stream are mostly made one after the other, so the stream that was checked last is known. */
let checkedStreamId = '';

/** A symbol, so that only the model has names; not a private name, so that ids of different times are not equal. */
const CREATED_AT_MS = Symbol('createdAtMs');

export class CheckpointId {
  /** Well-formed text; the empty text is a stream like any other. */
  readonly streamId: string;
  /** Sequence of the last event that the checkpoint includes. */
  readonly sequence: bigint;
  private readonly [CREATED_AT_MS]: number;
  /** Not a plain property: ids are equal whether or not somebody asked for the date. */
  #createdAt: Date | undefined;

  /**
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `streamId` has an unpaired surrogate, `sequence` is not an
   * unsigned 64-bit integer or `createdAt` is not a date from 1970 to 2554
   */
  constructor(streamId: string, sequence: bigint | number, createdAt?: Date) {
    if (streamId !== checkedStreamId) {
      requireText(streamId, 'stream id');
      checkedStreamId = streamId;
    }
    this.streamId = streamId;
    this.sequence = u64(sequence, 'sequence');
    // Not the date itself, since whoever holds it can change it.
    this[CREATED_AT_MS] = createdAt === undefined ? Date.now() : requireCreatedAt(createdAt);
  }

  /** Wall clock, to the millisecond; the same `Date` each time. It is made when it is first asked for. */
  get createdAt(): Date {
    this.#createdAt ??= new Date(this[CREATED_AT_MS]);
    return this.#createdAt;
  }

  /** Orders by stream (UTF-8 bytes), then sequence, then time. Negative: `a` first. */
  static compare(this: void, a: CheckpointId, b: CheckpointId): number {
    const byStream = compareUtf8(a.streamId, b.streamId);
    if (byStream !== 0) return byStream;
    if (a.sequence !== b.sequence) return a.sequence < b.sequence ? -1 : 1;
    return a.createdAt.getTime() - b.createdAt.getTime();
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    const { streamId, sequence, createdAt } = this;
    return inspectModel('CheckpointId', { streamId, sequence, createdAt }, depth, options);
  }
}

/**
 * Milliseconds since the Unix epoch of a date that a frame can hold.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT
 */
export function requireCreatedAt(date: Date): number {
  const ms = date instanceof Date ? date.getTime() : Number.NaN;
  if (ms >= 0 && ms <= CREATED_AT_MS_MAX) return ms;
  throw new TidemarkError(
    'ERR_TIDEMARK_INVALID_ARGUMENT',
    'createdAt must be a Date from 1970 up to the year 2554',
  );
}
