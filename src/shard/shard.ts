/**
 * A shard: drains its ingest ring, runs operators, keeps the images, takes checkpoints. One thread runs
 * it; `step` is one turn of its loop and needs no thread of its own.
 *
 * Order within a turn, which the main thread relies on:
 * 1. events, with a frame told (its lows first) as soon as one is due, and streams that are forgotten likewise;
 * 2. frames that are due by time or awaited;
 * 3. the progress of every source touched — after the frames, so that a raised low is never seen before
 *    the frame that raised it: until then the frontier that main computes is too low, which is safe;
 * 4. the answer to a request to checkpoint everything — after both;
 * 5. all of it becomes visible at once, the ring is released, then the bell.
 */
import type { Clock } from '../clock.ts';
import type { ControlWords, ShardBell } from '../memory/doorbells.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT, FLAG, IngestReader, RECORD } from '../memory/ingest-ring.ts';
import { type ArenaLayout, WORD } from '../memory/layout.ts';
import { Completions } from './completions.ts';
import { writeFrame } from './frame-writer.ts';
import { positionOf } from './image.ts';
import { GROUP_RECORDS, LookAhead } from './look-ahead.ts';
import type { OperatorFactory } from './operator.ts';
import { OperatorHost, processEvent } from './operator-host.ts';
import { ShardEvent } from './shard-event.ts';
import { ShardHeap } from './shard-heap.ts';
import type { ShardSource, ShardStream, SourcePosition } from './stream.ts';
import { StreamTable } from './stream-table.ts';
import type { RestoredStreams, ShardTask } from './task.ts';
import { Triggers } from './triggers.ts';
import { Waiting } from './waiting.ts';
import { WantedStreams } from './wanted-streams.ts';

/** Records of one turn at most: bounds how long the ring is held and how stale the clock gets. */
const TURN_RECORDS_MAX = 1_024;
/** … and milliseconds, looked at every so many records. */
const TURN_MS_MAX = 2;
const CLOCK_EVERY_RECORDS = 32;
/** A producer that waits for room is woken when this share of the ring is free. */
const WAKE_FREE_SHARE = 1 / 4;

export interface ShardPorts {
  readonly clock: Clock;
  readonly bell: Pick<ShardBell, 'sleep' | 'ringMain'>;
  readonly words: ControlWords;
}

export class Shard {
  readonly #memory: EngineMemory;
  readonly #arena: ArenaLayout;
  readonly #clock: Clock;
  readonly #bell: Pick<ShardBell, 'sleep' | 'ringMain'>;
  readonly #words: ControlWords;
  readonly #ring: IngestReader;
  readonly #waiting: Waiting;
  readonly #heap: ShardHeap;
  readonly #table: StreamTable;
  readonly #lookAhead: LookAhead;
  readonly #completions: Completions;
  readonly #triggers: Triggers;
  readonly #event: ShardEvent;
  readonly #wanted = new WantedStreams();
  #touched: ShardSource[] = [];
  #checkpointsDone = 0;
  #now: number;
  #applied = 0;
  #dropped = 0;

  constructor(
    memory: EngineMemory,
    task: Omit<ShardTask, 'memory' | 'operators'>,
    ports: ShardPorts & { factory: OperatorFactory },
  ) {
    this.#memory = memory;
    this.#arena = task.arena;
    this.#clock = ports.clock;
    this.#bell = ports.bell;
    this.#words = ports.words;
    this.#ring = new IngestReader(memory, task.arena);
    this.#waiting = new Waiting(ports.words, ports.bell);
    this.#heap = new ShardHeap(memory, task.arena, {
      words: ports.words,
      waiting: this.#waiting,
      live: framesOf(task.restored),
    });
    this.#table = new StreamTable(memory, {
      heap: this.#heap,
      host: new OperatorHost(memory, ports.factory),
      generation: task.generation,
      allowUnclaimedState: task.allowUnclaimedState,
    });
    this.#lookAhead = new LookAhead(memory, this.#ring, this.#table.streams);
    this.#completions = new Completions(memory, task.arena, this.#waiting);
    this.#waiting.onWait = () => this.#completions.flush();
    this.#triggers = new Triggers(task.policy);
    this.#event = new ShardEvent(memory);
    this.#now = ports.clock.now();
  }

  /** Restores the streams it was given and says that it is ready. @throws as `StreamTable.restoreStream` */
  start(restored: RestoredStreams): void {
    for (const [index, name] of restored.names.entries()) {
      const address = restored.addresses[index] as number;
      const bytes = restored.bytes[index] as number;
      this.#table.restoreStream(index, name, { address, bytes });
      if (restored.isTransient) this.#heap.free(address, bytes);
    }
    this.#heap.report();
    this.#completions.ready();
    this.#completions.flush();
    this.#bell.ringMain();
  }

  get isStopped(): boolean {
    return this.#waiting.isStopped;
  }

  /** One turn; true if there was anything to do. @throws TidemarkError that ends the shard, ShardStopped */
  step(): boolean {
    this.#now = this.#clock.now();
    this.#waiting.beat();
    const returned = this.#heap.drainReturns();
    const dropped = this.#dropped;
    const records = this.#drainRing();
    this.#triggers.fireDue(this.#now, this.#checkpoint);
    this.#checkpointWanted();
    const answered = this.#answerCheckpointAll();
    this.#reportSources();
    if (records > 0) this.#publishCounts();
    this.#heap.report();
    this.#completions.flush();
    this.#ring.release();
    // Duplicates let frontiers rise without a frame; while events keep coming, something else will tell.
    const isNews = this.#completions.isNews || (this.#dropped > dropped && !this.#ring.hasMore);
    this.#completions.isNews = false;
    if (isNews || this.#isProducerWaiting()) this.#bell.ringMain();
    return records > 0 || returned > 0 || answered || isNews;
  }

  /** Sleeps until rung or until something can be due by time, at most `ms`. */
  sleep(ms: number): void {
    const wait = Math.min(ms, this.#triggers.msUntilDue(this.#clock.now()));
    if (wait > 0) this.#bell.sleep(wait, () => this.#isIdle());
  }

  #isIdle(): boolean {
    return (
      !this.#ring.hasMore &&
      !this.#waiting.isStopped &&
      this.#words.get(WORD.checkpointRequest) === this.#checkpointsDone
    );
  }

  #drainRing(): number {
    let records = 0;
    const began = this.#now;
    while (records < TURN_RECORDS_MAX) {
      const address = this.#ring.next();
      if (address === 0) break;
      if (records % GROUP_RECORDS === 0) this.#lookAhead.fetch();
      this.#ring.markCurrent();
      this.#processRecord(address);
      this.#ring.advance(address);
      records++;
      if (records % CLOCK_EVERY_RECORDS === 0) {
        this.#now = this.#clock.now();
        if (this.#now - began > TURN_MS_MAX) break;
      }
    }
    return records;
  }

  #processRecord(address: number): void {
    const { u32 } = this.#memory;
    const word = address >>> 2;
    const kind = (u32[word + 1] as number) & 0xffff;
    const index = u32[word + AT.index / 4] as number;
    switch (kind) {
      case RECORD.event:
        this.#onEvent(address, this.#table.streams[index] as ShardStream, (u32[word + 1] as number) >>> 16);
        return;
      case RECORD.defineStream:
        this.#table.defineStream(index, this.#nameIn(address));
        return;
      case RECORD.defineSource:
        this.#table.defineSource(index, this.#nameIn(address));
        return;
      case RECORD.checkpointStream:
        this.#wanted.add(this.#table.streams[index] as ShardStream);
        return;
      case RECORD.forgetStream:
        this.#forget(this.#table.streams[index] as ShardStream);
        return;
      default:
        throw new TypeError(`record of unknown kind ${kind}`);
    }
  }

  #nameIn(address: number): string {
    return this.#table.readName(address + AT.name, this.#memory.u32[(address + AT.length) >>> 2] as number);
  }

  #onEvent(address: number, stream: ShardStream, flags: number): void {
    stream.seen++;
    if ((flags & FLAG.durable) !== 0) this.#wanted.add(stream);
    const source =
      (flags & FLAG.source) === 0
        ? undefined
        : (this.#table.sources[this.#memory.u32[(address + AT.source) >>> 2] as number] as ShardSource);
    if (source !== undefined) this.#touch(source, address);
    if (this.#isDuplicate(address, stream, flags, source)) {
      this.#dropped++;
      return;
    }
    this.#apply(address, stream, flags, source);
  }

  #isDuplicate(
    address: number,
    stream: ShardStream,
    flags: number,
    source: ShardSource | undefined,
  ): boolean {
    // Its first event.
    if (stream.image === 0) return false;
    const { u32 } = this.#memory;
    if ((flags & FLAG.sequence) !== 0) {
      const image = stream.image >>> 2;
      const isNew = (u32[image + 4] as number) === 0 && (u32[image + 5] as number) === 0;
      return !isNew && !isLess(u32, image, (address + AT.sequence) >>> 2);
    }
    const position = source === undefined ? undefined : positionOf(stream, source);
    if (position === undefined) return false;
    const { view } = this.#memory;
    const high = u32[(address + AT.offset + 4) >>> 2] as number;
    const nextHigh = view.getUint32(position.offsetAddress + 4, true);
    if (high !== nextHigh) return high < nextHigh;
    return (u32[(address + AT.offset) >>> 2] as number) < view.getUint32(position.offsetAddress, true);
  }

  #apply(address: number, stream: ShardStream, flags: number, source: ShardSource | undefined): void {
    const { u32 } = this.#memory;
    // Before the operators run: it can fail, and it moves the slots.
    if (stream.image === 0) this.#table.layOut(stream, source);
    const position = source === undefined ? undefined : this.#table.ensurePosition(stream, source);
    const image = stream.image >>> 2;
    const record = (address + AT.sequence) >>> 2;
    if ((flags & FLAG.sequence) === 0) {
      // The record is the shard's own by now; written there, the sequence reads the same in both cases.
      const low = ((u32[image] as number) + 1) >>> 0;
      u32[record] = low;
      u32[record + 1] = (u32[image + 1] as number) + (low === 0 ? 1 : 0);
    }
    this.#event.point(address, stream.name, source?.name);
    const { onlyOperator } = stream;
    if (onlyOperator !== undefined) processEvent(onlyOperator, this.#event);
    else for (const hosted of stream.operators.inOrder) processEvent(hosted, this.#event);
    u32[image] = u32[record] as number;
    u32[image + 1] = u32[record + 1] as number;
    const watermark = (address + AT.watermark) >>> 2;
    if (isLess(u32, image + 2, watermark)) {
      u32[image + 2] = u32[watermark] as number;
      u32[image + 3] = u32[watermark + 1] as number;
    }
    const count = ((u32[image + 4] as number) + 1) >>> 0;
    u32[image + 4] = count;
    if (count === 0) u32[image + 5] = (u32[image + 5] as number) + 1;
    if (position !== undefined) this.#moveOn(address, position);
    this.#applied++;
    const payloadBytes = u32[(address + AT.length) >>> 2] as number;
    if (this.#triggers.onEvent(stream, payloadBytes, this.#now)) this.#checkpoint(stream);
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

  #touch(source: ShardSource, address: number): void {
    const { u32 } = this.#memory;
    source.readEvents++;
    source.lastLow = u32[(address + AT.offset) >>> 2] as number;
    source.lastHigh = u32[(address + AT.offset + 4) >>> 2] as number;
    this.#markTouched(source);
  }

  #markTouched(source: ShardSource): void {
    if (source.isTouched) return;
    source.isTouched = true;
    this.#touched.push(source);
  }

  #checkpointWanted(): void {
    for (const stream of this.#wanted.take()) {
      if (stream.uncoveredEvents > 0) this.#checkpoint(stream);
      // Its events are all in frames taken before, perhaps because they were duplicates.
      else this.#completions.covered(stream);
    }
  }

  /**
   * Its lows are told first, as those of a frame are: main holds frontiers back with them until the store has
   * forgotten the stream, and only then sees that they are open here no more.
   */
  #forget(stream: ShardStream): void {
    this.#wanted.remove(stream);
    this.#triggers.forget(stream);
    this.#tellLows(stream);
    this.#table.forgetStream(stream);
    this.#completions.forgotten(stream);
  }

  readonly #checkpoint = (stream: ShardStream): void => {
    this.#waiting.beat();
    const frame = writeFrame(this.#memory, stream, {
      createdAtMs: this.#clock.wallMs(),
      allocate: (bytes) => this.#heap.allocateFrame(bytes, stream.name),
    });
    this.#tellLows(stream);
    this.#completions.stored(stream, frame, stream.image >>> 2);
    this.#triggers.onCheckpoint(stream, this.#now);
  };

  /** Nothing of the stream is open any more; what was goes with the entry that follows. */
  #tellLows(stream: ShardStream): void {
    for (const position of stream.positions) {
      if (!position.isOpen) continue;
      this.#completions.low(position);
      position.isOpen = false;
      position.source.lows.remove(position.lowLink);
      this.#markTouched(position.source);
    }
  }

  /** What was pushed before the request has to be read first; requests that came since are one. */
  #answerCheckpointAll(): boolean {
    const request = this.#words.get(WORD.checkpointRequest);
    if (
      request === this.#checkpointsDone ||
      !this.#ring.hasReached(this.#words.get(WORD.checkpointPosition))
    ) {
      return false;
    }
    this.#triggers.fireAll(this.#checkpoint);
    this.#reportSources();
    this.#checkpointsDone = request;
    this.#completions.checkpointed(request);
    return true;
  }

  #reportSources(): void {
    for (const source of this.#touched) {
      source.isTouched = false;
      this.#completions.source(source);
    }
    this.#touched = [];
  }

  #publishCounts(): void {
    this.#words.set(WORD.appliedLow, this.#applied | 0);
    this.#words.set(WORD.appliedHigh, Math.floor(this.#applied / 2 ** 32));
    this.#words.set(WORD.droppedLow, this.#dropped | 0);
    this.#words.set(WORD.droppedHigh, Math.floor(this.#dropped / 2 ** 32));
  }

  #isProducerWaiting(): boolean {
    return (
      this.#words.get(WORD.spaceWanted) === 1 &&
      this.#ring.freeBytes >= this.#arena.ingestBytes * WAKE_FREE_SHARE
    );
  }
}

/** u64 at word `a` < u64 at word `b`, low half first. */
function isLess(u32: Uint32Array, a: number, b: number): boolean {
  const highA = u32[a + 1] as number;
  const highB = u32[b + 1] as number;
  return highA === highB ? (u32[a] as number) < (u32[b] as number) : highA < highB;
}

function* framesOf(restored: RestoredStreams): Generator<{ address: number; bytes: number }> {
  for (const [index, address] of restored.addresses.entries()) {
    yield { address, bytes: restored.bytes[index] as number };
  }
}
