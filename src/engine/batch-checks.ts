/**
 * What pushed events must be in view of the events before them: offsets of a source never decrease, a
 * stream's events all bring their sequences or all do not, and there are only so many streams and
 * sources. A whole array is checked before its first event is accepted, against what its earlier events
 * would leave behind.
 */
import type { Event, U64 } from './event.ts';
import { checkEvent } from './event-checks.ts';
import { invalidArgument } from './options.ts';
import type { Router } from './router.ts';

export interface BatchLimits {
  readonly recordBytesMax: number;
  readonly maxStreams: number;
  readonly maxSources: number;
}

/** @throws ERR_TIDEMARK_INVALID_ARGUMENT, ERR_TIDEMARK_PAYLOAD_TOO_LARGE; then nothing has changed */
export function checkBatch(events: readonly Event[], router: Router, limits: BatchLimits): void {
  const offsets = new Map<string, U64>();
  const sequenced = new Map<string, boolean>();
  for (const event of events) {
    checkEvent(event, limits.recordBytesMax);
    const { stream, source, offset } = event;
    const brings = event.sequence !== undefined;
    const known = router.stream(stream);
    const expected = sequenced.get(stream) ?? known?.bringsSequences;
    if (expected === undefined) sequenced.set(stream, brings);
    else if (expected !== brings) throw mixedSequences(stream, brings);
    if (source === undefined || offset === undefined) continue;
    const last = offsets.get(source) ?? router.source(source)?.lastOffset;
    if (last !== undefined && offset < last) throw offsetWentBack(source, offset, last);
    offsets.set(source, offset);
  }
  let newStreams = 0;
  for (const stream of sequenced.keys()) if (router.stream(stream) === undefined) newStreams++;
  requireRoom('streams', router.streamCount + newStreams, limits.maxStreams);
  let newSources = 0;
  for (const source of offsets.keys()) if (router.source(source) === undefined) newSources++;
  requireRoom('sources', router.sourceCount + newSources, limits.maxSources);
}

/** The same for one event, without bookkeeping. */
export function checkSingle(event: Event, router: Router, limits: BatchLimits): void {
  checkEvent(event, limits.recordBytesMax);
  const { stream, source, offset } = event;
  const known = router.stream(stream);
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
