/** An ingest over the rings of shards that have no thread: the test reads the records itself. */
import type { Event } from '../../src/engine/event.ts';
import { Ingest } from '../../src/engine/ingest.ts';
import type { Marks } from '../../src/engine/queued-push.ts';
import { type RoutedStream, Router } from '../../src/engine/router.ts';
import { ShardHandle } from '../../src/engine/shard-handle.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { AT, FLAG, IngestReader, RECORD } from '../../src/memory/ingest-ring.ts';
import { planArenas, WORD } from '../../src/memory/layout.ts';

/** A record as a shard reads it, with names in place of numbers. */
export type ReadRecord =
  | {
      readonly kind: 'event';
      readonly stream: string;
      readonly payload: string;
      readonly sequence: bigint | undefined;
      readonly watermarkNs: bigint;
      readonly source: string | undefined;
      readonly offset: bigint | undefined;
      readonly nextOffset: bigint | undefined;
      readonly isDurable: boolean;
    }
  | { readonly kind: 'stream' | 'source'; readonly index: number; readonly name: string }
  | { readonly kind: 'checkpoint' | 'forget'; readonly stream: string };

export class IngestBench {
  readonly router: Router;
  readonly ingest: Ingest;
  readonly full: number[] = [];
  /** What waits for a later turn of the event loop. */
  deferred: (() => void)[] = [];
  readonly #memory: EngineMemory;
  readonly #shards: readonly ShardHandle[];
  readonly #readers: readonly IngestReader[];
  /** By shard: the names that definitions gave to numbers. */
  readonly #streams: string[][];
  readonly #sources: string[][];

  constructor(shards = 2, ringBytes = 2 ** 12) {
    const memoryBytes = 2 ** 21;
    this.#memory = EngineMemory.reserve(memoryBytes);
    const arenas = planArenas({ memoryBytes, shards, ringBytes, heapBytesMin: 1 });
    if (arenas === undefined) throw new Error('the memory of the test is too small');
    this.router = new Router(shards);
    this.#shards = arenas.map((arena, index) => new ShardHandle(this.#memory, arena, index));
    this.#readers = arenas.map((arena) => new IngestReader(this.#memory, arena));
    this.#streams = arenas.map(() => []);
    this.#sources = arenas.map(() => []);
    this.ingest = new Ingest({
      memory: this.#memory,
      router: this.router,
      shards: this.#shards,
      onFull: (shard) => void this.full.push(shard),
      holdOut: () => {
        throw new Error('nothing is set aside here');
      },
      defer: (callback) => void this.deferred.push(callback),
    });
  }

  push(events: readonly Event[], marks?: Marks): Promise<void> {
    return this.ingest.accept({ events, streams: [] }, marks, (accepted) =>
      Object.assign(new Error('failed'), { accepted }),
    );
  }

  requestCheckpoint(stream: RoutedStream, marks: Marks): Promise<void> {
    return this.ingest.requestCheckpoint(stream, marks, () => new Error('failed'));
  }

  /** As the engine does it. */
  forget(stream: RoutedStream): Promise<void> {
    this.router.detach(stream);
    return this.ingest.requestForget(stream, () => new Error('failed'));
  }

  /** As a shard does that finds no room for a checkpoint. */
  askForMemory(shard: number): void {
    const { words } = this.#shards[shard] as ShardHandle;
    words.set(WORD.memoryRequest, words.get(WORD.memoryRequest) + 1);
  }

  /** What is published to a shard and was not read before; frees its room. */
  read(shard: number): ReadRecord[] {
    const reader = this.#readers[shard] as IngestReader;
    const records: ReadRecord[] = [];
    for (let at = reader.next(); at !== 0; at = reader.next()) {
      records.push(this.#recordAt(shard, at));
      reader.advance(at);
    }
    reader.release();
    return records;
  }

  /** Reads every shard and resumes until nothing waits, turn by turn; what was read, by shard. */
  drain(): ReadRecord[][] {
    const read: ReadRecord[][] = this.#shards.map(() => []);
    do {
      for (const [shard, records] of read.entries()) records.push(...this.read(shard));
      this.nextTurn();
      this.ingest.resume();
    } while (this.ingest.isWaiting);
    for (const [shard, records] of read.entries()) records.push(...this.read(shard));
    return read;
  }

  nextTurn(): void {
    for (const callback of this.deferred.splice(0)) callback();
  }

  #recordAt(shard: number, address: number): ReadRecord {
    const { u32, u64, u8 } = this.#memory;
    const word = address >>> 2;
    const kind = (u32[word + 1] as number) & 0xffff;
    const flags = (u32[word + 1] as number) >>> 16;
    const index = u32[word + 2] as number;
    const text = (at: number): string =>
      Buffer.from(u8.slice(address + at, address + at + (u32[word + 3] as number))).toString('utf8');
    switch (kind) {
      case RECORD.defineStream:
        (this.#streams[shard] as string[])[index] = text(AT.name);
        return { kind: 'stream', index, name: text(AT.name) };
      case RECORD.defineSource:
        (this.#sources[shard] as string[])[index] = text(AT.name);
        return { kind: 'source', index, name: text(AT.name) };
      case RECORD.checkpointStream:
        return { kind: 'checkpoint', stream: named(this.#streams[shard], index) };
      case RECORD.forgetStream:
        return { kind: 'forget', stream: named(this.#streams[shard], index) };
      case RECORD.event: {
        const field = (at: number): bigint => u64[(address + at) / 8] as bigint;
        const hasSource = (flags & FLAG.source) !== 0;
        return {
          kind: 'event',
          stream: named(this.#streams[shard], index),
          payload: text(AT.payload),
          sequence: (flags & FLAG.sequence) === 0 ? undefined : field(AT.sequence),
          watermarkNs: field(AT.watermark),
          source: hasSource ? named(this.#sources[shard], u32[(address + AT.source) >>> 2]) : undefined,
          offset: hasSource ? field(AT.offset) : undefined,
          nextOffset: hasSource ? field(AT.nextOffset) : undefined,
          isDurable: (flags & FLAG.durable) !== 0,
        };
      }
      default:
        throw new Error(`a record of kind ${kind}`);
    }
  }
}

function named(names: readonly string[] | undefined, index: number | undefined): string {
  const name = index === undefined ? undefined : names?.[index];
  if (name === undefined) throw new Error(`number ${index} was never defined on this shard`);
  return name;
}
