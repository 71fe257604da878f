/**
 * A stream that is set aside: the event at which it was, and those that have come for it since, in their order. What is
 * held out pins the frontiers of its sources, so that a crash loses nothing of it. Main thread only.
 */
import { type ErrorRecord, fromErrorRecord } from '../error.ts';
import type { FaultText, GivenUpText } from '../shard/letters.ts';
import type { Event, U64 } from './event.ts';
import { nextOffsetOf, payloadBytes } from './event-checks.ts';
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
  /** The stream was restored as one that is set aside: its events come again from their sources. */
  readonly isRestored: boolean;
  /** Bytes of the events that are held out, about. */
  bytes = 0;
  /** Events for which there was no room; there are none behind the first of these. */
  dropped = 0;
  /** The stream is to go on, as soon as its shard can be told. */
  isEnding = false;
  #events: Event[] = [];
  /** Of the events that are given up, or were dropped: the greatest next offset of each source, and sequence. */
  readonly #gone = new Map<string, U64>();
  #goneSequence: U64 | undefined;
  readonly #budget: HeldOutBytes;
  readonly #pins = new Map<string, { readonly offset: U64; readonly release: () => void }>();

  constructor(fault: Fault, seen: number, isRestored: boolean, budget: HeldOutBytes) {
    this.fault = fault;
    this.seen = seen;
    this.isRestored = isRestored;
    this.#budget = budget;
  }

  get held(): number {
    return this.#events.length;
  }

  /** No frontier of the source is past `offset` from here on, until `release`. */
  pin(source: string, offset: U64, router: Router): void {
    const pin = this.#pins.get(source);
    // Behind a restart what comes again may lie before the event of the fault.
    if (pin !== undefined && pin.offset <= offset) return;
    const { hold } = router.source(source) ?? router.addSource(source);
    const release = hold(offset);
    pin?.release();
    this.#pins.set(source, { offset, release });
  }

  /** Holds out events that are nobody else's. */
  add(events: Iterable<Event>, router: Router): void {
    for (const event of events) this.#add(event, router);
  }

  /** Holds out an event that the caller may use again. */
  addCopy(event: Event, router: Router): void {
    this.#add(this.dropped > 0 ? event : (copiesFrom(0, [event])[0] as Event), router);
  }

  /**
   * Gives up the event of the fault, or does nothing if that is gone for good. False: it has not come again yet from its
   * source, since the stream was restored.
   */
  giveUpFault(): boolean {
    const { offset, sequence, source } = this.fault;
    // Behind a restart, duplicates may come before it.
    const isFault = (event: Event): boolean =>
      event.source === source &&
      (source === undefined || BigInt(event.offset as U64) === offset) &&
      (event.sequence === undefined ? source !== undefined : BigInt(event.sequence) === sequence);
    const at = this.isRestored ? this.#events.findIndex(isFault) : 0;
    if (at < 0) return source === undefined;
    const [gone] = this.#events.splice(at, 1);
    this.#noteGone(gone as Event);
    this.bytes -= bytesOf(gone as Event);
    this.#budget.used -= bytesOf(gone as Event);
    return true;
  }

  /** Gives up all that is held out. */
  giveUp(): void {
    for (const event of this.take()) this.#noteGone(event);
    this.dropped = 0;
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
    for (const { release } of this.#pins.values()) release();
    this.#pins.clear();
  }

  /** What was given up, as records for the shard say it: a crash may have the sources bring it again. */
  givenUp(): string[] {
    const texts: GivenUpText[] = [...this.#gone].map(([source, nextOffset]) => ({
      source,
      nextOffset: `${nextOffset}`,
    }));
    if (this.#goneSequence !== undefined) texts.push({ sequence: `${this.#goneSequence}` });
    return texts.map((text) => JSON.stringify(text));
  }

  #noteGone({ nextOffset, offset, sequence, source }: Event): void {
    if (sequence !== undefined && sequence > (this.#goneSequence ?? -1)) this.#goneSequence = sequence;
    if (source === undefined || offset === undefined) return;
    const next = nextOffsetOf(offset, nextOffset);
    if (next > (this.#gone.get(source) ?? -1)) this.#gone.set(source, next);
  }

  #add(event: Event, router: Router): void {
    const { source, offset } = event;
    if (source !== undefined && offset !== undefined) this.pin(source, offset, router);
    const bytes = bytesOf(event);
    // The event of the fault is what everything else hangs on.
    const fits = this.#budget.used + bytes <= this.#budget.max || this.held === 0 || this.isEnding;
    if (this.dropped > 0 || !fits) {
      this.dropped++;
      this.#noteGone(event);
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
