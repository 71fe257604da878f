/**
 * A stream that is set aside: the event at which it was, and those that have come for it since, in their order. What is
 * held out pins the frontiers of its sources, so that a crash loses nothing of it. Main thread only.
 */
import { type ErrorRecord, fromErrorRecord } from '../error.ts';
import type { FaultText } from '../shard/poison.ts';
import type { Event } from './event.ts';
import { payloadBytes } from './event-checks.ts';
import { copiesFrom } from './event-copies.ts';
import type { Router } from './router.ts';

/** What an event that is held out takes besides its payload, about. */
const EVENT_BYTES = 256;

/** The event at which a stream was set aside, or that was skipped, and why. */
export interface Fault {
  readonly sequence: bigint;
  readonly source: string | undefined;
  readonly offset: bigint | undefined;
  /** How often it was tried. */
  readonly attempts: number;
  readonly error: Error;
}

/** What all streams together may hold out. */
export interface HeldOutBytes {
  readonly max: number;
  used: number;
}

export class Aside {
  readonly fault: Fault;
  /** Events of the stream read before the fault in this life. */
  readonly seen: number;
  /** Bytes of the events that are held out, about. */
  bytes = 0;
  /** Events for which there was no room; there are none behind the first of these. */
  dropped = 0;
  /** The stream is to go on, as soon as its shard can be told. */
  isEnding = false;
  #events: Event[] = [];
  readonly #budget: HeldOutBytes;
  readonly #pins = new Map<string, () => void>();

  constructor(fault: Fault, seen: number, budget: HeldOutBytes) {
    this.fault = fault;
    this.seen = seen;
    this.#budget = budget;
  }

  get held(): number {
    return this.#events.length;
  }

  /** No frontier of the source is past `offset` from here on, until `release`. The first call of a source has its least. */
  pin(source: string, offset: bigint | number, router: Router): void {
    if (this.#pins.has(source)) return;
    const { hold } = router.source(source) ?? router.addSource(source);
    this.#pins.set(source, hold(offset));
  }

  /** Holds out events that are nobody else's. */
  add(events: Iterable<Event>, router: Router): void {
    for (const event of events) this.#add(event, router);
  }

  /** Holds out an event that the caller may use again. */
  addCopy(event: Event, router: Router): void {
    this.#add(this.dropped > 0 ? event : (copiesFrom(0, [event])[0] as Event), router);
  }

  /** The first events, so many, are not needed any more; nor is what was dropped. From here on nothing is dropped. */
  giveUp(count: number): void {
    const gone = this.#events.slice(0, count).reduce((sum, event) => sum + bytesOf(event), 0);
    this.#events = this.#events.slice(count);
    this.bytes -= gone;
    this.#budget.used -= gone;
    this.dropped = 0;
    this.isEnding = true;
  }

  /** Gives up the events; they are the caller's. */
  take(): readonly Event[] {
    const events = this.#events;
    this.#events = [];
    this.#budget.used -= this.bytes;
    this.bytes = 0;
    return events;
  }

  /** The frontiers may go on. */
  release(): void {
    this.take();
    for (const unpin of this.#pins.values()) unpin();
    this.#pins.clear();
  }

  #add(event: Event, router: Router): void {
    const { source, offset } = event;
    if (source !== undefined && offset !== undefined) this.pin(source, offset, router);
    const bytes = bytesOf(event);
    // The event of the fault is what everything else hangs on.
    const fits = this.#budget.used + bytes <= this.#budget.max || this.held === 0 || this.isEnding;
    if (this.dropped > 0 || !fits) {
      this.dropped++;
      return;
    }
    this.#events.push(event);
    this.bytes += bytes;
    this.#budget.used += bytes;
  }
}

function bytesOf({ payload }: Event): number {
  return payloadBytes(payload) + EVENT_BYTES;
}

export function faultOf(json: string): Fault {
  const { sequence, source, offset, attempts, error } = JSON.parse(json) as FaultText;
  return {
    sequence: BigInt(sequence),
    source,
    offset: offset === undefined ? undefined : BigInt(offset),
    attempts,
    error: fromErrorRecord(error satisfies ErrorRecord),
  };
}
