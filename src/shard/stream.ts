/** What a shard knows of one of its streams, apart from the bytes in the stream's image. */
import { Link, LinkedList } from '../linked-list.ts';
import type { FaultText } from './letters.ts';
import type { HostedOperators } from './operator-host.ts';
import { type StreamColumns, StreamRow } from './stream-row.ts';

/** A source that a stream has had events from. Its next offset is in the stream's image. */
export class SourcePosition {
  readonly source: ShardSource;
  readonly stream: ShardStream;
  /** Address of the u64 offset in the stream's image. */
  offsetAddress = 0;
  lowLow = 0;
  lowHigh = 0;
  /** While open, in the source's list of streams with uncovered events, ordered by the first of these. */
  readonly lowLink: Link<SourcePosition> = new Link<SourcePosition>(this);

  #isOpen = false;

  constructor(source: ShardSource, stream: ShardStream) {
    this.source = source;
    this.stream = stream;
  }

  /** There are events since the last checkpoint; their low is the offset of the first. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  set isOpen(value: boolean) {
    this.#isOpen = value;
    if (this.stream.onlyPosition === this) this.stream.isOnlyOpen = value;
  }
}

const NO_LETTERS: readonly FaultText[] = [];

/** A stream: its row, which is all that most events meet, and the rest. */
export class ShardStream extends StreamRow {
  readonly name: string;
  /** A caller waits for durability: checkpoint at the end of the batch. */
  isWanted = false;
  /** Bytes of the image's body part. */
  bodyBytes = 0;
  /** Number of its entry in the replay window; -1: it has none. */
  windowEntry = -1;
  /** Position of the ring behind its definition. */
  definedAt = 0;
  /** Events before this position of the ring are in its state: those are not for it when they are read again. */
  readTo = 0;

  readonly operators: HostedOperators;
  /** Ascending by the UTF-8 bytes of the source names, as a body holds them. */
  positions: readonly SourcePosition[] = [];
  /** Allocated bytes of the image. */
  imageBytes = 0;
  /** Bytes of the image from its begin up to the section of sources. */
  sourcesAt = 0;
  extensionBytes = 0;

  /** Its newest frame, whose memory may be another's by now: address, bytes (0: there is none), event count mod 2^32. */
  frameAddress = 0;
  frameBytes = 0;
  frameCount = 0;

  /** Its cover: address and bytes, 0: there is none. */
  coverAddress = 0;
  coverBytes = 0;
  /** A checkpoint replaces the cover, once main can know of that. */
  isCoverStale = false;

  /** Events of it that were skipped, and may not be delivered yet. */
  letters: readonly FaultText[] = NO_LETTERS;

  /** What a row's `lastEventAt`, `lastCheckpointAt` and `limitShare` are; the first is kept with `idleMs` only, the last with `jitter`. */
  eventAt = 0;
  checkpointAt = Number.NEGATIVE_INFINITY;
  share = 1;
  /** Taken by this thread. */
  checkpoints = 0;
  /** Its place in the queue of streams that time may make due; -1: it is not in there. */
  askPlace = -1;
  /** In the list of dirty streams, ordered by their first uncovered event. */
  readonly ageLink: Link<ShardStream> = new Link<ShardStream>(this);

  #onlyPosition: SourcePosition | undefined;

  constructor(columns: StreamColumns, index: number, name: string, operators: HostedOperators) {
    super(columns, index);
    this.name = name;
    this.operators = operators;
    columns.begin(this);
  }

  override get stream(): ShardStream {
    return this;
  }

  /** The position of a stream that has had events from one source. */
  get onlyPosition(): SourcePosition | undefined {
    return this.#onlyPosition;
  }

  /** Ascending by the UTF-8 bytes of the source names, as a body holds them, and at their addresses. */
  setPositions(positions: readonly SourcePosition[]): void {
    this.positions = positions;
    this.#onlyPosition = positions.length === 1 ? positions[0] : undefined;
    this.setOnlyPosition(this.#onlyPosition);
  }
}

/** A source as the shard has met it. */
export class ShardSource {
  /** The shard's own number for it, from 1 on. */
  readonly number: number;
  /** The main thread's number for it; -1 while only restored frames have named it. */
  index = -1;
  readonly name: string;
  readonly nameBytes: Uint8Array;
  /** Positions with uncovered events, ordered by the first of these, so by offset. */
  readonly lows: LinkedList<SourcePosition> = new LinkedList<SourcePosition>();
  /** Events of it that were read, duplicates included. */
  readEvents = 0;
  /** Offset of the last one, as u64 halves. */
  lastLow = 0;
  lastHigh = 0;
  /** To be reported with the batch. */
  isTouched = false;

  constructor(number: number, name: string, nameBytes: Uint8Array) {
    this.number = number;
    this.name = name;
    this.nameBytes = nameBytes;
  }
}
