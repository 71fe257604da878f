/**
 * A push that is being accepted. While it waits, its events count as pushed: later ones are checked against them, and
 * they hold back the frontiers of their sources. Main thread only.
 */
import type { RECORD } from '../memory/ingest-ring.ts';
import type { Event } from './event.ts';
import type { RoutedStream, Router } from './router.ts';

/** In place of a number of events: some of them are held out. */
export const HELD_OUT = Number.POSITIVE_INFINITY;

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
  /** Set for a request about one stream, which keeps its place among the events, until it is written. */
  request: StreamRequest | undefined;
  next: number;
  /** Its events from `next` on are noted as waiting. */
  isAnnounced: boolean;
  /** Its events were accepted long ago, and held out of their stream since: it may wait, and is never given up. */
  readonly isAccepted: boolean;
  /** When it was pushed. */
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  /** The error for when nothing is accepted any more. */
  readonly rejection: (accepted: number) => Error;
}

export interface StreamRequest {
  readonly kind:
    | typeof RECORD.checkpointStream
    | typeof RECORD.forgetStream
    | typeof RECORD.resumeStream
    | typeof RECORD.letterDelivered;
  readonly stream: RoutedStream;
  /** With `letterDelivered`: the sequence of the event. */
  readonly text?: string;
  /** With `resumeStream`: what is given up before, as the records say it; those are taken away that are written. */
  readonly givenUp?: string[];
  /** With `resumeStream`: the events with which the stream goes on. Called when the request is written. */
  readonly take?: () => readonly Event[];
}

/** What waits counts as pushed when later events are checked against it, and holds back frontiers. */
export function announce(push: QueuedPush, router: Router): void {
  const { events } = push;
  const streams = [...push.streams];
  push.streams = streams;
  push.isAnnounced = true;
  for (let at = push.next; at < events.length; at++) {
    const event = events[at] as Event;
    const stream = streams[at] ?? router.stream(event.stream) ?? router.addStream(event.stream);
    streams[at] = stream;
    stream.noteEvent(event.sequence !== undefined);
    if (event.source === undefined || event.offset === undefined) continue;
    const source = router.source(event.source) ?? router.addSource(event.source);
    source.onWait(event.offset);
  }
}

/**
 * The opposite, of a push that will not be accepted any further. No later one may wait, but for requests about the
 * streams in `named`.
 */
export function withdraw(
  { events, streams, next }: QueuedPush,
  router: Router,
  named: ReadonlySet<RoutedStream>,
): void {
  for (let at = next; at < events.length; at++) {
    const { source, offset } = events[at] as Event;
    const stream = streams[at] as RoutedStream;
    stream.withdrawEvents();
    if (!named.has(stream)) router.removeUnused(stream);
    if (source !== undefined && offset !== undefined) router.source(source)?.onWithdrawn(offset);
  }
  router.removeUnusedSources();
}
