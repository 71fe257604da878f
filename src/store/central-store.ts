/**
 * The central bounded store: which checkpoints of which streams are in the engine's memory, which of
 * them wait for the durable store, and which leave when room is needed. Main thread only. It knows
 * frames by address and length; it never looks at their bytes.
 *
 * A frame is in one of these places:
 *
 *   stored ──▶ waiting ──▶ writing ──▶ durable ──▶ evicted
 *      │        │   ▲──refused──┘ └── refused, a newer one waits ──▶ superseded ──▶ evicted
 *      │        └── replaced by a newer one ──▶ superseded ──▶ evicted
 *      └── (memory only) superseded by a newer one
 *
 * Invariants:
 * - a stream has at most one waiting and at most one writing frame, and these are its newest;
 * - at most `perStream` frames a stream, not counting one that is being written;
 * - only durable and superseded frames are in an evictable list, the longest there first;
 * - a stream that is to be forgotten gives up what it has waiting, and what its shard still publishes of it, for their
 *   memory; its place in the queue stays, with their lows, and is passed over until the shard has given up the stream;
 * - a forgotten stream keeps no frame but one that is being written, which leaves when it is settled; until the
 *   durable store has forgotten the stream too, it has a place in the queue, and no frame behind that is taken: it may
 *   be of a new stream of the same name;
 * - the queue ascends by number, and what a refused batch had is in it again under its old numbers: nobody may be told
 *   that a place is passed while something before it still waits. Frames are taken in this order, which `#lows` relies
 *   on; while some are refused, those that are small enough are taken, and the lows are looked for among all that wait;
 * - `unsettled` counts, by shard, the frames that wait or are being written: while there are some, more
 *   memory can be given back later.
 */

import { LinkedList } from '../linked-list.ts';
import { type BatchLimits, fitting, longestWaiting, withReturned } from './commit-queue.ts';
import { type IndexedStream, leastLows, lowsOf, type SourceLow, type StoredFrame } from './stored-frame.ts';
import { WaitingLows } from './waiting-lows.ts';

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
  /** Streams with a waiting frame, given up, or to be forgotten, in the order in which they began to wait. */
  #queue = new Map<IndexedStream, number>();
  /** Of these, the ones that are given up, which their shards do not know yet. */
  readonly #givenUp = new Set<IndexedStream>();
  /** Of these, the ones to be forgotten that were not taken yet. */
  #forgotten = new Set<IndexedStream>();
  /** Undefined while frames are taken out of order. */
  #lows: WaitingLows | undefined = new WaitingLows();
  #enqueued = 0;
  /** Frames of forgotten streams that are being written. */
  readonly #leaving = new Set<StoredFrame>();
  /** Streams whose waiting frame the durable store has refused. */
  refusedStreams = 0;
  frameCount = 0;
  frameBytes = 0;
  /** Of the frames that wait. */
  waitingBytes = 0;
  /** Of the smallest frame that has begun to wait since a batch was taken. */
  smallestNewBytes = Number.POSITIVE_INFINITY;

  constructor(options: CentralStoreOptions) {
    this.#options = options;
    this.#evictable = Array.from({ length: options.shards }, () => new LinkedList<StoredFrame>());
    this.#unsettled = new Array<number>(options.shards).fill(0);
  }

  /** A frame that a shard has just published. */
  add(frame: StoredFrame): void {
    const { stream } = frame;
    if (stream.isGivenUp) {
      this.#pin(stream, frame.lows);
      this.#options.release(frame);
      return;
    }
    const previous = stream.newest;
    stream.frames.push(frame);
    this.#hold(frame);
    if (this.#options.isDurable) this.#enqueue(frame);
    else if (previous !== undefined) this.#makeEvictable(previous, 'superseded');
    this.#retain(stream);
  }

  /** A frame that the durable store had: restored into memory. */
  addDurable(frame: StoredFrame): void {
    frame.stream.frames.push(frame);
    this.#hold(frame);
    this.#makeEvictable(frame, 'durable');
  }

  /** Nothing waits for the durable store; what is given up does so only once its shard has told. */
  get isIdle(): boolean {
    return this.waitingFrames === 0;
  }

  get waitingFrames(): number {
    return this.#queue.size - this.#givenUp.size;
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
    for (const stream of this.#queue.keys()) if (!this.#givenUp.has(stream)) return stream.isForgotten;
    return false;
  }

  /**
   * Frames for the next commit; they count as being written. Those that wait longest come first, and one at least. While
   * some are refused, those are passed over that do not fit into `bytes`; if none does, it is the smallest.
   */
  takeBatch(limits: BatchLimits): { frames: StoredFrame[]; through: number } {
    this.smallestNewBytes = Number.POSITIVE_INFINITY;
    const frames = (this.#lows === undefined ? fitting : longestWaiting)(this.#queue.keys(), limits);
    for (const frame of frames) {
      const { stream } = frame;
      frame.number = this.#queue.get(stream) as number;
      this.#queue.delete(stream);
      this.#noteRefused(stream, false);
      stream.waiting = undefined;
      stream.writing = frame;
      frame.state = 'writing';
      this.waitingBytes -= frame.bytes;
    }
    const through = this.settledThrough;
    this.#lows?.takeThrough(through);
    return { frames, through };
  }

  /**
   * The durable store has refused a batch. Nothing of it counts as durable: its frames wait again in their places,
   * unless newer ones have come, which take those over; that of a stream which was given up meanwhile leaves.
   */
  putBack(frames: readonly StoredFrame[]): void {
    this.#lows = undefined;
    for (const frame of frames) this.#putBack(frame);
    for (const { stream } of frames) this.#queue.delete(stream);
    this.#queue = withReturned(this.#queue, frames);
  }

  #putBack(frame: StoredFrame): void {
    const { stream } = frame;
    const newer = stream.waiting;
    stream.writing = undefined;
    if (stream.isGivenUp) {
      stream.forgottenLows = leastLows(frame.lows, stream.forgottenLows);
      if (!stream.isForgotten) this.#givenUp.add(stream);
      this.#addUnsettled(stream.shard, -1);
      this.#drop(frame);
      return;
    }
    this.#noteRefused(stream, true);
    if (newer === undefined) {
      stream.waiting = frame;
      frame.state = 'waiting';
      this.waitingBytes += frame.bytes;
      return;
    }
    newer.lows = leastLows(frame.lows, newer.lows);
    this.#addUnsettled(stream.shard, -1);
    this.#makeEvictable(frame, 'superseded');
    this.#retain(stream);
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
    this.#restoreOrder();
  }

  /**
   * The stream is to be forgotten, and its shard may come to know of that only when there is memory: what it has waiting
   * leaves now, and so will what the shard publishes of it meanwhile.
   *
   * Frontiers are held back as before by what leaves, in its place, until the durable store has forgotten the stream. So
   * after a crash it is as its last durable checkpoint has it, and its events since are read again. A frame that is
   * being written stays what it is: the store may be reading it. Should the shard's thread die, the one that follows
   * does not bring the stream back: there may be nothing left to do it from (`handover.ts`).
   */
  giveUp(stream: IndexedStream): void {
    if (!this.#options.isDurable) return;
    const { waiting } = stream;
    stream.isGivenUp = true;
    if (waiting === undefined) return;
    stream.waiting = undefined;
    stream.forgottenLows = waiting.lows;
    this.#givenUp.add(stream);
    this.#noteRefused(stream, false);
    this.waitingBytes -= waiting.bytes;
    this.#addUnsettled(stream.shard, -1);
    this.#drop(waiting);
  }

  /**
   * The stream is over. Its frames leave; `lows` of its events that are in none of them, and those of frames that
   * were given up, hold back frontiers until the durable store has forgotten it: before that, a crash brings it back
   * with its last durable checkpoint.
   */
  forget(stream: IndexedStream, lows: readonly SourceLow[]): void {
    this.giveUp(stream);
    const { writing } = stream;
    stream.isForgotten = true;
    for (const frame of stream.frames.filter((each) => each !== writing)) this.#drop(frame);
    if (writing !== undefined) this.#leaving.add(writing);
    if (!this.#options.isDurable) return;
    this.#pin(stream, lows);
    this.#givenUp.delete(stream);
    this.#forgotten.add(stream);
  }

  /** Holds back frontiers with `lows`, in the place of a stream that is given up. */
  #pin(stream: IndexedStream, lows: readonly SourceLow[]): void {
    stream.forgottenLows = leastLows(stream.forgottenLows, lows);
    if (!this.#queue.has(stream)) this.#queue.set(stream, ++this.#enqueued);
    this.#givenUp.add(stream);
    this.#lows?.add(this.#queue.get(stream) as number, lows);
  }

  /** The next streams for the durable store to forget, at most so many; none may have a frame that is being written. */
  takeForgotten(most: number): IndexedStream[] {
    const streams: IndexedStream[] = [];
    for (const stream of this.#forgotten) {
      if (streams.length === most) break;
      this.#forgotten.delete(stream);
      streams.push(stream);
    }
    return streams;
  }

  /** The durable store has refused to forget them: they are the next ones again. */
  putBackForgotten(streams: readonly IndexedStream[]): void {
    this.#forgotten = new Set([...streams, ...this.#forgotten]);
  }

  /** The durable store has forgotten what was taken. */
  settleForgotten(streams: readonly IndexedStream[]): void {
    for (const stream of streams) this.#queue.delete(stream);
    // Behind a stream that still waits their lows stay until it is taken: too low for a while, never too high.
    this.#lows?.takeThrough(this.settledThrough);
    this.#restoreOrder();
  }

  /** Lows of the frames that wait and the streams that wait to be forgotten; the least of each source is one of them. */
  waitingLows(): Iterable<SourceLow> {
    return this.#lows?.least() ?? this.#allLows();
  }

  /** A source may come several times. */
  *#allLows(): Generator<SourceLow> {
    for (const stream of this.#queue.keys()) yield* lowsOf(stream);
  }

  /** Once nothing is refused any more, frames are taken in order again, and their lows with them. */
  #restoreOrder(): void {
    if (this.#lows !== undefined || this.refusedStreams > 0) return;
    this.#lows = new WaitingLows();
    for (const [stream, number] of this.#queue) this.#lows.add(number, lowsOf(stream));
  }

  #noteRefused(stream: IndexedStream, isRefused: boolean): void {
    if (stream.isRefused === isRefused) return;
    stream.isRefused = isRefused;
    this.refusedStreams += isRefused ? 1 : -1;
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

  /** Frames of the shard that are in memory though their streams are over. */
  *leaving(shard: number): Generator<StoredFrame> {
    for (const frame of this.#leaving) if (frame.stream.shard === shard) yield frame;
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
    this.smallestNewBytes = Math.min(this.smallestNewBytes, frame.bytes);
    this.waitingBytes += frame.bytes - (replaced?.bytes ?? 0);
    if (replaced === undefined) {
      this.#queue.set(stream, ++this.#enqueued);
      this.#lows?.add(this.#enqueued, frame.lows);
      this.#addUnsettled(stream.shard, 1);
      return;
    }
    // The stream keeps its place in the queue, and what the replaced frame was first to cover.
    this.#lows?.add(this.#queue.get(stream) as number, frame.lows);
    frame.lows = leastLows(replaced.lows, frame.lows);
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
    this.#release(frame);
  }

  #hold(frame: StoredFrame): void {
    this.frameCount++;
    this.frameBytes += frame.bytes;
  }

  #release(frame: StoredFrame): void {
    this.#leaving.delete(frame);
    this.frameCount--;
    this.frameBytes -= frame.bytes;
    this.#options.release(frame);
  }
}
