/**
 * What one event does: its stream's operators run, its counters, offsets and watermark move on. Duplicates are dropped.
 *
 * For a thread that follows this one, an event is wholly done or not at all: either its stream's image outlives the
 * thread, and what it was before is kept until the event is done, or the ring keeps the event until a frame covers it.
 */
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { ImageDirectory } from '../memory/image-directory.ts';
import { AT, FLAG } from '../memory/ingest-ring.ts';
import type { ArenaLayout } from '../memory/layout.ts';
import { isDuplicate, isLess } from './duplicates.ts';
import type { EventCounts } from './event-counts.ts';
import { positionOf } from './image.ts';
import type { GivenUpText } from './letters.ts';
import { processEvent, processSlot } from './operator-host.ts';
import { holdBack } from './passed-over.ts';
import type { ReplayWindow } from './replay-window.ts';
import { ShardEvent } from './shard-event.ts';
import type { SourceReports } from './source-reports.ts';
import type { ShardSource, ShardStream, SourcePosition } from './stream.ts';
import { type StreamColumns, StreamRow } from './stream-row.ts';
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
  readonly arena: ArenaLayout;
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
  readonly #columns: StreamColumns;
  readonly #row: StreamRow;

  constructor(memory: EngineMemory, parts: EventProcessorParts) {
    this.#memory = memory;
    this.#table = parts.table;
    this.#directory = parts.directory;
    this.#window = parts.window;
    this.#reports = parts.reports;
    this.#counts = parts.counts;
    this.#triggers = parts.triggers;
    this.#wanted = parts.wanted;
    const { columns } = parts.table;
    this.#event = new ShardEvent(memory, parts.arena, columns.streams);
    this.#columns = columns;
    this.#row = new StreamRow(columns, 0);
  }

  /** The source of the event in the record at `address`, which has one. */
  sourceOf(address: number): ShardSource {
    const { u32 } = this.#memory;
    return this.#table.sources[u32[(address + AT.source) >>> 2] as number] as ShardSource;
  }

  /** The stream of that number, until the next event. */
  rowAt(index: number): StreamRow {
    this.#row.index = index;
    return this.#row;
  }

  /**
   * True if the stream is due for a checkpoint by the event. `now` as for the triggers.
   * @throws ERR_TIDEMARK_OPERATOR when an operator throws: the state is then anything between before and after the event
   */
  process(record: RecordPlace, row: StreamRow, now: number): boolean {
    const { address } = record;
    const flags = this.#flagsOf(address);
    row.noteRead();
    if ((flags & FLAG.durable) !== 0) this.#wanted.add(row.stream);
    const source = (flags & FLAG.source) === 0 ? undefined : this.sourceOf(address);
    if (source !== undefined) this.#reports.onEvent(source, address);
    if (row.image === 0) {
      if (row.isPassedOver) {
        this.#passOver(address, row.stream, source);
        return false;
      }
    } else if (this.#isDuplicate(address, row, flags, source)) {
      this.#onDuplicate(record, row);
      return false;
    }
    return this.#apply(record, row, flags, source, now);
  }

  /** The same once more for an event that has failed; the state is what it was before it. */
  again(record: RecordPlace, { index }: ShardStream, now: number): boolean {
    const flags = this.#flagsOf(record.address);
    const source = (flags & FLAG.source) === 0 ? undefined : this.sourceOf(record.address);
    return this.#apply(record, this.rowAt(index), flags, source, now);
  }

  /** What an earlier event has done to the state, once more: everything else that follows from it is known. */
  redo(address: number, { index }: ShardStream): void {
    const row = this.rowAt(index);
    const flags = this.#flagsOf(address);
    const source = (flags & FLAG.source) === 0 ? undefined : this.sourceOf(address);
    if (this.#isDuplicate(address, row, flags, source)) return;
    this.#run(address, row, flags, source, source === undefined ? 0 : this.#ensureOffset(row, source));
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
    const offsetAddress = this.#prepare(record, stream, source);
    const image = stream.image >>> 2;
    if ((flags & FLAG.sequence) === 0) this.#assignSequence(image, (address + AT.sequence) >>> 2);
    this.#moveSequence(address, image);
    if (source !== undefined) this.#moveOn(address, stream, source, offsetAddress);
    return this.#triggers.onEvent(this.rowAt(stream.index), 0, now);
  }

  /**
   * Events that are given up are duplicates from here on. `position` is of the record that says so, which is kept until the
   * checkpoint with which the stream goes on; no low is opened, since main holds the frontiers until then.
   */
  moveBehind(stream: ShardStream, { nextOffset, sequence, source }: GivenUpText, position: number): void {
    const { u64, view } = this.#memory;
    const place = source === undefined ? undefined : this.#table.positionIn(stream, source);
    if (stream.keptBytes > 0) this.#directory.keep(stream.index, stream.image, stream.keptBytes, position);
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

  #onDuplicate(record: RecordPlace, { stream }: StreamRow): void {
    this.#counts.dropped++;
    if (stream.letters.length > 0) this.onLetter(record, stream);
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

  #isDuplicate(address: number, row: StreamRow, flags: number, source: ShardSource | undefined): boolean {
    const offsetAddress = source === undefined ? 0 : this.#offsetAddress(row, source);
    return isDuplicate(this.#memory, address, row.image, flags, offsetAddress);
  }

  /** Where the stream's image has its next offset in the source; 0: it had no event from it. */
  #offsetAddress(row: StreamRow, source: ShardSource): number {
    const address = row.onlyOffsetAddress(source);
    return address === 0 ? (positionOf(row.stream, source)?.offsetAddress ?? 0) : address;
  }

  #ensureOffset(row: StreamRow, source: ShardSource): number {
    const address = row.onlyOffsetAddress(source);
    return address === 0 ? this.#table.ensurePosition(row.stream, source).offsetAddress : address;
  }

  #apply(
    record: RecordPlace,
    row: StreamRow,
    flags: number,
    source: ShardSource | undefined,
    now: number,
  ): boolean {
    const { address } = record;
    const offsetAddress = this.#prepare(record, row, source);
    this.#run(address, row, flags, source, offsetAddress);
    this.#counts.applied++;
    const payloadBytes = this.#memory.u32[(address + AT.length) >>> 2] as number;
    return this.#triggers.onEvent(row, payloadBytes, now);
  }

  /** Before the operators run: it can fail, and it moves the slots. Returns where the next offset in the source is. */
  #prepare(record: RecordPlace, row: StreamRow, source: ShardSource | undefined): number {
    if (row.image === 0) this.#table.layOut(row.stream, source, record.position);
    const offsetAddress = source === undefined ? 0 : this.#ensureOffset(row, source);
    const { keptBytes } = row;
    if (keptBytes > 0) this.#directory.keep(row.index, row.image, keptBytes, record.position);
    else this.#window.note(row, record.position);
    return offsetAddress;
  }

  #run(
    address: number,
    row: StreamRow,
    flags: number,
    source: ShardSource | undefined,
    offsetAddress: number,
  ): void {
    const { u32 } = this.#memory;
    const image = row.image >>> 2;
    const sequence = (address + AT.sequence) >>> 2;
    if ((flags & FLAG.sequence) === 0) this.#assignSequence(image, sequence);
    this.#event.point(address, row.index, source);
    const slot = this.#columns.slots[row.index];
    if (slot !== undefined) processSlot(slot, this.#event);
    else this.#runOthers(row);
    this.#moveSequence(address, image);
    const watermark = (address + AT.watermark) >>> 2;
    if (isLess(u32, image + 2, watermark)) {
      u32[image + 2] = u32[watermark] as number;
      u32[image + 3] = u32[watermark + 1] as number;
    }
    const count = ((u32[image + 4] as number) + 1) >>> 0;
    u32[image + 4] = count;
    if (count === 0) u32[image + 5] = (u32[image + 5] as number) + 1;
    if (source !== undefined) this.#moveOn(address, row, source, offsetAddress);
  }

  #runOthers(row: StreamRow): void {
    const heap = this.#columns.heaps[row.index];
    if (heap !== undefined) processEvent(heap, this.#event);
    else for (const hosted of row.stream.operators.inOrder) processEvent(hosted, this.#event);
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
  #moveOn(address: number, row: StreamRow, source: ShardSource, offsetAddress: number): void {
    const { u32, view } = this.#memory;
    const next = (address + AT.nextOffset) >>> 2;
    const low = view.getUint32(offsetAddress, true);
    const high = view.getUint32(offsetAddress + 4, true);
    const nextHigh = u32[next + 1] as number;
    if (nextHigh > high || (nextHigh === high && (u32[next] as number) > low)) {
      view.setUint32(offsetAddress, u32[next] as number, true);
      view.setUint32(offsetAddress + 4, nextHigh, true);
    }
    if (row.isOnlyOpen) return;
    const position = positionOf(row.stream, source) as SourcePosition;
    if (position.isOpen) return;
    position.isOpen = true;
    position.lowLow = u32[(address + AT.offset) >>> 2] as number;
    position.lowHigh = u32[(address + AT.offset + 4) >>> 2] as number;
    source.lows.append(position.lowLink);
  }
}
