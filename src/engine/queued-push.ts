/** What waits to be accepted. */
import type { RECORD } from '../memory/ingest-ring.ts';
import type { Event } from './event.ts';
import type { RoutedStream } from './router.ts';

/** Points in streams, by the number of events pushed: what somebody waits for to become durable. */
export type Marks = Map<RoutedStream, number>;

export interface QueuedPush {
  /** The caller's own at first; once the push has to wait, a copy, with copies of all from `next` on. */
  events: readonly Event[];
  /**
   * The stream of each event, as far as it was known when they were checked; once the push has to wait, of all from
   * `next` on: the name may mean another stream when they are written.
   */
  streams: readonly (RoutedStream | undefined)[];
  /** Present if somebody waits for durability; filled as the events are written. */
  readonly marks: Marks | undefined;
  /** Set for a request about one stream, which keeps its place among the events. */
  readonly request: StreamRequest | undefined;
  next: number;
  /** Its events from `next` on are noted as waiting. */
  isAnnounced: boolean;
  readonly resolve: () => void;
  readonly reject: (accepted: number, reason?: (accepted: number) => Error) => void;
}

export interface StreamRequest {
  readonly kind: typeof RECORD.checkpointStream | typeof RECORD.forgetStream;
  readonly stream: RoutedStream;
}
