/**
 * The central bounded store: which checkpoints of which streams are in the engine's memory, which of
 * them wait for the durable store, and which leave when room is needed. Main thread only. It knows
 * frames by address and length; it never looks at their bytes.
 *
 * A frame is in one of these places:
 *
 *   stored ──▶ waiting ──▶ writing ──▶ durable ──▶ evicted
 *      │          └── replaced by a newer one ──▶ superseded ──▶ evicted
 *      └── (memory only) superseded by a newer one
 *
 * Invariants:
 * - a stream has at most one waiting and at most one writing frame, and these are its newest;
 * - at most `perStream` frames a stream, not counting one that is being written;
 * - only durable and superseded frames are in an evictable list, the longest there first;
 * - a forgotten stream keeps no frame but one that is being written, which leaves when it is settled; until the
 *   durable store has forgotten the stream too, it has a place in the queue, and no frame behind that is taken: it may
 *   be of a new stream of the same name;
 * - `unsettled` counts, by shard, the frames that wait or are being written: while there are some, more
 *   memory can be given back later.
 */
import { Link, LinkedList } from '../linked-list.ts';
import { WaitingLows } from './waiting-lows.ts';

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
  readonly lows: readonly SourceLow[];
  state: FrameState = 'stored';
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
  /** It is over; what comes under its name is another stream. */
  isForgotten = false;

  constructor(name: string, shard: number) {
    this.name = name;
    this.shard = shard;
  }

  get newest(): StoredFrame | undefined {
    return this.frames.at(-1);
  }
}

export interface CentralStoreOptions {
  readonly shards: number;
  readonly perStream: number;
  /** Whether frames are handed on to a durable store. */
  readonly isDurable: boolean;
  /** Gives the memory of an evicted frame back to its shard. */
  readonly release: (frame: StoredFrame) => void;
}

export class CentralStore {
  readonly #options: CentralStoreOptions;
  readonly #evictable: LinkedList<StoredFrame>[];
  readonly #unsettled: number[];
  /** Streams with a waiting frame, or to be forgotten, in the order in which they began to wait. */
  readonly #queue = new Map<IndexedStream, number>();
  /** Of these, the ones to be forgotten that were not taken yet. */
  readonly #forgotten = new Set<IndexedStream>();
  readonly #lows = new WaitingLows();
  #enqueued = 0;
  frameCount = 0;
  frameBytes = 0;
  /** Of the frames that wait. */
  waitingBytes = 0;

  constructor(options: CentralStoreOptions) {
    this.#options = options;
    this.#evictable = Array.from({ length: options.shards }, () => new LinkedList<StoredFrame>());
    this.#unsettled = new Array<number>(options.shards).fill(0);
  }

  /** A frame that a shard has just published. */
  add(frame: StoredFrame): void {
    const { stream } = frame;
    const previous = stream.newest;
    stream.frames.push(frame);
    this.frameCount++;
    this.frameBytes += frame.bytes;
    if (this.#options.isDurable) this.#enqueue(frame);
    else if (previous !== undefined) this.#makeEvictable(previous, 'superseded');
    this.#retain(stream);
  }

  /** A frame that the durable store had: restored into memory. */
  addDurable(frame: StoredFrame): void {
    frame.stream.frames.push(frame);
    this.frameCount++;
    this.frameBytes += frame.bytes;
    this.#makeEvictable(frame, 'durable');
  }

  get isIdle(): boolean {
    return this.#queue.size === 0;
  }

  get waitingFrames(): number {
    return this.#queue.size;
  }

  /** Number of the last stream that began to wait. */
  get enqueued(): number {
    return this.#enqueued;
  }

  /** Number up to which nothing waits. Exact while nothing is being written or forgotten. */
  get settledThrough(): number {
    const [first] = this.#queue.values();
    return first === undefined ? this.#enqueued : first - 1;
  }

  /** Streams wait for the durable store to forget them. */
  get hasForgotten(): boolean {
    return this.#forgotten.size > 0;
  }

  /** `takeBatch` would find nothing before a stream that waits to be forgotten. */
  get isForgottenNext(): boolean {
    const [first] = this.#queue.keys();
    return first?.isForgotten === true;
  }

  /** Frames for the next commit, those that wait longest first; they count as being written. */
  takeBatch(limits: { frames: number; bytes: number }): { frames: StoredFrame[]; through: number } {
    const frames: StoredFrame[] = [];
    let bytes = 0;
    let through = this.#enqueued;
    for (const [stream, number] of this.#queue) {
      if (stream.isForgotten) {
        through = number - 1;
        break;
      }
      const frame = stream.waiting as StoredFrame;
      if (frames.length > 0 && (frames.length >= limits.frames || bytes + frame.bytes > limits.bytes)) {
        through = number - 1;
        break;
      }
      this.#queue.delete(stream);
      stream.waiting = undefined;
      stream.writing = frame;
      frame.state = 'writing';
      frames.push(frame);
      bytes += frame.bytes;
    }
    this.waitingBytes -= bytes;
    this.#lows.takeThrough(through);
    return { frames, through };
  }

  /** The frames of a batch are durable. */
  settle(frames: readonly StoredFrame[]): void {
    for (const frame of frames) {
      const { stream } = frame;
      stream.writing = undefined;
      this.#addUnsettled(stream.shard, -1);
      this.#makeEvictable(frame, 'durable');
      this.#retain(stream);
    }
  }

  /**
   * The stream is over. Its frames leave; `lows` of its events that are in none of them, and those of a frame that
   * waited, hold back frontiers until the durable store has forgotten it: before that, a crash brings it back
   * with its last durable checkpoint.
   */
  forget(stream: IndexedStream, lows: readonly SourceLow[]): void {
    const { waiting, writing } = stream;
    stream.isForgotten = true;
    stream.waiting = undefined;
    if (waiting !== undefined) {
      this.waitingBytes -= waiting.bytes;
      this.#addUnsettled(stream.shard, -1);
    }
    for (const frame of stream.frames.filter((each) => each !== writing)) this.#drop(frame);
    if (!this.#options.isDurable) return;
    // In the place of its waiting frame, under whose number the lows of that one are kept.
    if (waiting === undefined) this.#queue.set(stream, ++this.#enqueued);
    this.#lows.add(this.#queue.get(stream) as number, lows);
    this.#forgotten.add(stream);
  }

  /** The next streams for the durable store to forget, at most so many; nothing of theirs may be under way to it. */
  takeForgotten(most: number): IndexedStream[] {
    const streams: IndexedStream[] = [];
    for (const stream of this.#forgotten) {
      if (streams.length === most) break;
      this.#forgotten.delete(stream);
      streams.push(stream);
    }
    return streams;
  }

  /** The durable store has forgotten what was taken. */
  settleForgotten(streams: readonly IndexedStream[]): void {
    for (const stream of streams) this.#queue.delete(stream);
    // Behind a stream that still waits their lows stay until it is taken: too low for a while, never too high.
    this.#lows.takeThrough(this.settledThrough);
  }

  /** The least low of each source among the frames that wait and the streams that wait to be forgotten. */
  waitingLows(): Iterable<SourceLow> {
    return this.#lows.least();
  }

  /** Evicts frames of a shard until `bytes` are freed or nothing may leave; returns the bytes freed. */
  evict(shard: number, bytes: number): number {
    const list = this.#evictable[shard] as LinkedList<StoredFrame>;
    let freed = 0;
    for (let link = list.head; link !== undefined && freed < bytes; link = list.head) {
      freed += link.owner.bytes;
      this.#drop(link.owner);
    }
    return freed;
  }

  /** Whether frames of the shard are on their way to becoming evictable. */
  hasUnsettled(shard: number): boolean {
    return (this.#unsettled[shard] as number) > 0;
  }

  #enqueue(frame: StoredFrame): void {
    const { stream } = frame;
    const replaced = stream.waiting;
    frame.state = 'waiting';
    stream.waiting = frame;
    this.waitingBytes += frame.bytes - (replaced?.bytes ?? 0);
    if (replaced === undefined) {
      this.#queue.set(stream, ++this.#enqueued);
      this.#lows.add(this.#enqueued, frame.lows);
      this.#addUnsettled(stream.shard, 1);
      return;
    }
    // The stream keeps its place in the queue, and what the replaced frame was first to cover.
    this.#lows.add(this.#queue.get(stream) as number, frame.lows);
    this.#makeEvictable(replaced, 'superseded');
  }

  #addUnsettled(shard: number, change: number): void {
    this.#unsettled[shard] = (this.#unsettled[shard] as number) + change;
  }

  #makeEvictable(frame: StoredFrame, state: 'durable' | 'superseded'): void {
    frame.state = state;
    (this.#evictable[frame.stream.shard] as LinkedList<StoredFrame>).append(frame.evictableLink);
  }

  #retain(stream: IndexedStream): void {
    let excess = stream.frames.length - (stream.isForgotten ? 0 : this.#options.perStream);
    for (let at = 0; excess > 0 && at < stream.frames.length; excess--) {
      const frame = stream.frames[at] as StoredFrame;
      if (frame.state === 'durable' || frame.state === 'superseded') this.#drop(frame);
      else at++;
    }
  }

  #drop(frame: StoredFrame): void {
    const { frames } = frame.stream;
    frames.splice(frames.indexOf(frame), 1);
    (this.#evictable[frame.stream.shard] as LinkedList<StoredFrame>).remove(frame.evictableLink);
    this.frameCount--;
    this.frameBytes -= frame.bytes;
    this.#options.release(frame);
  }
}
