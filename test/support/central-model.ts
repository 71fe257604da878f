/**
 * A central store under test beside plain lists of what was added and released, and its invariants. They
 * are checked over all frames after every step.
 */
import { expect } from 'vitest';
import { CentralStore } from '../../src/store/central-store.ts';
import { IndexedStream, type SourceLow, StoredFrame } from '../../src/store/stored-frame.ts';

export class CentralBench {
  readonly store: CentralStore;
  /** One that is forgotten is followed by a new one of the name. */
  readonly streams: IndexedStream[];
  readonly #forgotten: IndexedStream[] = [];
  readonly released: StoredFrame[] = [];
  readonly added: StoredFrame[] = [];
  /** In the order in which they became evictable. */
  evictable: StoredFrame[] = [];
  /** By stream: the least low of each source since a frame of the stream was last taken. */
  readonly #lows = new Map<IndexedStream, Map<number, bigint>>();
  /** In the order in which they began to wait. */
  queue: { stream: IndexedStream; number: number }[] = [];
  /** By stream: the lows of its frame that is being written. */
  readonly #writingLows = new Map<IndexedStream, Map<number, bigint>>();
  /** Frames are taken out of order until nothing is refused any more. */
  #isInOrder = true;
  readonly #refused = new Set<IndexedStream>();
  /** Streams that are to be forgotten, until they are forgotten. */
  readonly #givenUp = new Set<IndexedStream>();
  /** Places in the queue that were left while ones before them stay, whose lows stay as long. */
  #ghosts: { lows: ReadonlyMap<number, bigint>; number: number }[] = [];
  #enqueued = 0;
  readonly #options: { shards: number; perStream: number; isDurable: boolean };
  /** Places before the last batch was taken. */
  #numbers: ReadonlyMap<IndexedStream, number> = new Map();
  #sequence = 0n;

  constructor(options: { shards: number; perStream: number; isDurable: boolean; streams: number }) {
    this.#options = options;
    this.store = new CentralStore({ ...options, release: (frame) => void this.released.push(frame) });
    this.streams = Array.from(
      { length: options.streams },
      (_, index) => new IndexedStream(`stream ${index}`, index % options.shards),
    );
  }

  add(index: number, bytes: number, lows: readonly SourceLow[] = []): StoredFrame {
    const stream = this.streams[index] as IndexedStream;
    const { waiting, newest } = stream;
    const before = this.released.length;
    const frame = this.#frame(stream, bytes, lows);
    this.store.add(frame);
    if (this.#givenUp.has(stream)) {
      expect(this.released.slice(before)).toEqual([frame]);
      this.#pin(stream, lows);
      return frame;
    }
    if (this.#options.isDurable) this.#noteWaiting(frame, waiting);
    else if (newest !== undefined) this.evictable.push(newest);
    this.#noteReleases(before, (each) => each.stream === stream);
    return frame;
  }

  restore(index: number, bytes: number): StoredFrame {
    const frame = this.#frame(this.streams[index] as IndexedStream, bytes, []);
    this.store.addDurable(frame);
    this.evictable.push(frame);
    return frame;
  }

  take(limits: { frames: number; bytes: number }): { frames: StoredFrame[]; through: number } {
    const expected = this.#isInOrder ? this.#longestWaiting(limits) : this.#fitting(limits);
    this.#numbers = new Map(this.queue.map(({ stream, number }) => [stream, number]));
    const batch = this.store.takeBatch(limits);
    expect(batch.frames).toEqual(expected);
    const left = this.queue.filter(({ stream }) => !expected.some((frame) => frame.stream === stream));
    expect(batch.through).toBe(left[0] === undefined ? this.#enqueued : left[0].number - 1);
    this.queue = left;
    for (const { stream } of batch.frames) {
      const lows = this.#lows.get(stream) ?? new Map<number, bigint>();
      this.#writingLows.set(stream, lows);
      // Only a stream that is given up is passed over while frames are taken in order.
      if (this.#isInOrder) this.#ghosts.push({ lows, number: this.#numbers.get(stream) as number });
      this.#lows.delete(stream);
      this.#refused.delete(stream);
    }
    this.#layGhosts();
    return batch;
  }

  #longestWaiting(limits: { frames: number; bytes: number }): StoredFrame[] {
    const expected: StoredFrame[] = [];
    let bytes = 0;
    for (const waiting of this.#takeable()) {
      bytes += waiting.bytes;
      if (expected.length > 0 && (expected.length === limits.frames || bytes > limits.bytes)) break;
      expected.push(waiting);
    }
    return expected;
  }

  /** While something is refused: what fits, or else the smallest. */
  #fitting(limits: { frames: number; bytes: number }): StoredFrame[] {
    const expected: StoredFrame[] = [];
    let left = limits.bytes;
    const takeable = this.#takeable();
    for (const waiting of takeable) {
      if (expected.length === limits.frames || waiting.bytes > left) continue;
      expected.push(waiting);
      left -= waiting.bytes;
    }
    if (expected.length > 0) return expected;
    return takeable.toSorted((a, b) => a.bytes - b.bytes).slice(0, 1);
  }

  /** Those before a stream that is forgotten, but for the ones that are given up. */
  #takeable(): StoredFrame[] {
    const forgotten = this.queue.findIndex(({ stream }) => stream.isForgotten);
    const before = forgotten < 0 ? this.queue : this.queue.slice(0, forgotten);
    return before.flatMap(({ stream }) => {
      if (this.#givenUp.has(stream)) return [];
      if (stream.waiting === undefined) throw new Error('what is in the queue waits');
      return [stream.waiting];
    });
  }

  /** The durable store has refused what was taken last. */
  putBack(frames: readonly StoredFrame[]): void {
    const newer = frames.filter(({ stream }) => stream.waiting !== undefined);
    const isOver = (stream: IndexedStream): boolean => stream.isForgotten || this.#givenUp.has(stream);
    const gone = frames.filter(({ stream }) => isOver(stream));
    const before = this.released.length;
    this.store.putBack(frames);
    this.#isInOrder = false;
    this.#ghosts = [];
    const streams = new Set(frames.map(({ stream }) => stream));
    const back = [...streams].map((stream) => ({ stream, number: this.#numbers.get(stream) as number }));
    this.queue = [...this.queue.filter(({ stream }) => !streams.has(stream)), ...back].toSorted(
      (a, b) => a.number - b.number,
    );
    for (const stream of streams) {
      const lows = this.#writingLows.get(stream) ?? [];
      this.#noteLows(
        stream,
        [...lows].map(([source, offset]) => ({ source, offset })),
      );
      if (!isOver(stream)) this.#refused.add(stream);
    }
    expect(this.released.slice(before)).toEqual(expect.arrayContaining(gone));
    this.evictable.push(...newer);
    this.#noteReleases(before, (each) => streams.has(each.stream), gone);
  }

  /** The stream is to be forgotten; its shard goes on with it until `forget`. */
  giveUp(index: number): IndexedStream {
    const stream = this.streams[index] as IndexedStream;
    const { waiting } = stream;
    const before = this.released.length;
    this.store.giveUp(stream);
    expect(this.released.slice(before)).toEqual(waiting === undefined ? [] : [waiting]);
    this.#givenUp.add(stream);
    this.#refused.delete(stream);
    return stream;
  }

  forget(index: number, lows: readonly SourceLow[] = []): IndexedStream {
    const stream = this.streams[index] as IndexedStream;
    const { frames, writing } = stream;
    const gone = frames.filter((frame) => frame !== writing);
    const before = this.released.length;
    this.store.forget(stream, lows);
    expect(new Set(this.released.slice(before))).toEqual(new Set(gone));
    this.evictable = this.evictable.filter((frame) => !gone.includes(frame));
    this.streams[index] = new IndexedStream(stream.name, stream.shard);
    this.#forgotten.push(stream);
    this.#givenUp.delete(stream);
    if (!this.#options.isDurable) return stream;
    this.#pin(stream, lows);
    this.#refused.delete(stream);
    return stream;
  }

  #pin(stream: IndexedStream, lows: readonly SourceLow[]): void {
    if (!this.queue.some((queued) => queued.stream === stream))
      this.queue.push({ stream, number: ++this.#enqueued });
    this.#noteLows(stream, lows);
  }

  settleForgotten(streams: readonly IndexedStream[]): void {
    this.store.settleForgotten(streams);
    for (const { stream, number } of this.queue) {
      if (this.#isInOrder && streams.includes(stream))
        this.#ghosts.push({ lows: this.#lows.get(stream) ?? new Map(), number });
    }
    this.queue = this.queue.filter(({ stream }) => !streams.includes(stream));
    this.#layGhosts();
    this.#restoreOrder();
  }

  #restoreOrder(): void {
    if (this.#refused.size === 0) this.#isInOrder = true;
  }

  #layGhosts(): void {
    const first = this.queue[0]?.number ?? Number.POSITIVE_INFINITY;
    this.#ghosts = this.#ghosts.filter(({ number }) => number > first);
    expect(this.store.settledThrough).toBe(Math.min(first - 1, this.#enqueued));
  }

  settle(frames: readonly StoredFrame[]): void {
    const before = this.released.length;
    this.store.settle(frames);
    const over = frames.filter(({ stream }) => stream.isForgotten);
    expect(over.filter((frame) => !this.released.includes(frame))).toEqual([]);
    this.evictable.push(...frames);
    const streams = new Set(frames.map(({ stream }) => stream));
    this.#noteReleases(before, (each) => streams.has(each.stream));
    this.#restoreOrder();
  }

  evict(shard: number, bytes: number): number {
    const expected: StoredFrame[] = [];
    let freed = 0;
    for (const frame of this.evictable.filter(({ stream }) => stream.shard === shard)) {
      if (freed >= bytes) break;
      expected.push(frame);
      freed += frame.bytes;
    }
    const before = this.released.length;
    expect(this.store.evict(shard, bytes)).toBe(freed);
    expect(this.released.slice(before)).toEqual(expected);
    this.evictable = this.evictable.filter((frame) => !expected.includes(frame));
    return freed;
  }

  check(): void {
    const streams = [...this.streams, ...this.#forgotten];
    const indexed = streams.flatMap(({ frames }) => frames);
    expect(new Set(this.released).size).toBe(this.released.length);
    expect(new Set([...indexed, ...this.released])).toEqual(new Set(this.added));
    expect(indexed.length + this.released.length).toBe(this.added.length);
    expect(this.store.frameCount).toBe(indexed.length);
    expect(this.store.frameBytes).toBe(indexed.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(this.store.enqueued).toBe(this.#enqueued);
    const queued = this.queue.filter(({ stream }) => !this.#givenUp.has(stream));
    expect(this.store.isIdle).toBe(queued.length === 0);
    expect(this.store.waitingFrames).toBe(queued.length);
    const waiting = this.queue.map(({ stream }) => stream.waiting?.bytes ?? 0);
    expect(this.store.waitingBytes).toBe(waiting.reduce((sum, bytes) => sum + bytes, 0));
    for (const stream of streams) this.#checkStream(stream);
    expect(this.store.isForgottenNext).toBe(queued[0]?.stream.isForgotten === true);
    for (let shard = 0; shard < this.#options.shards; shard++) {
      const peers = streams.filter((stream) => stream.shard === shard);
      const isUnsettled = peers.some(
        ({ waiting, writing }) => waiting !== undefined || writing !== undefined,
      );
      expect(this.store.hasUnsettled(shard)).toBe(isUnsettled);
    }
    const lows = new Map<number, bigint>();
    const held = [
      ...this.queue.map(({ stream }) => this.#lows.get(stream) ?? []),
      ...this.#ghosts.map((ghost) => ghost.lows),
    ];
    for (const [source, offset] of held.flatMap((each) => [...each])) lower(lows, source, offset);
    const found = new Map<number, bigint>();
    for (const { source, offset } of this.store.waitingLows()) lower(found, source, offset);
    expect(found).toEqual(lows);
    expect(this.store.refusedStreams).toBe(this.#refused.size);
  }

  #checkStream(stream: IndexedStream): void {
    const { frames, waiting, writing } = stream;
    expect(frames).toEqual(frames.toSorted((a, b) => Number(a.sequence - b.sequence)));
    expect(frames.filter(({ state }) => state === 'waiting')).toEqual(waiting === undefined ? [] : [waiting]);
    expect(frames.filter(({ state }) => state === 'writing')).toEqual(writing === undefined ? [] : [writing]);
    if (waiting !== undefined) expect(stream.newest).toBe(waiting);
    const kept = frames.filter((frame) => frame !== writing).length;
    expect(kept).toBeLessThanOrEqual(stream.isForgotten ? 0 : this.#options.perStream);
    for (const frame of frames) {
      const mayLeave = frame.state === 'durable' || frame.state === 'superseded';
      expect(this.evictable.includes(frame)).toBe(mayLeave);
    }
    const isIn = this.queue.some((queued) => queued.stream === stream);
    if (stream.isForgotten || this.#givenUp.has(stream)) expect(waiting).toBeUndefined();
    else expect(isIn).toBe(waiting !== undefined);
  }

  #frame(stream: IndexedStream, bytes: number, lows: readonly SourceLow[]): StoredFrame {
    const sequence = ++this.#sequence;
    const frame = new StoredFrame(stream, { sequence, address: Number(sequence) * 64, bytes, seen: 0, lows });
    this.added.push(frame);
    return frame;
  }

  #noteWaiting(frame: StoredFrame, replaced: StoredFrame | undefined): void {
    const { stream } = frame;
    if (replaced === undefined) this.queue.push({ stream, number: ++this.#enqueued });
    else this.evictable.push(replaced);
    this.#noteLows(stream, frame.lows);
  }

  #noteLows(stream: IndexedStream, added: readonly SourceLow[]): void {
    const lows = this.#lows.get(stream) ?? new Map<number, bigint>();
    for (const { source, offset } of added) lower(lows, source, offset);
    this.#lows.set(stream, lows);
  }

  /** What retention released was over the limit, could leave, and was the oldest of its stream to. */
  #noteReleases(
    before: number,
    isTouched: (frame: StoredFrame) => boolean,
    gone: readonly StoredFrame[] = [],
  ): void {
    for (const frame of this.released.slice(before)) {
      expect(isTouched(frame)).toBe(true);
      if (gone.includes(frame)) continue;
      const older = this.evictable.filter(
        ({ stream, sequence }) => stream === frame.stream && sequence < frame.sequence,
      );
      expect(older).toEqual([]);
      expect(this.evictable).toContain(frame);
      this.evictable = this.evictable.filter((each) => each !== frame);
      const { frames, writing } = frame.stream;
      // Were the released ones still there, there would be more than are to be kept.
      const most = frame.stream.isForgotten ? 0 : this.#options.perStream;
      expect(frames.length + this.released.length - before).toBeGreaterThan(most);
      expect(frame).not.toBe(writing);
    }
  }
}

function lower(lows: Map<number, bigint>, source: number, offset: bigint): void {
  const known = lows.get(source);
  if (known === undefined || offset < known) lows.set(source, offset);
}
