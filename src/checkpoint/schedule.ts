/**
 * Is a checkpoint due? One pure decision, asked after every event of a stream and whenever its timer
 * runs out, so it allocates nothing and reads no clock: `now` is passed in.
 */

/**
 * Limits, each greater than zero. Each of the first four, and `maxReplayEvents`, makes a checkpoint due on its own.
 */
export interface CheckpointPolicy {
  /** Events applied since the last checkpoint. */
  readonly everyEvents?: number | bigint | undefined;
  /** Milliseconds since the first event that the last checkpoint does not cover. */
  readonly everyMs?: number | undefined;
  /** Payload bytes applied since the last checkpoint. */
  readonly everyBytes?: number | undefined;
  /** Milliseconds without an event. */
  readonly idleMs?: number | undefined;
  /** Milliseconds after a checkpoint in which none is due, whatever the other limits but `maxReplayEvents` say. */
  readonly minPauseMs?: number | undefined;
  /**
   * The objective of a recovery: events that the streams together have applied and no checkpoint covers, which are what
   * a crash of the process would have applied again. As many at most, after each event: of an engine all in all, each
   * of its shards keeping to an equal part, though at least 1; of a shard its own. When an event exceeds it, the stream
   * with the oldest of them is checkpointed, and the next, until the rest is within it.
   *
   * On top come the events that no shard has read from its ring yet (`memory.ringBytes` bounds them), those of
   * checkpoints that are stored and not yet durable, and duplicates: a source is read again from its frontier, and what
   * is covered behind it is dropped.
   */
  readonly maxReplayEvents?: number | undefined;
  /**
   * By which share of them, from 0 to 1, `everyEvents`, `everyMs` and `idleMs` are less at most: each time another part
   * of it, which depends on the stream and on how many checkpoints it has had. So streams that begin together are not due
   * together, and none later than the limits say. Default 0.
   */
  readonly jitter?: number | undefined;
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
  /** What `jitter` leaves of the limits until the next checkpoint, as `limitShare` says; not looked at without it. */
  readonly limitShare: number;
}

export type CheckpointTrigger = 'events' | 'ms' | 'bytes' | 'idle' | 'debt';

/**
 * The limit that makes a checkpoint due, or undefined. A clean stream never is. `replayDebt` is told of the stream whose
 * first uncovered event is the oldest of all: so many events no checkpoint covers, of all streams together.
 */
export function dueTrigger(
  policy: CheckpointPolicy,
  facts: CheckpointFacts,
  now: number,
  replayDebt = 0,
): CheckpointTrigger | undefined {
  if (facts.uncoveredEvents <= 0) return undefined;
  // Before the pause: that saves work, and this is a promise. Were it to wait, as many events could come meanwhile as like.
  if (isInDebt(policy, replayDebt)) return 'debt';
  if (isPausing(policy, facts, now)) return undefined;
  if (policy.everyEvents !== undefined && facts.uncoveredEvents >= eventsDueAt(policy, facts)) {
    return 'events';
  }
  if (policy.everyBytes !== undefined && facts.uncoveredBytes >= policy.everyBytes) return 'bytes';
  if (policy.everyMs !== undefined && now >= ageDueAt(policy, facts)) return 'ms';
  if (policy.idleMs !== undefined && now >= idleDueAt(policy, facts)) return 'idle';
  return undefined;
}

/** Whether so many events that no checkpoint covers are too many. */
export function isInDebt({ maxReplayEvents }: CheckpointPolicy, replayDebt: number): boolean {
  return maxReplayEvents !== undefined && replayDebt > maxReplayEvents;
}

/**
 * When to ask again about a dirty stream that is not due at `now`, if nothing happens to it before; Infinity: never. The
 * sums are those that `dueTrigger` compares with, so that both agree to the last bit.
 */
export function askAgainAt(policy: CheckpointPolicy, facts: CheckpointFacts, now: number): number {
  // Its events may make it due meanwhile; they can ask only once the pause is over.
  if (isPausing(policy, facts, now)) return pauseEndsAt(policy, facts);
  return Math.min(ageDueAt(policy, facts), idleDueAt(policy, facts));
}

/** The part of the limits that holds for a stream once it has had so many checkpoints, in (0, 1]: 1 - `jitter` × h. */
export function limitShare({ jitter = 0 }: CheckpointPolicy, stream: number, checkpoints: number): number {
  return jitter === 0 ? 1 : 1 - jitter * hash(stream, checkpoints);
}

/** The policy of each of so many shards. */
export function shardPolicy(policy: CheckpointPolicy, shards: number): CheckpointPolicy {
  const { maxReplayEvents } = policy;
  if (maxReplayEvents === undefined) return policy;
  return { ...policy, maxReplayEvents: Math.max(1, Math.floor(maxReplayEvents / shards)) };
}

function isPausing(policy: CheckpointPolicy, facts: CheckpointFacts, now: number): boolean {
  return policy.minPauseMs !== undefined && now < pauseEndsAt(policy, facts);
}

function pauseEndsAt({ minPauseMs = 0 }: CheckpointPolicy, { lastCheckpointAt }: CheckpointFacts): number {
  return lastCheckpointAt + minPauseMs;
}

function eventsDueAt({ everyEvents = 0, jitter }: CheckpointPolicy, facts: CheckpointFacts): number | bigint {
  return jitter === undefined ? everyEvents : Number(everyEvents) * facts.limitShare;
}

function ageDueAt(policy: CheckpointPolicy, facts: CheckpointFacts): number {
  return facts.firstUncoveredAt + spread(policy.everyMs, policy, facts);
}

function idleDueAt(policy: CheckpointPolicy, facts: CheckpointFacts): number {
  return facts.lastEventAt + spread(policy.idleMs, policy, facts);
}

function spread(
  limit = Number.POSITIVE_INFINITY,
  { jitter }: CheckpointPolicy,
  facts: CheckpointFacts,
): number {
  return jitter === undefined ? limit : limit * facts.limitShare;
}

/** In [0, 1), evenly: MurmurHash3's last step over both numbers. */
function hash(stream: number, checkpoints: number): number {
  let h = Math.imul(stream + 1, 0x9e37_79b1) ^ Math.imul(checkpoints + 1, 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}
