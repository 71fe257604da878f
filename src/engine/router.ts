/**
 * Which stream lives on which shard, and the numbers under which both threads know streams and sources.
 * Routing is sticky: a stable hash of the name, so that a stream finds its shard again after a restart
 * with the same number of shards, and needs no table if that number changes.
 */

import { encodeUtf8 } from '../codec/utf8.ts';
import { xxh64Into } from '../codec/xxh64.ts';
import { TidemarkError } from '../error.ts';
import { IndexedStream } from '../store/stored-frame.ts';
import type { Aside } from './aside.ts';
import type { DurabilityWaiter } from './durability.ts';
import { SourceProgress } from './frontiers.ts';

/** What a checkpoint has of its stream. */
export interface Checkpointed {
  /** All records of the stream before this position of the ring. */
  readonly position: number;
  /** Its events read in this life, duplicates included. */
  readonly seen: number;
  /** Its events applied in all lives. */
  readonly count: number;
}

/** An event that was skipped. */
export interface PendingLetter {
  /** What its shard says of it, as JSON. */
  readonly json: string;
  /** It is being delivered; otherwise it was not in an earlier life, and comes again. */
  readonly isUnderWay: boolean;
}

/** A stream as the main thread knows it. What a push reads and writes stands together: it meets few cache lines so. */
export class RoutedStream extends IndexedStream {
  /** Its number among the streams of its shard: another one has it only after `Router.release`. */
  readonly index: number;
  /** The shard's ring holds its definition, or the shard restored it. */
  isDefined = false;
  /** It is set aside, and events that are pushed to it are held out. */
  aside: Aside | undefined;
  /** As it is set aside, or was last. */
  lastAside: Aside | undefined;
  /** It was restored, or had an event; not if the ring never had room for the first one. */
  hasEvents = false;
  /** Whether its events bring their sequences; undefined before the first one of this life. */
  bringsSequences: boolean | undefined;
  /** Events pushed, duplicates included, in this life; that it goes on after it was set aside counts as one. */
  pushed = 0;
  /** Of these, the ones that a durable (memory only: stored) checkpoint covers. */
  settled = 0;
  waiters: DurabilityWaiter[] | undefined;
  isRestored = false;
  /** What its newest checkpoint of this life has; undefined: there is none. */
  checkpointed: Checkpointed | undefined;
  /** Events of it that were skipped and are not delivered yet, by their sequences. */
  letters: Map<string, PendingLetter> | undefined;
  /** Position of its shard's ring behind its definition: records before that name another stream. */
  definedAt = 0;
  /** Position of its shard's ring behind the record with which it last went on after it was set aside. */
  resumedAt = 0;

  constructor(name: string, shard: number, index: number) {
    super(name, shard);
    this.index = index;
  }

  /** An event is accepted, or waits to be. */
  noteEvent(bringsSequence: boolean): void {
    this.hasEvents = true;
    this.bringsSequences = bringsSequence;
  }

  /** None of its events waits any more that is not accepted. */
  withdrawEvents(): void {
    if (this.pushed > 0) return;
    this.hasEvents = this.isRestored;
    this.bringsSequences = undefined;
  }
}

export class Router {
  /** What was read ahead of streams, for no other use. */
  fetched = 0;
  readonly #shards: number;
  readonly #streams = new Map<string, RoutedStream>();
  /** By number; undefined where a number is free. */
  readonly #byShard: (RoutedStream | undefined)[][];
  readonly #freeNumbers: number[][];
  readonly #sources = new Map<string, SourceProgress>();
  readonly #sourceByIndex: SourceProgress[] = [];

  constructor(shards: number) {
    this.#shards = shards;
    this.#byShard = Array.from({ length: shards }, () => []);
    this.#freeNumbers = Array.from({ length: shards }, () => []);
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  get sourceCount(): number {
    return this.#sources.size;
  }

  stream(name: string): RoutedStream | undefined {
    return this.#streams.get(name);
  }

  /** @throws ERR_TIDEMARK_NOT_FOUND for a stream that never had an event */
  requireStream(name: string): RoutedStream {
    const stream = this.#streams.get(name);
    if (stream?.hasEvents === true) return stream;
    throw new TidemarkError('ERR_TIDEMARK_NOT_FOUND', `no stream '${name}' is known`);
  }

  /** The streams of a shard by their numbers; undefined where a number is free. */
  streamsOn(shard: number): readonly (RoutedStream | undefined)[] {
    return this.#byShard[shard] as (RoutedStream | undefined)[];
  }

  streamAt(shard: number, index: number): RoutedStream {
    return (this.#byShard[shard] as (RoutedStream | undefined)[])[index] as RoutedStream;
  }

  addStream(name: string): RoutedStream {
    const shard = shardOf(name, this.#shards);
    const peers = this.#byShard[shard] as (RoutedStream | undefined)[];
    const index = (this.#freeNumbers[shard] as number[]).pop() ?? peers.length;
    const stream = new RoutedStream(name, shard, index);
    peers[index] = stream;
    this.#streams.set(name, stream);
    return stream;
  }

  /** The name is free for a new stream; the shard still knows this one by its number. */
  detach(stream: RoutedStream): void {
    this.#streams.delete(stream.name);
  }

  /** The shard has given up a detached stream and told all there was to tell: its number is free. */
  release({ shard, index }: RoutedStream): void {
    (this.#byShard[shard] as (RoutedStream | undefined)[])[index] = undefined;
    (this.#freeNumbers[shard] as number[]).push(index);
  }

  /** Takes a stream away again of which no shard has heard, unless it is detached. */
  removeUnused(stream: RoutedStream): void {
    if (stream.hasEvents || stream.isDefined || this.#streams.get(stream.name) !== stream) return;
    this.detach(stream);
    this.release(stream);
  }

  streams(): IterableIterator<RoutedStream> {
    return this.#streams.values();
  }

  source(name: string): SourceProgress | undefined {
    return this.#sources.get(name);
  }

  sourceAt(index: number): SourceProgress {
    return this.#sourceByIndex[index] as SourceProgress;
  }

  addSource(name: string, restored?: bigint): SourceProgress {
    const source = new SourceProgress(this.#sourceByIndex.length, name, restored);
    this.#sourceByIndex.push(source);
    this.#sources.set(name, source);
    return source;
  }

  /**
   * Takes sources away again that only rejected pushes have named. Whatever waited behind those was rejected, too, so
   * they are the last ones, and the numbers that are left have no gaps.
   */
  removeUnusedSources(): void {
    for (let last = this.#sourceByIndex.at(-1); last?.isUnused === true; last = this.#sourceByIndex.at(-1)) {
      this.#sourceByIndex.pop();
      this.#sources.delete(last.name);
    }
  }

  sources(): IterableIterator<SourceProgress> {
    return this.#sources.values();
  }
}

const hash = new Uint32Array(2);

/** The shard of a stream: the low 32 bits of the XXH64 of its name's UTF-8, modulo the number of shards. */
export function shardOf(stream: string, shards: number): number {
  if (shards === 1) return 0;
  const bytes = encodeUtf8(stream, 'stream');
  xxh64Into(bytes, 0, bytes.length, hash);
  return (hash[0] as number) % shards;
}
