/**
 * A shard: drains its ingest ring, runs operators, keeps the images, takes checkpoints. One thread runs it; `step` is one turn.
 *
 * Order within a turn, which the main thread relies on:
 * 1. events, with a frame told (its lows first) as soon as one is due, and streams that are forgotten likewise;
 * 2. frames that are due by time or awaited;
 * 3. the progress of every source touched — after the frames, so that a raised low is never seen before
 *    the frame that raised it: until then the frontier that main computes is too low, which is safe;
 * 4. the answer to a request to checkpoint everything — after both;
 * 5. all of it becomes visible at once, the ring is released, then the bell.
 *
 * A thread that ends without being told to is followed by another one, which takes over what it left: the images that
 * outlive it, and the records of the ring that are in no frame. See `replay-window.ts` and `take-over.ts`.
 */
import type { Clock } from '../clock.ts';
import type { ControlWords, ShardBell } from '../memory/doorbells.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { ImageDirectory } from '../memory/image-directory.ts';
import { AT, FLAG, IngestReader, RECORD } from '../memory/ingest-ring.ts';
import { WORD } from '../memory/layout.ts';
import { Completions } from './completions.ts';
import { EventCounts } from './event-counts.ts';
import { EventProcessor, type RecordPlace } from './event-processor.ts';
import { FrameTaker } from './frame-taker.ts';
import { GROUP_RECORDS, LookAhead } from './look-ahead.ts';
import type { OperatorFactory } from './operator.ts';
import { OperatorHost } from './operator-host.ts';
import { PoisonEvents } from './poison.ts';
import { ReplayWindow } from './replay-window.ts';
import { ShardHeap } from './shard-heap.ts';
import { SourceReports } from './source-reports.ts';
import type { ShardStream } from './stream.ts';
import { StreamTable } from './stream-table.ts';
import { liveBlocks, takeOver } from './take-over.ts';
import type { Handover, ShardTask } from './task.ts';
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
  readonly #processor: EventProcessor;
  readonly #wanted = new WantedStreams();
  readonly #window: ReplayWindow;
  readonly #directory: ImageDirectory;
  readonly #frames: FrameTaker;
  readonly #poison: PoisonEvents;
  readonly #reports: SourceReports;
  readonly #counts: EventCounts;
  readonly #handover: Handover;
  /** Streams that are over; their images are freed once main can know. */
  #over: ShardStream[] = [];
  /** The record that was begun last; `end` is also where one begins that was not. */
  readonly #record: RecordPlace;
  /** Before this position of the ring are records that the thread before this one may have read. */
  readonly #replayThrough: number;
  #checkpointsDone: number;
  #now: number;

  constructor(
    memory: EngineMemory,
    task: Omit<ShardTask, 'memory' | 'operators'>,
    ports: ShardPorts & { factory: OperatorFactory },
  ) {
    this.#memory = memory;
    this.#clock = ports.clock;
    this.#bell = ports.bell;
    this.#words = ports.words;
    const { handover } = task;
    this.#handover = handover;
    const { from } = handover.ring;
    this.#record = { address: 0, position: from, end: from };
    this.#checkpointsDone = handover.ring.checkpointsDone;
    this.#ring = new IngestReader(memory, task.arena, handover.ring.from);
    this.#directory = new ImageDirectory(memory, task.arena);
    this.#reports = new SourceReports(memory);
    this.#window = new ReplayWindow(ports.words, task.arena.ingestBytes);
    this.#counts = new EventCounts(ports.words, handover.ring);
    this.#waiting = new Waiting(ports.words, ports.bell);
    this.#heap = new ShardHeap(memory, task.arena, {
      words: ports.words,
      waiting: this.#waiting,
      live: liveBlocks(handover, this.#directory),
    });
    this.#table = new StreamTable(memory, {
      heap: this.#heap,
      host: new OperatorHost(memory, ports.factory),
      directory: this.#directory,
      lastingFrom: handover.ring.doneTo,
      generation: task.generation,
      allowUnclaimedState: task.allowUnclaimedState,
      onEndLasting: (stream) => this.#frames.endLasting(stream, this.#ring.position, this.#now),
    });
    this.#lookAhead = new LookAhead(memory, this.#ring, this.#table.columns);
    this.#completions = new Completions(memory, task.arena, this.#waiting);
    this.#waiting.onWait = () => this.#completions.flush();
    this.#triggers = new Triggers(task.policy);
    this.#replayThrough = handover.ring.through;
    this.#processor = new EventProcessor(memory, {
      arena: task.arena,
      table: this.#table,
      directory: this.#directory,
      window: this.#window,
      reports: this.#reports,
      counts: this.#counts,
      triggers: this.#triggers,
      wanted: this.#wanted,
    });
    this.#frames = new FrameTaker(memory, ports.clock, {
      table: this.#table,
      heap: this.#heap,
      completions: this.#completions,
      directory: this.#directory,
      window: this.#window,
      triggers: this.#triggers,
      reports: this.#reports,
      beat: () => this.#waiting.beat(),
    });
    this.#poison = new PoisonEvents(
      memory,
      { ...task.poison, known: handover.faults },
      {
        arena: task.arena,
        words: ports.words,
        heap: this.#heap,
        table: this.#table,
        directory: this.#directory,
        window: this.#window,
        processor: this.#processor,
        completions: this.#completions,
        wanted: this.#wanted,
        beat: () => this.#waiting.beat(),
        frames: this.#frames,
      },
    );
    this.#now = ports.clock.now();
  }

  /** Takes over the streams it was given and says that it is ready. @throws as `takeOver` */
  start(): void {
    takeOver(this.#handover, {
      table: this.#table,
      heap: this.#heap,
      directory: this.#directory,
      triggers: this.#triggers,
      poison: this.#poison,
      now: this.#now,
      memory: this.#memory,
    });
    for (const source of this.#table.sources) if (source !== undefined) this.#reports.touch(source);
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
    const { dropped } = this.#counts;
    const records = this.#drainRing();
    this.#triggers.fireDue(this.#now, this.#checkpoint);
    this.#checkpointWanted();
    const answered = this.#answerCheckpointAll();
    this.#keepWithinRing();
    this.#reports.tell(this.#completions);
    if (records > 0) this.#counts.publish(this.#record.end);
    this.#completions.flush();
    this.#freeOver();
    this.#frames.freeStale();
    this.#heap.report();
    this.#ring.release(this.#poison.from(this.#window.from(this.#ring.position)));
    // Duplicates let frontiers rise without a frame; while events keep coming, something else will tell.
    const isNews = this.#completions.isNews || (this.#counts.dropped > dropped && !this.#ring.hasMore);
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
      !this.#window.isHoldingUp(this.#ring) &&
      !this.#poison.isTaken &&
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
      const { position } = this.#ring;
      const record = this.#record;
      record.address = address;
      record.position = position;
      record.end = position + (this.#memory.u32[address >>> 2] as number);
      if (position < this.#replayThrough) this.#replayRecord(record);
      else this.#processRecord(address);
      this.#ring.advance(address);
      records++;
      if (records % CLOCK_EVERY_RECORDS === 0) {
        this.#now = this.#clock.now();
        if (this.#now - began > TURN_MS_MAX) break;
      }
    }
    this.#ring.markNone();
    return records;
  }

  /**
   * A record that the thread before this one may have read. Definitions were handed over; of a stream's events those
   * are for it that its state does not know yet. Requests to checkpoint a stream may have been answered, or not; one to
   * forget it was not, or it would not have been handed over.
   */
  #replayRecord({ address, position }: RecordPlace): void {
    const { u32 } = this.#memory;
    const word = address >>> 2;
    const kind = (u32[word + 1] as number) & 0xffff;
    if (kind === RECORD.defineStream || kind === RECORD.defineSource) return;
    // Undefined: it is over, and that was told.
    const stream = this.#table.streams[u32[word + AT.index / 4] as number];
    const counts = this.#counts;
    const { applied, dropped } = counts;
    const isOfState = kind === RECORD.event || kind === RECORD.resumeStream;
    if (stream !== undefined && position >= (isOfState ? stream.readTo : stream.definedAt)) {
      this.#processRecord(address);
    } else if (kind === RECORD.event) {
      const flags = (u32[word + 1] as number) >>> 16;
      if ((flags & FLAG.source) !== 0) this.#reports.onEvent(this.#processor.sourceOf(address), address);
      if (stream !== undefined && (flags & FLAG.durable) !== 0) this.#wanted.add(stream);
      counts.applied++;
    }
    if (position >= this.#handover.ring.countedTo) return;
    counts.applied = applied;
    counts.dropped = dropped;
  }

  #processRecord(address: number): void {
    const { u32 } = this.#memory;
    const word = address >>> 2;
    const kind = (u32[word + 1] as number) & 0xffff;
    const index = u32[word + AT.index / 4] as number;
    switch (kind) {
      case RECORD.event:
        this.#onEvent(index);
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
      case RECORD.letterDelivered:
      case RECORD.giveUp:
        this.#poison.told(kind, this.#record, this.#table.streams[index] as ShardStream);
        return;
      case RECORD.resumeStream:
        this.#poison.resume(this.#table.streams[index] as ShardStream, this.#record, this.#now);
        return;
      default:
        throw new TypeError(`record of unknown kind ${kind}`);
    }
  }

  #nameIn(address: number): string {
    return this.#table.readName(address + AT.name, this.#memory.u32[(address + AT.length) >>> 2] as number);
  }

  #onEvent(index: number): void {
    const record = this.#record;
    const row = this.#processor.rowAt(index);
    const now = this.#now;
    let isDue: boolean;
    const fault = record.position < this.#poison.next ? undefined : this.#poison.faultAt(record.position);
    if ((row.isAside || fault !== undefined) && !row.isPassedOver) {
      isDue = this.#poison.meet(record, row.stream, fault, now);
    } else {
      try {
        isDue = this.#processor.process(record, row, now);
      } catch (error) {
        isDue = this.#poison.onError(error, record, row.stream, now);
      }
    }
    if (isDue) this.#checkpoint(row.stream);
    this.#triggers.fireDebt(this.#checkpoint);
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
    this.#window.remove(stream);
    this.#frames.tellLows(stream);
    this.#table.forgetStream(stream);
    this.#over.push(stream);
    this.#completions.forgotten(stream);
  }

  /** Were an image freed before main can know that its stream is over, a thread that follows would miss it. */
  #freeOver(): void {
    if (this.#over.length === 0) return;
    for (const stream of this.#over) this.#table.freeImage(stream);
    this.#over = [];
  }

  readonly #checkpoint = (stream: ShardStream): void => {
    this.#frames.checkpoint(stream, this.#record.end, this.#now);
  };

  /** Covers streams until what they hold of the ring is little enough. */
  #keepWithinRing(): void {
    for (;;) {
      const stream = this.#window.excess(this.#ring);
      if (stream === undefined) return;
      this.#frames.cover(stream, this.#record.end, this.#now);
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
    this.#reports.tell(this.#completions);
    this.#checkpointsDone = request;
    this.#completions.checkpointed(request);
    return true;
  }

  #isProducerWaiting(): boolean {
    const wanted = this.#words.get(WORD.spaceWanted);
    return wanted !== 0 && this.#ring.freeBytes >= Math.max(wanted, this.#ring.capacity * WAKE_FREE_SHARE);
  }
}
