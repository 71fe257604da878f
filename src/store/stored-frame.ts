/**
 * A checkpoint in the engine's memory and the stream that it is of, as the central store keeps them. They are known by
 * address and length; nothing here looks at bytes. Main thread only.
 */
import { Link } from '../linked-list.ts';

/** The low of a frame for one source: offset of the first event that older frames do not cover. */
export interface SourceLow {
  readonly source: number;
  readonly offset: bigint;
}

export type FrameState = 'stored' | 'waiting' | 'writing' | 'durable' | 'superseded';

export class StoredFrame {
  readonly stream: IndexedStream;
  readonly sequence: bigint;
  readonly address: number;
  readonly bytes: number;
  /** Events of the stream, duplicates included, that the frame covers. */
  seen: number;
  /** While it waits, with those of the frames of its stream that have waited since one was durable. */
  lows: readonly SourceLow[];
  state: FrameState = 'stored';
  /** Number under which it waited, once it is taken. */
  number = 0;
  readonly evictableLink: Link<StoredFrame> = new Link<StoredFrame>(this);

  constructor(
    stream: IndexedStream,
    frame: { sequence: bigint; address: number; bytes: number; seen: number; lows: readonly SourceLow[] },
  ) {
    this.stream = stream;
    this.sequence = frame.sequence;
    this.address = frame.address;
    this.bytes = frame.bytes;
    this.seen = frame.seen;
    this.lows = frame.lows;
  }
}

/** The store's side of a stream. */
export class IndexedStream {
  readonly name: string;
  readonly shard: number;
  /** Ascending: oldest first. */
  readonly frames: StoredFrame[] = [];
  waiting: StoredFrame | undefined;
  writing: StoredFrame | undefined;
  /** The durable store has refused what it has waiting. */
  isRefused = false;
  /** It is to be forgotten, and its frames that wait are given up; its shard may not know of it yet. */
  isGivenUp = false;
  /** It is over; what comes under its name is another stream. */
  isForgotten = false;
  /** Of its events that were in no durable checkpoint when it was given up or forgotten. */
  forgottenLows: readonly SourceLow[] = [];

  constructor(name: string, shard: number) {
    this.name = name;
    this.shard = shard;
  }

  get newest(): StoredFrame | undefined {
    return this.frames.at(-1);
  }
}

/** Of what the stream waits with. */
export function lowsOf({ waiting, forgottenLows }: IndexedStream): readonly SourceLow[] {
  return waiting?.lows ?? forgottenLows;
}

/** The least of each source; mostly `earlier`, whose events came first. */
export function leastLows(earlier: readonly SourceLow[], later: readonly SourceLow[]): readonly SourceLow[] {
  const isCovered = ({ source, offset }: SourceLow): boolean =>
    earlier.some((low) => low.source === source && low.offset <= offset);
  if (later.every(isCovered)) return earlier;
  const more = later.filter((low) => !isCovered(low));
  return [...earlier.filter(({ source }) => !more.some((low) => low.source === source)), ...more];
}
