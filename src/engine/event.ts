/** What callers push into the engine. */

/** A u64: a bigint, or a safe non-negative integer as a number. */
export type U64 = bigint | number;

/** It and the bytes of its payload may be used again as soon as `push` or `tryPush` has returned. */
export interface Event {
  /** The stream whose operators get this event. */
  readonly stream: string;
  /** Bytes are copied within the call, and again when they had to wait for room; a string is stored as UTF-8. */
  readonly payload: Uint8Array | string;
  /** Strictly increasing in the stream and a function of the source record. Omitted: the shard counts. */
  readonly sequence?: U64 | undefined;
  /** Event time in nanoseconds since the Unix epoch. */
  readonly watermarkNs?: U64 | undefined;
  /** Where the event was read from; goes with `offset`. */
  readonly source?: string | undefined;
  /**
   * The event's own position in its source; never decreases in push order. It repeats when one record makes
   * several events: push these in one array, or the first may be durable, and the frontier behind the record,
   * before the others are accepted.
   */
  readonly offset?: U64 | undefined;
  /** Where reading goes on after this event; default offset + 1. */
  readonly nextOffset?: U64 | undefined;
}

export interface PushOptions {
  /**
   * `'accepted'` (default): an engine crash short of the process's is survived. `'durable'`: everything is, unless the
   * stream is forgotten meanwhile; then nothing of it is left to survive.
   */
  readonly until?: 'accepted' | 'durable' | undefined;
}
