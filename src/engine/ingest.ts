/**
 * Accepting events: from a push call into the rings of the shards, in call order.
 *
 * There is one queue of pushes for all shards. A push that meets a full ring waits at its head, and all
 * later pushes wait behind it: were they let past, events of one source could reach a shard out of
 * order, and the later offset would make the earlier one look like a duplicate. So a shard that cannot
 * keep up slows the producer, which is what backpressure means here.
 *
 * The main thread accepts only so many events and bytes in one turn of the event loop; a producer whose pushes all
 * succeed at once would otherwise keep timers and sockets from ever being served. A push that is beyond that measure
 * is written all the same, up to a second one, and answered in the next turn: to let it wait would mean to copy it.
 */
import { systemClock } from '../clock.ts';
import type { TidemarkError } from '../error.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT, RECORD, recordBytes } from '../memory/ingest-ring.ts';
import type { Aside } from './aside.ts';
import { define, defineStream, definitionBytes } from './definitions.ts';
import type { Event } from './event.ts';
import { payloadBytes } from './event-checks.ts';
import { copiesFrom } from './event-copies.ts';
import { writeEvent } from './event-records.ts';
import type { SourceProgress } from './frontiers.ts';
import {
  announce,
  HELD_OUT,
  type Marks,
  type QueuedPush,
  type StreamRequest,
  withdraw,
} from './queued-push.ts';
import { type RoutedStream, type Router, shardOf } from './router.ts';
import type { ShardHandle } from './shard-handle.ts';

const EVENTS_PER_TURN = 512;
const BYTES_PER_TURN = 2 ** 20;
/** As many times these are written in one turn for calls, before anything has to wait. */
const TURNS_AHEAD = 4;
/** Done pushes that may stay in the queue. */
const TRIM_MIN = 64;

/** Events that have passed the checks. */
export interface CheckedBatch {
  readonly events: readonly Event[];
  /** The stream of each, undefined where it was new. */
  readonly streams: readonly (RoutedStream | undefined)[];
}

export interface IngestPorts {
  readonly memory: EngineMemory;
  readonly router: Router;
  readonly shards: readonly ShardHandle[];
  /** A push waits for so many bytes of room on the shard. */
  readonly onFull: (shard: number, bytes: number) => void;
  /** An event of a stream that is set aside. */
  readonly holdOut: (aside: Aside, event: Event) => void;
  /** Calls back in a later turn of the event loop. */
  readonly defer: (callback: () => void) => void;
}

export class Ingest {
  accepted = 0;
  readonly #ports: IngestPorts;
  #queue: QueuedPush[] = [];
  /** The push at the head of the queue; those before it are done. */
  #first = 0;
  #turnEvents = 0;
  #turnBytes = 0;
  #isTurnEnding = false;
  /** Answers of pushes that are accepted, but were beyond the measure of the turn. */
  #answers: (() => void)[] = [];
  /** The shard whose ring was full last. */
  #fullShard: ShardHandle | undefined;
  /** Of the last event: most events come from the same source as the one before. */
  #source: SourceProgress | undefined;

  constructor(ports: IngestPorts) {
    this.#ports = ports;
  }

  get isWaiting(): boolean {
    return this.#first < this.#queue.length;
  }

  /** Accepts one checked event now, or answers false and leaves nothing of it behind. */
  tryAccept(event: Event, isDurable: boolean): boolean {
    if (this.isWaiting) return false;
    const known = this.#ports.router.stream(event.stream);
    if (!this.#isDefined(known, event.source) && !this.#hasRoomForAll(event, known)) return false;
    const shard = this.#write(event, known, isDurable);
    shard?.publish();
    return shard !== undefined;
  }

  /** Whether as much was accepted in this turn as should be; `accept` then waits for the next. */
  get isTurnOver(): boolean {
    return this.#isBeyond(1);
  }

  /** Resolves when all events of a batch are accepted. `onReject` makes the error when they never will be. */
  accept(
    { events, streams }: CheckedBatch,
    marks: Marks | undefined,
    onReject: (accepted: number) => Error,
  ): Promise<void> {
    return this.#enqueue({ events, streams, marks, request: undefined }, onReject);
  }

  /** Resolves when the request to checkpoint `stream` is in its ring, behind all that was pushed before. */
  requestCheckpoint(stream: RoutedStream, marks: Marks, onReject: () => Error): Promise<void> {
    const request = { kind: RECORD.checkpointStream, stream };
    return this.#enqueue({ events: [], streams: [], marks, request }, onReject);
  }

  /** Resolves when the request to forget a detached `stream` is in its ring, behind all that was pushed before. */
  requestForget(stream: RoutedStream, onReject: () => Error): Promise<void> {
    const request = { kind: RECORD.forgetStream, stream };
    return this.#enqueue({ events: [], streams: [], marks: undefined, request }, onReject);
  }

  /**
   * Resolves when a stream that was set aside goes on: behind what waits now and is held out of it, and before what
   * is pushed later, come the events that `take` returns then.
   */
  requestResume(
    stream: RoutedStream,
    take: () => readonly Event[],
    givenUp: readonly string[],
    marks: Marks,
    onReject: () => Error,
  ): Promise<void> {
    const request = { kind: RECORD.resumeStream, stream, take, givenUp: [...givenUp] };
    return this.#enqueue({ events: [], streams: [], marks, request }, onReject);
  }

  /** Resolves when the shard can know that a skipped event of the stream, which is not detached, is delivered. */
  requestDelivered(stream: RoutedStream, sequence: string, onReject: () => Error): Promise<void> {
    const request = { kind: RECORD.letterDelivered, stream, text: sequence };
    return this.#enqueue({ events: [], streams: [], marks: undefined, request }, onReject);
  }

  /** Goes on with the queue; called whenever room may have come. */
  resume(): void {
    while (this.isWaiting) {
      const head = this.#queue[this.#first] as QueuedPush;
      if (!this.#advance(head)) break;
      this.#first++;
      this.#answer(head);
    }
    this.#trim();
  }

  /** Nothing will be accepted any more: every waiting push learns how far it came. */
  failAll(): void {
    const queue = this.#queue.slice(this.#first);
    this.#queue = [];
    this.#first = 0;
    for (const push of queue) push.reject(push.rejection(push.next));
  }

  /**
   * Rejects what waits for room on a shard that itself waits for memory, if the first push of it has waited since
   * `before`, or longer. The pushes behind that go with it: were they accepted, the events of a source would come out of
   * order, and the rejected ones could not be pushed again. A stream that is to be forgotten still will be, and one that
   * was set aside goes on.
   */
  failLate(reason: () => TidemarkError, before: number): void {
    const waiting = this.#queue.slice(this.#first);
    const isBound = ({ isAccepted, request }: QueuedPush): boolean =>
      isAccepted || request?.kind === RECORD.forgetStream;
    // What is kept may have stayed from an earlier time: those behind it wait anew.
    const first = waiting.find((push) => !isBound(push));
    if (first === undefined || first.since > before || this.#fullShard?.memoryRequest === undefined) return;
    const isKept = (push: QueuedPush): boolean =>
      isBound(push) || (push.events.length === 0 && push.since > before);
    this.#queue = waiting.filter(isKept);
    this.#first = 0;
    // It may leave with the pushes.
    this.#source = undefined;
    const named = new Set(this.#queue.flatMap(({ request }) => request?.stream ?? []));
    for (const push of waiting) {
      if (isKept(push)) continue;
      withdraw(push, this.#ports.router, named);
      const error = reason();
      if (push.events.length > 0) error.accepted = push.next;
      push.reject(error);
    }
  }

  #enqueue(
    push: Pick<QueuedPush, 'events' | 'streams' | 'marks' | 'request'>,
    onReject: (accepted: number) => Error,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const queued: QueuedPush = {
        ...push,
        next: 0,
        isAnnounced: false,
        isAccepted: push.request?.kind === RECORD.resumeStream,
        resolve,
        since: systemClock.now(),
        reject,
        rejection: onReject,
      };
      this.#queue.push(queued);
      if (this.#queue.length === this.#first + 1) this.resume();
      if (!this.isWaiting) return;
      // Still in the caller's call: once it has returned, the array, the events and their bytes may change. The
      // copies take as much memory as the caller pushes without awaiting it, which is the caller's to bound.
      queued.events = copiesFrom(queued.next, queued.events);
      announce(queued, this.#ports.router);
    });
  }

  /** Drops what is done from the queue once that is most of it: to shift each would move all that wait. */
  #trim(): void {
    // Nothing waits: nothing of what was pushed may be held.
    const isDone = this.#first === this.#queue.length;
    if (!isDone && (this.#first < TRIM_MIN || this.#first * 2 < this.#queue.length)) return;
    this.#queue = this.#queue.slice(this.#first);
    this.#first = 0;
  }

  /** Writes what it can of a push; true when it is complete. */
  #advance(push: QueuedPush): boolean {
    if (push.request?.take !== undefined && !this.#resumeStream(push, push.request.take)) return false;
    const touched = new Set<ShardHandle>();
    let isComplete = true;
    while (push.next < push.events.length) {
      if (this.#isBeyond(push.isAnnounced ? 1 : TURNS_AHEAD)) {
        this.#endTurn();
        isComplete = false;
        break;
      }
      const event = push.events[push.next] as Event;
      const known = push.streams[push.next];
      const shard = this.#write(event, known, push.marks !== undefined);
      if (shard === undefined) {
        isComplete = false;
        break;
      }
      // It was when it was held out.
      if (push.isAccepted) this.accepted--;
      if (push.marks !== undefined)
        this.#mark(push.marks, known ?? (this.#ports.router.stream(event.stream) as RoutedStream));
      if (push.isAnnounced) this.#noteAccepted(event);
      touched.add(shard);
      push.next++;
    }
    if (isComplete && push.request !== undefined) isComplete = this.#writeRequest(push.request, push.marks);
    for (const shard of touched) shard.publish();
    return isComplete;
  }

  /** Writes the request; what the stream goes on with, which was accepted long ago, is events of the push then. */
  #resumeStream(push: QueuedPush, take: () => readonly Event[]): boolean {
    const request = push.request as StreamRequest;
    if (!this.#writeRequest(request, undefined)) return false;
    push.request = undefined;
    push.events = take();
    if (push.marks !== undefined) this.#mark(push.marks, request.stream);
    push.streams = push.events.map(() => request.stream);
    announce(push, this.#ports.router);
    return true;
  }

  #noteAccepted({ source, offset }: Event): void {
    if (source !== undefined && offset !== undefined) this.#ports.router.source(source)?.onWaited(offset);
  }

  #mark(marks: Marks, stream: RoutedStream): void {
    marks.set(stream, stream.aside === undefined ? stream.pushed : HELD_OUT);
  }

  #isBeyond(turns: number): boolean {
    return this.#turnEvents >= turns * EVENTS_PER_TURN || this.#turnBytes >= turns * BYTES_PER_TURN;
  }

  #answer({ marks, resolve }: QueuedPush): void {
    // Who waits for marks has to do so before a stream of theirs can be set aside and go on: they would name other events.
    if (marks === undefined && this.isTurnOver) {
      this.#answers.push(resolve);
      this.#endTurn();
    } else resolve();
  }

  #endTurn(): void {
    if (this.#isTurnEnding) return;
    this.#isTurnEnding = true;
    this.#ports.defer(() => {
      this.#isTurnEnding = false;
      this.#turnEvents = 0;
      this.#turnBytes = 0;
      for (const resolve of this.#answers.splice(0)) resolve();
      this.resume();
    });
  }

  /** The shard that has the event now, or undefined while its ring is full. */
  #write(event: Event, known: RoutedStream | undefined, isDurable: boolean): ShardHandle | undefined {
    const { router } = this.#ports;
    const stream = known ?? router.stream(event.stream) ?? router.addStream(event.stream);
    const shard = this.#ports.shards[stream.shard] as ShardHandle;
    if (stream.aside !== undefined) return this.#holdOut(stream, stream.aside, event);
    if (!defineStream(this.#ports.memory, shard, stream))
      return this.#full(shard, definitionBytes(stream.name));
    const source = event.source === undefined ? undefined : this.#sourceOf(event.source);
    if (source !== undefined && source.isDefinedOn[stream.shard] !== true) {
      if (!define(this.#ports.memory, shard, RECORD.defineSource, source.index, source.name))
        return this.#full(shard, definitionBytes(source.name));
      source.isDefinedOn[stream.shard] = true;
    }
    const content = payloadBytes(event.payload);
    const bytes = recordBytes(AT.payload, content);
    const address = shard.ring.reserve(bytes);
    if (address === 0) return this.#full(shard, bytes);
    writeEvent(this.#ports.memory, event, { address, bytes, content, stream, source, isDurable });
    this.accepted++;
    this.#turnEvents++;
    this.#turnBytes += bytes;
    return shard;
  }

  #holdOut(stream: RoutedStream, aside: Aside, event: Event): ShardHandle {
    this.#ports.holdOut(aside, event);
    stream.noteEvent(event.sequence !== undefined);
    this.accepted++;
    this.#turnEvents++;
    this.#turnBytes += payloadBytes(event.payload);
    return this.#ports.shards[stream.shard] as ShardHandle;
  }

  /** Whether the shard of the stream has both names. */
  #isDefined(stream: RoutedStream | undefined, source: string | undefined): boolean {
    if (stream?.isDefined !== true) return false;
    return source === undefined || this.#knownSource(source)?.isDefinedOn[stream.shard] === true;
  }

  /**
   * Whether an event fits the ring together with the definitions that it needs; the shard can only make more room
   * before they are written. An empty ring that is too small for all at once is to take one after the other: to be
   * refused for ever would be worse than a definition that is early.
   */
  #hasRoomForAll({ stream, source, payload }: Event, known: RoutedStream | undefined): boolean {
    const index = known?.shard ?? shardOf(stream, this.#ports.shards.length);
    const shard = this.#ports.shards[index] as ShardHandle;
    const sizes: number[] = [];
    if (known?.isDefined !== true) sizes.push(definitionBytes(stream));
    if (source !== undefined && this.#knownSource(source)?.isDefinedOn[index] !== true)
      sizes.push(definitionBytes(source));
    sizes.push(recordBytes(AT.payload, payloadBytes(payload)));
    const needed = shard.ring.neededFor(sizes);
    if (shard.ring.hasRoom(needed) || shard.ring.usedBytes === 0) return true;
    this.#full(shard, 0, needed);
    return false;
  }

  #knownSource(name: string): SourceProgress | undefined {
    if (this.#source?.name !== name) this.#source = this.#ports.router.source(name);
    return this.#source;
  }

  #sourceOf(name: string): SourceProgress {
    this.#source = this.#knownSource(name) ?? this.#ports.router.addSource(name);
    return this.#source;
  }

  /** A record of `bytes`, or several that take `needed` bytes of the ring, are to wait. */
  #full(shard: ShardHandle, bytes: number, needed = shard.ring.neededFor([bytes])): undefined {
    // What was written so far has to be seen, or the shard would never make room.
    shard.publish();
    this.#fullShard = shard;
    this.#ports.onFull(shard.index, Math.min(needed, shard.ring.capacity));
    return undefined;
  }

  #writeRequest({ givenUp = [], kind, stream, text = '' }: StreamRequest, marks: Marks | undefined): boolean {
    const shard = this.#ports.shards[stream.shard] as ShardHandle;
    // Its first event may have waited in vain.
    if (!defineStream(this.#ports.memory, shard, stream)) {
      this.#full(shard, definitionBytes(stream.name));
      return false;
    }
    const all = [...givenUp.map((what) => ({ of: RECORD.giveUp, what })), { of: kind, what: text }];
    for (const { of, what } of all) {
      if (define(this.#ports.memory, shard, of, stream.index, what)) givenUp.shift();
      else {
        this.#full(shard, definitionBytes(what));
        return false;
      }
    }
    if (kind === RECORD.resumeStream) {
      stream.resumedAt = shard.ring.written;
      stream.pushed++;
    }
    shard.publish();
    if (marks !== undefined) this.#mark(marks, stream);
    return true;
  }
}
