/**
 * Who waits for what to become durable. Two kinds: a point in one stream (`push … until durable`,
 * `checkpoint(stream)`), named by how many of its events were pushed; and everything that is stored by
 * now (`checkpoint()`), named by a place in the commit queue.
 */
import { type Clock, systemClock } from '../clock.ts';
import type { RoutedStream } from './router.ts';

interface Waiter {
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export interface DurabilityWaiter extends Waiter {
  readonly pushed: number;
}

interface Barrier extends Waiter {
  readonly through: number;
}

export class Durability {
  readonly #waiting = new Set<RoutedStream>();
  #barriers: Barrier[] = [];
  #settledThrough = 0;
  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  get isAwaited(): boolean {
    return this.#waiting.size > 0 || this.#barriers.length > 0;
  }

  /**
   * Resolves once the first `pushed` events of the stream in this life are durable. `since` when it has been waited for
   * counts: for ever, if that is Infinity.
   */
  untilSettled(stream: RoutedStream, pushed: number, since: number = this.#clock.now()): Promise<void> {
    if (stream.settled >= pushed) return Promise.resolve();
    return new Promise((resolve, reject) => {
      stream.waiters ??= [];
      stream.waiters.push({ pushed, since, resolve, reject });
      this.#waiting.add(stream);
    });
  }

  /** The first `seen` events of the stream in this life are durable. */
  settle(stream: RoutedStream, seen: number): void {
    if (seen > stream.settled) stream.settled = seen;
    if (stream.waiters === undefined) return;
    const { settled } = stream;
    const left = stream.waiters.filter((waiter) => waiter.pushed > settled);
    for (const waiter of stream.waiters) if (waiter.pushed <= settled) waiter.resolve();
    stream.waiters = left.length === 0 ? undefined : left;
    if (left.length === 0) this.#waiting.delete(stream);
  }

  /** The stream is forgotten: nothing of it will become durable, and nobody is to wait for that. */
  settleAll(stream: RoutedStream): void {
    this.settle(stream, Number.POSITIVE_INFINITY);
  }

  /** Events of the stream behind the first `seen` will not become durable for now: rejects who waits for them. */
  failBeyond(stream: RoutedStream, seen: number, reason: () => Error): void {
    const waiters = stream.waiters ?? [];
    const left = waiters.filter(({ pushed }) => pushed <= seen);
    stream.waiters = left.length === 0 ? undefined : left;
    if (left.length === 0) this.#waiting.delete(stream);
    for (const { pushed, reject } of waiters) if (pushed > seen) reject(reason());
  }

  /** Resolves once everything up to place `through` of the commit queue is durable. */
  untilThrough(through: number, since: number = this.#clock.now()): Promise<void> {
    if (this.#settledThrough >= through) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#barriers.push({ through, since, resolve, reject });
    });
  }

  settleThrough(through: number): void {
    this.#settledThrough = Math.max(this.#settledThrough, through);
    if (this.#barriers.length === 0) return;
    const reached = this.#barriers.filter((barrier) => barrier.through <= this.#settledThrough);
    this.#barriers = this.#barriers.filter((barrier) => barrier.through > this.#settledThrough);
    for (const barrier of reached) barrier.resolve();
  }

  /** Nothing will become durable any more. `reason` makes an error for each waiter. */
  failAll(reason: () => Error): void {
    this.failLate(reason, Number.POSITIVE_INFINITY);
  }

  /** Rejects who has waited since `before`, or longer. */
  failLate(reason: () => Error, before: number): void {
    const isLate = ({ since }: Waiter): boolean => since <= before;
    for (const stream of this.#waiting) {
      const waiters = stream.waiters ?? [];
      const left = waiters.filter((waiter) => !isLate(waiter));
      stream.waiters = left.length === 0 ? undefined : left;
      if (left.length === 0) this.#waiting.delete(stream);
      for (const waiter of waiters) if (isLate(waiter)) waiter.reject(reason());
    }
    const barriers = this.#barriers;
    this.#barriers = barriers.filter((barrier) => !isLate(barrier));
    for (const barrier of barriers) if (isLate(barrier)) barrier.reject(reason());
  }
}
