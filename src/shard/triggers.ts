/**
 * When the streams of a shard are checkpointed. The decision itself is `dueTrigger`; here is what lets
 * a shard ask it about the right streams only, whatever their number.
 *
 * Dirty streams are in the age list, ordered by their first uncovered event, and with `idleMs` in the
 * idle list, ordered by their last one: what is due by time is at the head. A stream that is due within
 * `minPauseMs` of its last checkpoint leaves the age list; the list of pausing streams asks again when the pause ends.
 */
import { type CheckpointPolicy, dueTrigger } from '../checkpoint/schedule.ts';
import { LinkedList } from '../linked-list.ts';
import type { ShardStream } from './stream.ts';

export class Triggers {
  readonly #policy: CheckpointPolicy;
  readonly #pauseMs: number;
  readonly #byAge = new LinkedList<ShardStream>();
  readonly #byIdle = new LinkedList<ShardStream>();
  /** Streams within their pause, ordered by their last checkpoint, so by the end of it. */
  readonly #pausing = new LinkedList<ShardStream>();

  constructor(policy: CheckpointPolicy) {
    this.#policy = policy;
    this.#pauseMs = policy.minPauseMs ?? 0;
  }

  /** Notes an applied event; true if the stream is due by it. */
  onEvent(stream: ShardStream, payloadBytes: number, now: number): boolean {
    if (stream.uncoveredEvents === 0) {
      stream.firstUncoveredAt = now;
      this.#byAge.append(stream.ageLink);
    }
    stream.uncoveredEvents++;
    stream.uncoveredBytes += payloadBytes;
    if (this.#policy.idleMs !== undefined) {
      stream.lastEventAt = now;
      this.#byIdle.remove(stream.idleLink);
      this.#byIdle.append(stream.idleLink);
    }
    return dueTrigger(this.#policy, stream, now) !== undefined;
  }

  /** A stream that is taken over: so many of its events are in no checkpoint. */
  reopen(stream: ShardStream, events: number, now: number): void {
    stream.uncoveredEvents = events;
    stream.firstUncoveredAt = now;
    this.#byAge.append(stream.ageLink);
    if (this.#policy.idleMs === undefined) return;
    stream.lastEventAt = now;
    this.#byIdle.append(stream.idleLink);
  }

  /** The stream's events are all in a frame now. */
  onCheckpoint(stream: ShardStream, now: number): void {
    stream.uncoveredEvents = 0;
    stream.uncoveredBytes = 0;
    stream.lastCheckpointAt = now;
    this.#byAge.remove(stream.ageLink);
    this.#byIdle.remove(stream.idleLink);
    if (this.#pauseMs === 0) return;
    this.#pausing.remove(stream.pauseLink);
    this.#pausing.append(stream.pauseLink);
  }

  /** The stream is never due again. */
  forget(stream: ShardStream): void {
    this.#byAge.remove(stream.ageLink);
    this.#byIdle.remove(stream.idleLink);
    this.#pausing.remove(stream.pauseLink);
  }

  /** Calls `checkpoint` for every stream that is due at `now`; it must end in `onCheckpoint`. */
  fireDue(now: number, checkpoint: (stream: ShardStream) => void): void {
    this.#firePauses(now, checkpoint);
    this.#fireHeads(this.#byAge, now, checkpoint);
    this.#fireHeads(this.#byIdle, now, checkpoint);
  }

  /** Calls `checkpoint` for every dirty stream, oldest first; it must end in `onCheckpoint`. */
  fireAll(checkpoint: (stream: ShardStream) => void): void {
    for (let link = this.#byAge.head; link !== undefined; link = this.#byAge.head) checkpoint(link.owner);
    // Streams that are due but pausing are in no list of dirty streams.
    const due: ShardStream[] = [];
    for (let link = this.#pausing.head; link !== undefined; link = link.next) {
      if (link.owner.uncoveredEvents > 0) due.push(link.owner);
    }
    for (const stream of due) checkpoint(stream);
  }

  /** Milliseconds until something can be due by time; Infinity if nothing will be. */
  msUntilDue(now: number): number {
    const { everyMs, idleMs } = this.#policy;
    const oldest = this.#byAge.head?.owner;
    const idlest = this.#byIdle.head?.owner;
    const pausing = this.#pausing.head?.owner;
    return Math.min(
      oldest === undefined || everyMs === undefined
        ? Number.POSITIVE_INFINITY
        : oldest.firstUncoveredAt + everyMs - now,
      idlest === undefined || idleMs === undefined
        ? Number.POSITIVE_INFINITY
        : idlest.lastEventAt + idleMs - now,
      pausing === undefined ? Number.POSITIVE_INFINITY : pausing.lastCheckpointAt + this.#pauseMs - now,
    );
  }

  #fireHeads(list: LinkedList<ShardStream>, now: number, checkpoint: (stream: ShardStream) => void): void {
    for (let link = list.head; link !== undefined; link = list.head) {
      const stream = link.owner;
      if (dueTrigger(this.#policy, stream, now) !== undefined) {
        checkpoint(stream);
      } else if (this.#isPausing(stream, now) && this.#isOverdue(list, stream, now)) {
        // Only its pause holds it back; the end of the pause asks again.
        list.remove(link);
      } else {
        return;
      }
    }
  }

  #firePauses(now: number, checkpoint: (stream: ShardStream) => void): void {
    for (let link = this.#pausing.head; link !== undefined; link = this.#pausing.head) {
      const stream = link.owner;
      if (this.#isPausing(stream, now)) return;
      this.#pausing.remove(link);
      if (dueTrigger(this.#policy, stream, now) !== undefined) checkpoint(stream);
    }
  }

  #isPausing(stream: ShardStream, now: number): boolean {
    return now - stream.lastCheckpointAt < this.#pauseMs;
  }

  #isOverdue(list: LinkedList<ShardStream>, stream: ShardStream, now: number): boolean {
    const { everyMs, idleMs } = this.#policy;
    return list === this.#byAge
      ? everyMs !== undefined && now - stream.firstUncoveredAt >= everyMs
      : idleMs !== undefined && now - stream.lastEventAt >= idleMs;
  }
}
