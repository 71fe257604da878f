/**
 * What pushed events must be in view of the events before them: offsets of a source never decrease, a
 * stream's events all bring their sequences or all do not, and there are only so many streams and
 * sources. A whole array is checked before its first event is accepted, against what its earlier events
 * would leave behind.
 */
import type { Event, U64 } from './event.ts';
import { checkEvent } from './event-checks.ts';
import { invalidArgument } from './options.ts';
import type { RoutedStream, Router } from './router.ts';

/** Events whose streams are looked for together. */
const GROUP_EVENTS = 32;

export interface BatchLimits {
  readonly recordBytesMax: number;
  readonly maxStreams: number;
  readonly maxSources: number;
}

/**
 * The stream of each event, undefined where it is new, so that none has to be looked for again.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT, ERR_TIDEMARK_PAYLOAD_TOO_LARGE; then nothing has changed
 */
export function checkBatch(
  events: readonly Event[],
  router: Router,
  limits: BatchLimits,
): (RoutedStream | undefined)[] {
  const streams = new Array<RoutedStream | undefined>(events.length);
  /** Of streams that have had no event: whether their first one here brings its sequence. */
  const first = new Map<string, boolean>();
  const offsets = new Map<string, U64>();
  /** Of the last event. */
  let source: string | undefined;
  let last: U64 | undefined;
  for (let at = 0; at < events.length; at++) {
    if (at % GROUP_EVENTS === 0) findStreams(events, at, router, streams);
    const event = events[at] as Event;
    const known = streams[at];
    checkEvent(event, limits.recordBytesMax, known !== undefined, source);
    const { stream, offset } = event;
    const brings = event.sequence !== undefined;
    const expected = known?.bringsSequences ?? first.get(stream);
    if (expected === undefined) first.set(stream, brings);
    else if (expected !== brings) throw mixedSequences(stream, brings);
    if (event.source === undefined || offset === undefined) continue;
    if (event.source !== source) {
      if (source !== undefined && last !== undefined) offsets.set(source, last);
      source = event.source;
      last = offsets.get(source) ?? router.source(source)?.lastOffset;
    }
    if (last !== undefined && offset < last) throw offsetWentBack(source, offset, last);
    last = offset;
  }
  if (source !== undefined && last !== undefined) offsets.set(source, last);
  requireRoom(
    'streams',
    router.streamCount + countNew(first.keys(), (name) => router.stream(name)),
    limits.maxStreams,
  );
  requireRoom(
    'sources',
    router.sourceCount + countNew(offsets.keys(), (name) => router.source(name)),
    limits.maxSources,
  );
  return streams;
}

/**
 * The streams of a group of events, and on their way from memory what will be looked at of each: many streams are in no
 * nearer cache, and so the loads of a group are waited for side by side, as in a shard's look-ahead.
 */
function findStreams(
  events: readonly Event[],
  first: number,
  router: Router,
  streams: (RoutedStream | undefined)[],
): void {
  const end = Math.min(first + GROUP_EVENTS, events.length);
  for (let at = first; at < end; at++) streams[at] = knownStream(events[at] as Event, router);
  let read = 0;
  for (let at = first; at < end; at++) {
    const stream = streams[at];
    if (stream !== undefined) read ^= stream.shard ^ stream.index ^ stream.pushed;
  }
  // A load whose value goes nowhere may be left out.
  router.fetched = read;
}

/** An event that is not one, or names no stream, has none. */
function knownStream(event: Event, router: Router): RoutedStream | undefined {
  return event !== null && typeof event === 'object' ? router.stream(event.stream) : undefined;
}

function countNew(names: Iterable<string>, find: (name: string) => unknown): number {
  let count = 0;
  for (const name of names) if (find(name) === undefined) count++;
  return count;
}

/** The same for one event, without bookkeeping. */
export function checkSingle(event: Event, router: Router, limits: BatchLimits): void {
  const known = knownStream(event, router);
  checkEvent(event, limits.recordBytesMax, known !== undefined);
  const { stream, source, offset } = event;
  const brings = event.sequence !== undefined;
  if (known === undefined) requireRoom('streams', router.streamCount + 1, limits.maxStreams);
  else if (known.bringsSequences !== undefined && known.bringsSequences !== brings)
    throw mixedSequences(stream, brings);
  if (source === undefined || offset === undefined) return;
  const progress = router.source(source);
  if (progress === undefined) requireRoom('sources', router.sourceCount + 1, limits.maxSources);
  else if (progress.lastOffset !== undefined && offset < progress.lastOffset) {
    throw offsetWentBack(source, offset, progress.lastOffset);
  }
}

function requireRoom(what: 'streams' | 'sources', count: number, most: number): void {
  if (count <= most) return;
  const option = what === 'streams' ? 'maxStreams' : 'maxSources';
  throw invalidArgument(`more than ${most} ${what}; raise ${option} if that is intended`);
}

function mixedSequences(stream: string, brings: boolean): Error {
  const [now, before] = brings ? ['has', 'had none'] : ['has no', 'had one'];
  return invalidArgument(
    `an event of stream '${stream}' ${now} sequence, the ones before ${before}; a stream does one or the other`,
  );
}

function offsetWentBack(source: string, offset: U64, last: U64): Error {
  return invalidArgument(
    `offsets of source '${source}' never decrease in push order, got ${offset} after ${last}`,
  );
}
