/**
 * When the streams of a shard are checkpointed. The decision itself is `dueTrigger`; here is what lets
 * a shard ask it about the right streams only, whatever their number.
 *
 * - Events and bytes: about the stream of an event, at the event.
 * - Time: about streams of the queue whose time has come. A dirty stream that time can make due is in the queue, at a time
 *   no later than the first at which it can be: limits with jitter fall due in any order, and each event puts off
 *   idleness, so the queue is a heap, and its times are lower bounds. Neither an event nor a checkpoint moves a stream in
 *   it, but for the first event after a checkpoint, which may be due earlier than what was. A stream that is looked at too
 *   early goes where it belongs, or out if it is clean. So it is looked at once in a limit or a pause, not in every turn.
 * - Debt: about the head of the list of dirty streams, which is ordered by their first uncovered events, when the sum of
 *   all uncovered events is too large. Whatever keeps uncovered events of a stream keeps the sum.
 */
import {
  askAgainAt,
  type CheckpointPolicy,
  dueTrigger,
  isInDebt,
  limitShare,
} from '../checkpoint/schedule.ts';
import { LinkedList } from '../linked-list.ts';
import { AskQueue } from './ask-queue.ts';
import type { ShardStream } from './stream.ts';
import type { StreamRow } from './stream-row.ts';

export class Triggers {
  readonly #policy: CheckpointPolicy;
  readonly #dirty = new LinkedList<ShardStream>();
  readonly #queue = new AskQueue();
  /** The uncovered events of all streams. */
  #debt = 0;

  constructor(policy: CheckpointPolicy) {
    this.#policy = policy;
  }

  /** Notes an applied event; true if the stream is due by it. `fireDebt` says which others are. */
  onEvent(row: StreamRow, payloadBytes: number, now: number): boolean {
    if (this.#policy.idleMs !== undefined) row.stream.eventAt = now;
    if (row.noteApplied(payloadBytes) === 1) this.#begin(row.stream, now);
    this.#debt++;
    return dueTrigger(this.#policy, row, now) !== undefined;
  }

  /** A stream that is taken over: so many of its events are in no checkpoint. */
  reopen(stream: ShardStream, events: number, now: number): void {
    stream.eventAt = now;
    this.#begin(stream, now);
    stream.uncoveredEvents = events;
    this.#debt += events;
    // They may be as many as make it due, and no event of it may come to ask.
    this.#queue.put(stream, now);
  }

  /** The stream's events are all in a frame now. */
  onCheckpoint(stream: ShardStream, now: number): void {
    this.#clean(stream);
    stream.checkpointAt = now;
    stream.checkpoints++;
  }

  /** The stream is never due again. */
  forget(stream: ShardStream): void {
    this.#clean(stream);
    this.#queue.remove(stream);
  }

  /** Calls `checkpoint` for every stream that is due at `now`; it must end in `onCheckpoint`. */
  fireDue(now: number, checkpoint: (stream: ShardStream) => void): void {
    this.fireDebt(checkpoint);
    for (let stream = this.#queue.head; stream !== undefined; stream = this.#queue.head) {
      if (this.#queue.headTime > now) return;
      if (dueTrigger(this.#policy, stream, now) !== undefined) checkpoint(stream);
      // It is later than `now`, or the stream would be due: this ends.
      this.#askAgain(stream, now);
    }
  }

  /** Calls `checkpoint` for the stream with the oldest uncovered event, as long as there are too many of those in all. */
  fireDebt(checkpoint: (stream: ShardStream) => void): void {
    while (isInDebt(this.#policy, this.#debt)) {
      const oldest = this.#dirty.head;
      if (oldest === undefined) throw new TypeError(`${this.#debt} events are uncovered, of no stream`);
      checkpoint(oldest.owner);
    }
  }

  /** Calls `checkpoint` for every dirty stream, oldest first; it must end in `onCheckpoint`. */
  fireAll(checkpoint: (stream: ShardStream) => void): void {
    for (let link = this.#dirty.head; link !== undefined; link = this.#dirty.head) checkpoint(link.owner);
  }

  /** Milliseconds until something can be due by time; Infinity if nothing will be. */
  msUntilDue(now: number): number {
    for (let stream = this.#queue.head; stream !== undefined; stream = this.#queue.head) {
      const time = this.#queue.headTime;
      // A time that is too early would wake the shard for nothing.
      if (time <= now || this.#askAgain(stream, now) === time) return time - now;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** An event of a clean stream: from now on its limits count. */
  #begin(stream: ShardStream, now: number): void {
    stream.firstUncoveredAt = now;
    const { jitter } = this.#policy;
    if (jitter !== undefined) stream.share = limitShare(this.#policy, stream.index, stream.checkpoints);
    this.#dirty.append(stream.ageLink);
    const time = askAgainAt(this.#policy, stream, now);
    if (time < this.#queue.timeOf(stream)) this.#queue.put(stream, time);
  }

  #clean(stream: ShardStream): void {
    this.#debt -= stream.uncoveredEvents;
    stream.uncoveredEvents = 0;
    stream.uncoveredBytes = 0;
    this.#dirty.remove(stream.ageLink);
  }

  /** Puts a stream that is not due where it belongs in the queue. Returns its time; Infinity: it is not in there any more. */
  #askAgain(stream: ShardStream, now: number): number {
    const time =
      stream.uncoveredEvents === 0 ? Number.POSITIVE_INFINITY : askAgainAt(this.#policy, stream, now);
    if (time === Number.POSITIVE_INFINITY) this.#queue.remove(stream);
    else if (time !== this.#queue.timeOf(stream)) this.#queue.put(stream, time);
    return time;
  }
}
