/** What a shard knows of one of its streams, apart from the bytes in the stream's image. */
import type { CheckpointFacts } from '../checkpoint/schedule.ts';
import { Link, LinkedList } from '../linked-list.ts';
import type { HostedOperators } from './operator-host.ts';

/** A source that a stream has had events from. Its next offset is in the stream's image. */
export class SourcePosition {
  readonly source: ShardSource;
  readonly stream: ShardStream;
  /** Address of the u64 offset in the stream's image. */
  offsetAddress = 0;
  /** Low of the events since the last checkpoint: the offset of the first, while `lowLink` is in a list. */
  lowLow = 0;
  lowHigh = 0;
  /** In the source's list of streams with uncovered events, ordered by the first of these. */
  readonly lowLink: Link<SourcePosition> = new Link<SourcePosition>(this);

  constructor(source: ShardSource, stream: ShardStream) {
    this.source = source;
    this.stream = stream;
  }
}

export class ShardStream implements CheckpointFacts {
  readonly index: number;
  readonly name: string;
  readonly operators: HostedOperators;
  /** Ascending by the UTF-8 bytes of the source names, as a body holds them. */
  positions: SourcePosition[] = [];
  /** Events read, duplicates included: how the main thread names a point in the stream. */
  seen = 0;

  /** The image: body in its final form, extension behind it. Address and allocated bytes. */
  image = 0;
  imageBytes = 0;
  /** Bytes of the image from its begin up to the section of sources. */
  sourcesAt = 0;
  /** Bytes of the image's body part. */
  bodyBytes = 0;
  extensionBytes = 0;

  uncoveredEvents = 0;
  uncoveredBytes = 0;
  firstUncoveredAt = 0;
  lastEventAt = 0;
  lastCheckpointAt = Number.NEGATIVE_INFINITY;
  /** A caller waits for durability: checkpoint at the end of the batch. */
  isWanted = false;
  /** In the list of dirty streams, ordered by their first uncovered event. */
  readonly ageLink: Link<ShardStream> = new Link<ShardStream>(this);
  /** In the list of pausing streams; used with `minPauseMs` only. */
  readonly pauseLink: Link<ShardStream> = new Link<ShardStream>(this);
  /** In the list of dirty streams, ordered by their last event; used with `idleMs` only. */
  readonly idleLink: Link<ShardStream> = new Link<ShardStream>(this);

  constructor(index: number, name: string, operators: HostedOperators) {
    this.index = index;
    this.name = name;
    this.operators = operators;
  }
}

/** A source as the shard has met it. */
export class ShardSource {
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

  constructor(name: string, nameBytes: Uint8Array) {
    this.name = name;
    this.nameBytes = nameBytes;
  }
}
