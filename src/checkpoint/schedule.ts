/**
 * Is a checkpoint due? One pure decision, asked after every event of a stream and whenever its timer
 * runs out, so it allocates nothing and reads no clock: `now` is passed in.
 */

/** Limits; each that is given makes a checkpoint due on its own. All are greater than zero. */
export interface CheckpointPolicy {
  /** Events applied since the last checkpoint. */
  readonly everyEvents?: number | bigint | undefined;
  /** Milliseconds since the first event that the last checkpoint does not cover. */
  readonly everyMs?: number | undefined;
  /** Payload bytes applied since the last checkpoint. */
  readonly everyBytes?: number | undefined;
  /** Milliseconds without an event. */
  readonly idleMs?: number | undefined;
  /** Milliseconds after a checkpoint in which none is due, whatever the other limits say. */
  readonly minPauseMs?: number | undefined;
}

/** What is known of one stream. Times are milliseconds of the same monotonic clock as `now`. */
export interface CheckpointFacts {
  /** Events applied since the last checkpoint; none: the stream is clean. */
  readonly uncoveredEvents: number | bigint;
  readonly uncoveredBytes: number;
  readonly firstUncoveredAt: number;
  readonly lastEventAt: number;
  /** -Infinity if there was none. */
  readonly lastCheckpointAt: number;
}

export type CheckpointTrigger = 'events' | 'ms' | 'bytes' | 'idle';

/** The limit that makes a checkpoint due, or undefined. A clean stream never is. */
export function dueTrigger(
  policy: CheckpointPolicy,
  facts: CheckpointFacts,
  now: number,
): CheckpointTrigger | undefined {
  if (facts.uncoveredEvents <= 0) return undefined;
  if (policy.minPauseMs !== undefined && now - facts.lastCheckpointAt < policy.minPauseMs) {
    return undefined;
  }
  if (policy.everyEvents !== undefined && facts.uncoveredEvents >= policy.everyEvents) {
    return 'events';
  }
  if (policy.everyBytes !== undefined && facts.uncoveredBytes >= policy.everyBytes) return 'bytes';
  if (policy.everyMs !== undefined && now - facts.firstUncoveredAt >= policy.everyMs) return 'ms';
  if (policy.idleMs !== undefined && now - facts.lastEventAt >= policy.idleMs) return 'idle';
  return undefined;
}
