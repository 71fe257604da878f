/**
 * What one event does: its stream's operators run, its counters, offsets and watermark move on. Duplicates are dropped.
 *
 * For a thread that follows this one, an event is wholly done or not at all: either its stream's image outlives the
 * thread, and what it was before is kept until the event is done, or the ring keeps the event until a frame covers it.
 */
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { ImageDirectory } from '../memory/image-directory.ts';
import { AT, FLAG } from '../memory/ingest-ring.ts';
import { isDuplicate, isLess } from './duplicates.ts';
import type { EventCounts } from './event-counts.ts';
import type { GivenUpText } from './letters.ts';
import { processEvent } from './operator-host.ts';
import { holdBack } from './passed-over.ts';
import type { ReplayWindow } from './replay-window.ts';
import { ShardEvent } from './shard-event.ts';
import type { SourceReports } from './source-reports.ts';
import type { ShardSource, ShardStream, SourcePosition } from './stream.ts';
import type { StreamTable } from './stream-table.ts';
import type { Triggers } from './triggers.ts';
import type { WantedStreams } from './wanted-streams.ts';

/** Where a record lies: its address, its position in the ring, and the position behind it. */
export interface RecordPlace {
  address: number;
  position: number;
  end: number;
}

export interface EventProcessorParts {
  readonly table: StreamTable;
  readonly directory: ImageDirectory;
  readonly window: ReplayWindow;
  readonly reports: SourceReports;
  readonly counts: EventCounts;
  readonly triggers: Triggers;
  readonly wanted: WantedStreams;
}

export class EventProcessor {
  /** A duplicate of a stream that has skipped events which may not be delivered yet: it may be one of these. */
  onLetter: (record: RecordPlace, stream: ShardStream) => void = () => undefined;
  readonly #memory: EngineMemory;
  readonly #table: StreamTable;
  readonly #directory: ImageDirectory;
  readonly #window: ReplayWindow;
  readonly #reports: SourceReports;
  readonly #counts: EventCounts;
  readonly #triggers: Triggers;
  readonly #wanted: WantedStreams;
  readonly #event: ShardEvent;

  constructor(memory: EngineMemory, parts: EventProcessorParts) {
    this.#memory = memory;
    this.#table = parts.table;
    this.#directory = parts.directory;
    this.#window = parts.window;
    this.#reports = parts.reports;
    this.#counts = parts.counts;
    this.#triggers = parts.triggers;
    this.#wanted = parts.wanted;
    this.#event = new ShardEvent(memory);
  }

  /** The source of the event in the record at `address`, which has one. */
  sourceOf(address: number): ShardSource {
    const { u32 } = this.#memory;
    return this.#table.sources[u32[(address + AT.source) >>> 2] as number] as ShardSource;
  }

  /**
   * True if the stream is due for a checkpoint by the event. `now` as for the triggers.
   * @throws ERR_TIDEMARK_OPERATOR when an operator throws: the state is then anything between before and after the event
   */
  process(record: RecordPlace, stream: ShardStream, now: number): boolean {
    const { address } = record;
    const flags = this.#flagsOf(address);
    stream.seen++;
    if ((flags & FLAG.durable) !== 0) this.#wanted.add(stream);
    const source = (flags & FLAG.source) === 0 ? undefined : this.sourceOf(address);
    if (source !== undefined) this.#reports.onEvent(source, address);
    if (stream.image === 0 && stream.isPassedOver) {
      this.#passOver(address, stream, source);
      return false;
    }
    if (isDuplicate(this.#memory, address, stream, flags, source)) {
      this.#counts.dropped++;
      if (stream.letters.length > 0) this.onLetter(record, stream);
      return false;
    }
    return this.#apply(record, stream, flags, source, now);
  }

  /** The same once more for an event that has failed; the state is what it was before it. */
  again(record: RecordPlace, stream: ShardStream, now: number): boolean {
    const flags = this.#flagsOf(record.address);
    const source = (flags & FLAG.source) === 0 ? undefined : this.sourceOf(record.address);
    return this.#apply(record, stream, flags, source, now);
  }

  /** What an earlier event has done to the state, once more: everything else that follows from it is known. */
  redo(address: number, stream: ShardStream): void {
    const flags = this.#flagsOf(address);
    const source = (flags & FLAG.source) === 0 ? undefined : this.sourceOf(address);
    if (isDuplicate(this.#memory, address, stream, flags, source)) return;
    const position = source === undefined ? undefined : this.#table.ensurePosition(stream, source);
    this.#run(address, stream, flags, source, position);
  }

  /** The event is read, and does nothing. */
  pass({ address }: RecordPlace, stream: ShardStream): void {
    stream.seen++;
    if ((this.#flagsOf(address) & FLAG.source) !== 0) this.#reports.onEvent(this.sourceOf(address), address);
  }

  /**
   * The stream moves past the event, which was read: the sequence and the offset are used up; its states and its count
   * of events stay. Returns as `process`.
   */
  skip(record: RecordPlace, stream: ShardStream, now: number): boolean {
    const { address } = record;
    const flags = this.#flagsOf(address);
    if ((flags & FLAG.durable) !== 0) this.#wanted.add(stream);
    const source = (flags & FLAG.source) === 0 ? undefined : this.sourceOf(address);
    const position = this.#prepare(record, stream, source);
    const image = stream.image >>> 2;
    if ((flags & FLAG.sequence) === 0) this.#assignSequence(image, (address + AT.sequence) >>> 2);
    this.#moveSequence(address, image);
    if (position !== undefined) this.#moveOn(address, position);
    return this.#triggers.onEvent(stream, 0, now);
  }

  /**
   * Events that are given up are duplicates from here on. `position` is of the record that says so, which is kept until the
   * checkpoint with which the stream goes on; no low is opened, since main holds the frontiers until then.
   */
  moveBehind(stream: ShardStream, { nextOffset, sequence, source }: GivenUpText, position: number): void {
    const { u64, view } = this.#memory;
    const place = source === undefined ? undefined : this.#table.positionIn(stream, source);
    if (stream.isLasting) this.#directory.keep(stream.index, stream.image, stream.bodyBytes, position);
    else this.#window.note(stream, position);
    const image = stream.image / 8;
    if (sequence !== undefined && BigInt(sequence) > (u64[image] as bigint)) u64[image] = BigInt(sequence);
    if (place === undefined || nextOffset === undefined) return;
    if (BigInt(nextOffset) > view.getBigUint64(place.offsetAddress, true))
      view.setBigUint64(place.offsetAddress, BigInt(nextOffset), true);
  }

  /** For an event that is not to be tried: the stream has an image, and the record the event's sequence. */
  prepare({ address, position }: RecordPlace, stream: ShardStream): void {
    const flags = this.#flagsOf(address);
    const source = (flags & FLAG.source) === 0 ? undefined : this.sourceOf(address);
    if (stream.image === 0) this.#table.layOut(stream, source, position);
    if ((flags & FLAG.sequence) === 0)
      this.#assignSequence(stream.image >>> 2, (address + AT.sequence) >>> 2);
  }

  #flagsOf(address: number): number {
    return (this.#memory.u32[(address >>> 2) + 1] as number) >>> 16;
  }

  #passOver(address: number, stream: ShardStream, source: ShardSource | undefined): void {
    this.#counts.applied++;
    if (source === undefined) return;
    const word = (address + AT.offset) >>> 2;
    const { u32 } = this.#memory;
    holdBack(stream, source, { low: u32[word] as number, high: u32[word + 1] as number });
  }

  #apply(
    record: RecordPlace,
    stream: ShardStream,
    flags: number,
    source: ShardSource | undefined,
    now: number,
  ): boolean {
    const { address } = record;
    const position = this.#prepare(record, stream, source);
    this.#run(address, stream, flags, source, position);
    this.#counts.applied++;
    const payloadBytes = this.#memory.u32[(address + AT.length) >>> 2] as number;
    return this.#triggers.onEvent(stream, payloadBytes, now);
  }

  /** Before the operators run: it can fail, and it moves the slots. */
  #prepare(
    record: RecordPlace,
    stream: ShardStream,
    source: ShardSource | undefined,
  ): SourcePosition | undefined {
    if (stream.image === 0) this.#table.layOut(stream, source, record.position);
    const position = source === undefined ? undefined : this.#table.ensurePosition(stream, source);
    if (stream.isLasting) this.#directory.keep(stream.index, stream.image, stream.bodyBytes, record.position);
    else this.#window.note(stream, record.position);
    return position;
  }

  #run(
    address: number,
    stream: ShardStream,
    flags: number,
    source: ShardSource | undefined,
    position: SourcePosition | undefined,
  ): void {
    const { u32 } = this.#memory;
    const image = stream.image >>> 2;
    const sequence = (address + AT.sequence) >>> 2;
    if ((flags & FLAG.sequence) === 0) this.#assignSequence(image, sequence);
    this.#event.point(address, stream.name, source?.name);
    const { onlyOperator } = stream;
    if (onlyOperator !== undefined) processEvent(onlyOperator, this.#event);
    else for (const hosted of stream.operators.inOrder) processEvent(hosted, this.#event);
    this.#moveSequence(address, image);
    const watermark = (address + AT.watermark) >>> 2;
    if (isLess(u32, image + 2, watermark)) {
      u32[image + 2] = u32[watermark] as number;
      u32[image + 3] = u32[watermark + 1] as number;
    }
    const count = ((u32[image + 4] as number) + 1) >>> 0;
    u32[image + 4] = count;
    if (count === 0) u32[image + 5] = (u32[image + 5] as number) + 1;
    if (position !== undefined) this.#moveOn(address, position);
  }

  /** The record is the shard's own by now; written there, the sequence reads the same in both cases. */
  #assignSequence(image: number, sequence: number): void {
    const { u32 } = this.#memory;
    const low = ((u32[image] as number) + 1) >>> 0;
    u32[sequence] = low;
    u32[sequence + 1] = (u32[image + 1] as number) + (low === 0 ? 1 : 0);
  }

  #moveSequence(address: number, image: number): void {
    const { u32 } = this.#memory;
    const sequence = (address + AT.sequence) >>> 2;
    u32[image] = u32[sequence] as number;
    u32[image + 1] = u32[sequence + 1] as number;
  }

  /** Raises the stream's next offset, and opens its low if this is the first uncovered event. */
  #moveOn(address: number, position: SourcePosition): void {
    const { u32, view } = this.#memory;
    const next = (address + AT.nextOffset) >>> 2;
    const low = view.getUint32(position.offsetAddress, true);
    const high = view.getUint32(position.offsetAddress + 4, true);
    const nextHigh = u32[next + 1] as number;
    if (nextHigh > high || (nextHigh === high && (u32[next] as number) > low)) {
      view.setUint32(position.offsetAddress, u32[next] as number, true);
      view.setUint32(position.offsetAddress + 4, nextHigh, true);
    }
    if (position.isOpen) return;
    position.isOpen = true;
    position.lowLow = u32[(address + AT.offset) >>> 2] as number;
    position.lowHigh = u32[(address + AT.offset + 4) >>> 2] as number;
    position.source.lows.append(position.lowLink);
  }
}
