/** Which segments are in use: the last commit that can be believed says so. Pure. */
import type { ScannedCommit } from './scan.ts';

/**
 * The least lap in use, of segments that ascend by lap, each of which says with `tailLapOf` what its last commit does;
 * undefined without any commit. Segments of lesser laps hold checkpoints that were carried on, replaced or removed, and
 * must not be read: what removed them may be gone already.
 */
export function findTailLap<Segment>(
  segments: readonly Segment[],
  tailLapOf: (segment: Segment) => number | undefined,
): number | undefined {
  for (const segment of segments.toReversed()) {
    const tailLap = tailLapOf(segment);
    if (tailLap !== undefined) return tailLap;
  }
  return undefined;
}

/** What the last believable one of `commits` says. */
export function tailLapOf(commits: Iterable<ScannedCommit>): number | undefined {
  let tailLap: number | undefined;
  for (const { record, state } of commits) {
    if (record !== undefined && state !== 'torn') tailLap = record.tailLap;
  }
  return tailLap;
}
