/**
 * What is taken from the queue of the central store, and how it comes back there. The queue has streams in the order in
 * which they began to wait. One that is given up has no frame, and is passed over; behind one that is to be forgotten
 * nothing is taken.
 */
import type { IndexedStream, StoredFrame } from './stored-frame.ts';

/** Of one commit. */
export interface BatchLimits {
  readonly frames: number;
  readonly bytes: number;
}

/** The frames that wait longest, and one at least. */
export function longestWaiting(queue: Iterable<IndexedStream>, limits: BatchLimits): StoredFrame[] {
  const frames: StoredFrame[] = [];
  let bytes = 0;
  for (const { isForgotten, waiting } of queue) {
    if (isForgotten) break;
    if (waiting === undefined) continue;
    bytes += waiting.bytes;
    if (frames.length > 0 && (frames.length >= limits.frames || bytes > limits.bytes)) break;
    frames.push(waiting);
  }
  return frames;
}

/** Those that wait longest among the ones that fit; if none does, the smallest. */
export function fitting(queue: Iterable<IndexedStream>, limits: BatchLimits): StoredFrame[] {
  const frames: StoredFrame[] = [];
  let bytes = 0;
  let smallest: StoredFrame | undefined;
  for (const { isForgotten, waiting } of queue) {
    if (isForgotten || frames.length >= limits.frames) break;
    if (waiting === undefined) continue;
    if (smallest === undefined || waiting.bytes < smallest.bytes) smallest = waiting;
    if (bytes + waiting.bytes > limits.bytes) continue;
    frames.push(waiting);
    bytes += waiting.bytes;
  }
  return frames.length === 0 && smallest !== undefined ? [smallest] : frames;
}

/** The queue with the streams of `frames`, under the numbers under which they waited. Both ascend. */
export function withReturned(
  queue: ReadonlyMap<IndexedStream, number>,
  frames: readonly StoredFrame[],
): Map<IndexedStream, number> {
  const merged = new Map<IndexedStream, number>();
  let at = 0;
  const addBelow = (number: number): void => {
    for (let frame = frames[at]; frame !== undefined && frame.number < number; frame = frames[++at])
      merged.set(frame.stream, frame.number);
  };
  for (const [stream, number] of queue) {
    addBelow(number);
    merged.set(stream, number);
  }
  addBelow(Number.POSITIVE_INFINITY);
  return merged;
}
