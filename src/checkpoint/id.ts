/** The identity of a checkpoint: which stream, up to which event, taken when. */
import { U64_MAX, u64 } from '../codec/u64.ts';
import { compareUtf8, requireText } from '../codec/utf8.ts';
import { TidemarkError } from '../error.ts';

/** Frames keep the time in unsigned 64-bit nanoseconds since the Unix epoch. */
const CREATED_AT_MS_MAX = Number(U64_MAX / 1_000_000n);

export class CheckpointId {
  /** Well-formed text; the empty text is a stream like any other. */
  readonly streamId: string;
  /** Sequence of the last event that the checkpoint includes. */
  readonly sequence: bigint;
  /** Wall clock, to the millisecond. */
  readonly createdAt: Date;

  /**
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `streamId` has an unpaired surrogate, `sequence` is not an
   * unsigned 64-bit integer or `createdAt` is not a date from 1970 to 2554
   */
  constructor(streamId: string, sequence: bigint | number, createdAt: Date = new Date()) {
    requireText(streamId, 'stream id');
    this.streamId = streamId;
    this.sequence = u64(sequence, 'sequence');
    // A copy, since whoever holds a date can change it.
    this.createdAt = new Date(requireCreatedAt(createdAt));
  }

  /** Orders by stream (UTF-8 bytes), then sequence, then time. Negative: `a` first. */
  static compare(this: void, a: CheckpointId, b: CheckpointId): number {
    const byStream = compareUtf8(a.streamId, b.streamId);
    if (byStream !== 0) return byStream;
    if (a.sequence !== b.sequence) return a.sequence < b.sequence ? -1 : 1;
    return a.createdAt.getTime() - b.createdAt.getTime();
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
