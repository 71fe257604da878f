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
import { processEvent } from './operator-host.ts';
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

  /** True if the stream is due for a checkpoint by the event. `now` as for the triggers. */
  process(record: RecordPlace, stream: ShardStream, now: number): boolean {
    const { address } = record;
    const flags = (this.#memory.u32[(address >>> 2) + 1] as number) >>> 16;
    stream.seen++;
    if ((flags & FLAG.durable) !== 0) this.#wanted.add(stream);
    const source = (flags & FLAG.source) === 0 ? undefined : this.sourceOf(address);
    if (source !== undefined) this.#reports.onEvent(source, address);
    if (isDuplicate(this.#memory, address, stream, flags, source)) {
      this.#counts.dropped++;
      return false;
    }
    return this.#apply(record, stream, flags, source, now);
  }

  #apply(
    record: RecordPlace,
    stream: ShardStream,
    flags: number,
    source: ShardSource | undefined,
    now: number,
  ): boolean {
    const { u32 } = this.#memory;
    const { address } = record;
    // Before the operators run: it can fail, and it moves the slots.
    if (stream.image === 0) this.#table.layOut(stream, source, record.position);
    const position = source === undefined ? undefined : this.#table.ensurePosition(stream, source);
    if (stream.isLasting) this.#directory.keep(stream.index, stream.image, stream.bodyBytes, record.position);
    else this.#window.note(stream, record.position);
    const image = stream.image >>> 2;
    const sequence = (address + AT.sequence) >>> 2;
    if ((flags & FLAG.sequence) === 0) {
      // The record is the shard's own by now; written there, the sequence reads the same in both cases.
      const low = ((u32[image] as number) + 1) >>> 0;
      u32[sequence] = low;
      u32[sequence + 1] = (u32[image + 1] as number) + (low === 0 ? 1 : 0);
    }
    this.#event.point(address, stream.name, source?.name);
    const { onlyOperator } = stream;
    if (onlyOperator !== undefined) processEvent(onlyOperator, this.#event);
    else for (const hosted of stream.operators.inOrder) processEvent(hosted, this.#event);
    u32[image] = u32[sequence] as number;
    u32[image + 1] = u32[sequence + 1] as number;
    const watermark = (address + AT.watermark) >>> 2;
    if (isLess(u32, image + 2, watermark)) {
      u32[image + 2] = u32[watermark] as number;
      u32[image + 3] = u32[watermark + 1] as number;
    }
    const count = ((u32[image + 4] as number) + 1) >>> 0;
    u32[image + 4] = count;
    if (count === 0) u32[image + 5] = (u32[image + 5] as number) + 1;
    if (position !== undefined) this.#moveOn(address, position);
    this.#counts.applied++;
    const payloadBytes = u32[(address + AT.length) >>> 2] as number;
    return this.#triggers.onEvent(stream, payloadBytes, now);
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
