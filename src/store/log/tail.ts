/** Which segments are in use: the last commit that can be believed says so. Pure. */
import type { ScannedCommit } from './scan.ts';

/**
 * The least lap in use, of segments that ascend by lap; undefined without any commit. Segments of lesser laps hold checkpoints that were
 * carried on, replaced or removed, and must not be read: what removed them may be gone already.
 */
export function findTailLap<Segment>(
  segments: readonly Segment[],
  scan: (segment: Segment) => Iterable<ScannedCommit>,
): number | undefined {
  for (const segment of segments.toReversed()) {
    let tailLap: number | undefined;
    for (const { record, state } of scan(segment)) {
      if (record !== undefined && state !== 'torn') tailLap = record.tailLap;
    }
    if (tailLap !== undefined) return tailLap;
  }
  return undefined;
}
