/**
 * Streams that are set aside because an event of theirs fails time after time, and events that are skipped. The shard
 * has the state before the event; here is what is held out of the stream since, until somebody decides. Main thread only.
 *
 * An entry about an event comes before the source's progress past it, and pins the source's frontier before that can
 * rise. From then on no event of the stream is written to the ring; those that are in it behind the event are copied
 * here, and the shard passes them by. When the stream goes on, its events are pushed once more, behind a record that
 * says so. Their offsets are out of order then, so the pins stay until they are durable.
 */
import { TidemarkError } from '../error.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { FaultText } from '../shard/letters.ts';
import { Aside, type Fault, faultOf, type HeldOutBytes } from './aside.ts';
import type { Durability } from './durability.ts';
import type { Event } from './event.ts';
import { nextOffsetOf } from './event-checks.ts';
import type { QuarantineEvent } from './metrics.ts';
import { eventsFrom } from './ring-events.ts';
import type { RoutedStream, Router } from './router.ts';
import type { ShardHandle } from './shard-handle.ts';

/** A stream in quarantine. */
export interface QuarantinedStream extends Omit<QuarantineEvent, 'stream'> {
  readonly stream: string;
  /** Events that are held out, the one at which the stream was set aside among them, and their bytes. */
  readonly heldEvents: number;
  readonly heldBytes: number;
  /** Events for which there was no room: they have to come again from their sources, after a restart of the engine. */
  readonly droppedEvents: number;
}

/** An event that is skipped, and why. */
export interface DeadLetter extends Event {
  readonly payload: Uint8Array;
  readonly sequence: bigint;
  readonly attempts: number;
  readonly error: Error;
}

/** What a shard says of an event of `stream`, or of a stream that it has restored. */
export interface FaultEntry {
  readonly kind: 'aside' | 'skipped';
  readonly stream: RoutedStream;
  /** Events of the stream read before it, in this life. */
  readonly seen: number;
  /** Position of its record in the ring. */
  readonly position: number;
  readonly isRestored: boolean;
  /** Where its JSON lies in memory. */
  readonly address: number;
  readonly bytes: number;
}

export interface QuarantinePorts {
  readonly memory: EngineMemory;
  readonly router: Router;
  readonly durability: Durability;
  /** Bytes that all streams together may hold out. */
  readonly bytesMax: number;
  readonly onDeadLetter: ((letter: DeadLetter) => unknown) | undefined;
  readonly onQuarantine: (event: QuarantineEvent) => void;
  /** As `Waits.untilResumed`. */
  readonly resume: (
    stream: RoutedStream,
    take: () => readonly Event[],
    givenUp: readonly string[],
    onDurable: () => void,
  ) => Promise<void>;
  /** Has the shard of the stream know that the event of that sequence, which was skipped, is delivered. */
  readonly tellDelivered: (stream: RoutedStream, sequence: string) => void;
  readonly onError: (error: unknown) => void;
}

export class Quarantine {
  /** Events that were skipped in this life. */
  skipped = 0;
  readonly #ports: QuarantinePorts;
  readonly #streams = new Set<RoutedStream>();
  readonly #budget: HeldOutBytes;

  constructor(ports: QuarantinePorts) {
    this.#ports = ports;
    this.#budget = { max: ports.bytesMax, used: 0 };
  }

  onFault(shard: ShardHandle, entry: FaultEntry): void {
    const { memory, router } = this.#ports;
    const { address, bytes, kind, position, stream } = entry;
    const json = Buffer.from(memory.u8.slice(address, address + bytes)).toString('utf8');
    shard.returnFrame(address, bytes);
    if (entry.isRestored && kind === 'skipped') {
      this.#restoreLetters(stream, json);
      return;
    }
    const fault = withCause(shard, entry, faultOf(json));
    const events = entry.isRestored ? [] : eventsFrom(position, { memory, router, shard, stream });
    if (kind === 'aside') this.#setAside(entry, fault, events);
    else
      for (const event of events) {
        this.#skip(stream, event, fault, json);
        break;
      }
    // All that is to be copied is.
    if (!entry.isRestored) shard.takeFault(position);
  }

  /** An event is pushed to a stream that is set aside. */
  holdOut(aside: Aside, event: Event): void {
    const { router } = this.#ports;
    if (event.source !== undefined && event.offset !== undefined) {
      const source = router.source(event.source) ?? router.addSource(event.source);
      source.onHeldOut(event.offset, nextOffsetOf(event.offset, event.nextOffset));
    }
    aside.addCopy(event, router);
  }

  list(): QuarantinedStream[] {
    return [...this.#streams].map((stream) => {
      const { bytes, dropped, fault, held } = stream.aside as Aside;
      return { stream: stream.name, ...fault, heldEvents: held, heldBytes: bytes, droppedEvents: dropped };
    });
  }

  /** @throws ERR_TIDEMARK_NOT_FOUND, ERR_TIDEMARK_NEEDS_REPLAY, ERR_TIDEMARK_QUARANTINED when it fails again */
  async retry(name: string): Promise<void> {
    const { stream, aside } = this.#require(name);
    if (aside.dropped > 0) throw needsReplay(name, aside);
    await this.#resume(stream, aside);
  }

  /** As `retry`, without the event of the fault. */
  async skip(name: string): Promise<void> {
    const { stream, aside } = this.#require(name);
    if (aside.dropped > 0) throw needsReplay(name, aside);
    if (!aside.giveUpFault()) throw notReadAgain(name, aside);
    await this.#resume(stream, aside, aside.givenUp());
  }

  /** Gives up what is held out. @throws ERR_TIDEMARK_NOT_FOUND */
  async drop(name: string): Promise<number> {
    const { stream, aside } = this.#require(name);
    const count = aside.held + aside.dropped;
    aside.giveUp();
    await this.#resume(stream, aside, aside.givenUp());
    return count;
  }

  /** The stream is forgotten, in the store too. */
  onForgotten(stream: RoutedStream): void {
    stream.aside?.release();
    stream.aside = undefined;
  }

  /** The stream is to be forgotten: nothing that is held out will be needed; frontiers stay pinned until it is. */
  onDetached(stream: RoutedStream): void {
    stream.aside?.take();
    this.#streams.delete(stream);
  }

  #setAside({ isRestored, seen, stream }: FaultEntry, fault: Fault, events: Iterable<Event>): void {
    const { durability, onQuarantine, router } = this.#ports;
    const aside = new Aside(fault, seen, isRestored, this.#budget);
    stream.aside = aside;
    stream.lastAside = aside;
    if (isRestored && fault.source !== undefined && fault.offset !== undefined)
      aside.pin(fault.source, fault.offset, router);
    aside.add(events, router);
    durability.failBeyond(stream, seen, () => quarantined(stream.name, aside));
    // Who has begun to forget it has heard enough of it.
    if (router.stream(stream.name) !== stream) return;
    this.#streams.add(stream);
    if (!isRestored) onQuarantine({ stream: stream.name, ...fault });
  }

  /** Those that are before the frontier were delivered. */
  #restoreLetters(stream: RoutedStream, json: string): void {
    stream.letters = new Map();
    for (const letter of JSON.parse(json) as FaultText[]) {
      const position = this.#ports.router.source(letter.source as string)?.restored ?? 0n;
      stream.letters.set(letter.sequence, { json: JSON.stringify(letter), isUnderWay: false });
      if (BigInt(letter.offset as string) < position) this.#onDelivered(stream, letter.sequence);
    }
  }

  #onDelivered(stream: RoutedStream, sequence: string): void {
    const { router, tellDelivered } = this.#ports;
    // One that is to be forgotten has no letters in any later checkpoint.
    if (stream.letters?.delete(sequence) === true && router.stream(stream.name) === stream)
      tellDelivered(stream, sequence);
  }

  #skip(stream: RoutedStream, event: Event, fault: Fault, json: string): void {
    const { onDeadLetter, onError, router } = this.#ports;
    const { attempts, error, sequence } = fault;
    const key = `${sequence}`;
    // A duplicate of it has come.
    if (stream.letters?.get(key)?.isUnderWay === true) return;
    this.skipped++;
    if (event.source !== undefined) {
      stream.letters ??= new Map();
      stream.letters.set(key, { json, isUnderWay: true });
    }
    if (onDeadLetter === undefined) {
      this.#onDelivered(stream, key);
      return;
    }
    const letter = { ...event, payload: event.payload as Uint8Array, sequence, attempts, error };
    // Until it is delivered a crash has to bring it again.
    const { source, offset } = event;
    const unpin =
      source === undefined || offset === undefined ? undefined : router.source(source)?.hold(offset);
    // A rejection, too, fails the engine.
    void (async () => {
      try {
        await onDeadLetter(letter);
        unpin?.();
        this.#onDelivered(stream, key);
      } catch (cause) {
        onError(undeliverable(letter, cause));
      }
    })();
  }

  async #resume(stream: RoutedStream, aside: Aside, givenUp: readonly string[] = []): Promise<void> {
    this.#streams.delete(stream);
    aside.isEnding = true;
    // Until the shard is told it passes the stream's events by, so they are held out: those, too, that wait for room now.
    const take = (): readonly Event[] => {
      stream.aside = undefined;
      return aside.take();
    };
    await this.#ports.resume(stream, take, givenUp, () => aside.release());
  }

  #require(name: string): { stream: RoutedStream; aside: Aside } {
    const stream = this.#ports.router.requireStream(name);
    if (stream.aside !== undefined && this.#streams.has(stream)) return { stream, aside: stream.aside };
    throw new TidemarkError('ERR_TIDEMARK_NOT_FOUND', `stream '${name}' is not in quarantine`);
  }
}

/** An event that ended threads was not seen to: main knows the error itself, which the shard had only in words. */
function withCause(shard: ShardHandle, { isRestored, position }: FaultEntry, fault: Fault): Fault {
  const error = isRestored ? undefined : shard.faults.get(position)?.cause;
  return error === undefined ? fault : { ...fault, error };
}

/** What is pushed to a stream in quarantine, and waits to be durable, is told so. */
export function quarantined(name: string, { fault }: Aside): TidemarkError {
  const at = fault.source === undefined ? '' : `, offset ${fault.offset} of '${fault.source}'`;
  return new TidemarkError(
    'ERR_TIDEMARK_QUARANTINED',
    `stream '${name}' is in quarantine at sequence ${fault.sequence}${at}: ${reasonOf(fault.error)}; what is pushed to it is held out until engine.retry, engine.skip or engine.drop`,
    { cause: fault.error },
  );
}

/** With what the operator threw. */
function reasonOf({ cause, message }: Error): string {
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}

function needsReplay(name: string, { dropped, fault }: Aside): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_NEEDS_REPLAY',
    `${dropped} events of stream '${name}' were dropped when quarantineBytes were used up: open the engine anew, retry first, then read the sources again from their positions, or raise quarantineBytes`,
    { cause: fault.error },
  );
}

function notReadAgain(name: string, { fault }: Aside): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_NEEDS_REPLAY',
    `the event at offset ${fault.offset} of '${fault.source}', at which stream '${name}' was set aside, has not come again since the engine was opened: read the source from its position first`,
    { cause: fault.error },
  );
}

function undeliverable({ sequence, stream }: DeadLetter, cause: unknown): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_DEAD_LETTER',
    `onDeadLetter did not take the event at sequence ${sequence} of stream '${stream}'; it comes again after a restart`,
    { cause },
  );
}
