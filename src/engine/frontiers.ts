/**
 * The frontier of every source: the least offset of an event that no durable checkpoint covers, and the
 * greatest next offset when all are covered. Main thread only.
 *
 * A pushed event is in one of these places until it is durable, and each place bounds the frontier:
 *
 *   waiting to be accepted       `#waitingLow`: offset of the first waiting event, or less
 *   withdrawn, not yet again     `#withdrawnLow`: its offset, until an event of the source is accepted
 *   in a ring, unread            `unreadLow` of its shard: offset of the first unread event, or less
 *   applied, in no frame         `openLow` of its shard, as the shard last reported it
 *   held out of its stream       a hold, until it is durable after all or given up
 *   in a frame, not yet durable  the frame's lows, kept by the central store
 *
 * A shard publishes a frame before it reports the open low that the frame raised, and reports both in
 * order; so an event is never missing from all of them. Between reports the result can be too low, never
 * too high.
 */
import type { U64 } from './event.ts';

interface ShardProgress {
  /** Events of the source pushed to the shard, and of these the ones that it reported as read. */
  pushed: number;
  read: number;
  /** At most the offset of the first unread event; means nothing while `pushed === read`. */
  unreadLow: U64;
  openLow: bigint | undefined;
}

export class SourceProgress {
  readonly index: number;
  readonly name: string;
  /** Offsets of the first and the last event of this life that was accepted or waits to be; they never decrease. */
  firstOffset: U64 | undefined;
  lastOffset: U64 | undefined;
  /** Greatest next offset accepted in this life. */
  greatestNext: U64 | undefined;
  /** Frontier at which this life began. */
  readonly restored: bigint | undefined;
  /** Shards whose ring holds the definition of the source. */
  readonly isDefinedOn: boolean[] = [];
  readonly #shards: ShardProgress[] = [];
  /** Events that wait to be accepted; while there are some, at most the offset of the first. */
  #waiting = 0;
  #waitingLow: U64 = 0n;
  /** Of the last event accepted in this life. */
  #acceptedOffset: U64 | undefined;
  /** Offset of the first event that waited in vain since one was accepted. */
  #withdrawnLow: U64 | undefined;
  /** Offsets of events that are held out of all of this, and of what comes after them. */
  readonly #holds = new Set<{ readonly offset: U64 }>();

  constructor(index: number, name: string, restored: bigint | undefined) {
    this.index = index;
    this.name = name;
    this.restored = restored;
  }

  /** An event at `offset` is accepted, or waits to be; then one that waits behind it may be noted already. */
  noteOffset(offset: U64): void {
    this.firstOffset ??= offset;
    if (this.lastOffset === undefined || offset > this.lastOffset) this.lastOffset = offset;
  }

  /**
   * An event at `offset` waits to be accepted. An earlier event of the same record may be covered by then,
   * and a frontier behind the record would have this one skipped after a crash.
   */
  onWait(offset: U64): void {
    this.noteOffset(offset);
    // What was held out waits once more, and may do so behind later events.
    if (this.#waiting === 0 || offset < this.#waitingLow) this.#waitingLow = offset;
    this.#waiting++;
  }

  /** The first event that waits, which is at `offset`, is accepted. */
  onWaited(offset: U64): void {
    this.#waiting--;
    this.#waitingLow = offset;
  }

  /**
   * An event at `offset` that waits never will be accepted: whoever pushed it is told, and may push it again, though
   * others behind it waited, too. An earlier event of the record may be accepted: a crash before that must not skip it.
   */
  onWithdrawn(offset: U64): void {
    this.#waiting--;
    if (this.#withdrawnLow === undefined || offset < this.#withdrawnLow) this.#withdrawnLow = offset;
    this.lastOffset = this.#acceptedOffset;
    if (this.#acceptedOffset === undefined) this.firstOffset = undefined;
  }

  /** No event of it was ever accepted, or waits to be, none is held out, and no shard has its definition. */
  get isUnused(): boolean {
    const isKnown = this.restored !== undefined || this.greatestNext !== undefined || this.#waiting > 0;
    return !isKnown && this.#holds.size === 0 && !this.isDefinedOn.includes(true);
  }

  onPush(shard: number, offset: U64, nextOffset: U64): void {
    this.#onAccepted(offset, nextOffset);
    const progress = this.#on(shard);
    if (progress.pushed === progress.read) progress.unreadLow = offset;
    progress.pushed++;
  }

  /** An event at `offset` is accepted, and held out of its stream; `hold` pins the frontier for it. */
  onHeldOut(offset: U64, nextOffset: U64): void {
    this.noteOffset(offset);
    this.#onAccepted(offset, nextOffset);
  }

  /** Keeps the frontier from passing `offset`. Returns what lets it. */
  readonly hold = (offset: U64): (() => void) => {
    const hold = { offset };
    this.#holds.add(hold);
    return () => void this.#holds.delete(hold);
  };

  /** Events that were held out come again, out of order. */
  #onAccepted(offset: U64, nextOffset: U64): void {
    if (this.#acceptedOffset === undefined || offset >= this.#acceptedOffset) this.#acceptedOffset = offset;
    if (this.#withdrawnLow !== undefined && offset >= this.#withdrawnLow) this.#withdrawnLow = undefined;
    if (this.greatestNext === undefined || nextOffset > this.greatestNext) this.greatestNext = nextOffset;
  }

  /** The shard has read `read` events of the source, the last at `lastOffset`. */
  onReport(shard: number, report: { read: number; lastOffset: bigint; openLow: bigint | undefined }): void {
    const progress = this.#on(shard);
    progress.read = report.read;
    progress.openLow = report.openLow;
    // What is still unread was pushed after what was read, and offsets never decrease.
    if (report.lastOffset > progress.unreadLow) progress.unreadLow = report.lastOffset;
  }

  /** What the events of the shard that are not in checkpoints hold the frontier at. */
  lowOn(shard: number): bigint | undefined {
    return lowOf(this.#on(shard));
  }

  /** Events of the source pushed to the shard. */
  pushedTo(shard: number): number {
    return this.#on(shard).pushed;
  }

  /** The shard begins anew: it will read `unread` events of the source once more or for the first time, from `low` on. */
  onTakeOver(shard: number, unread: number, low: bigint): void {
    const progress = this.#on(shard);
    progress.openLow = lowOf(progress);
    progress.read = progress.pushed - unread;
    progress.unreadLow = low;
  }

  /** Where reading goes on; undefined: from the start. */
  get position(): bigint | undefined {
    if (this.#withdrawnLow !== undefined) return BigInt(this.#withdrawnLow);
    return greater(this.restored, this.greatestNext);
  }

  /** `pending` is the least low of the source among frames that are not durable, if there is one. */
  frontier(pending: bigint | undefined): bigint | undefined {
    let least = pending;
    if (this.#waiting > 0) least = lesser(least, BigInt(this.#waitingLow));
    if (this.#withdrawnLow !== undefined) least = lesser(least, BigInt(this.#withdrawnLow));
    for (const progress of this.#shards) {
      const low = progress === undefined ? undefined : lowOf(progress);
      if (low !== undefined) least = lesser(least, low);
    }
    let frontier = least ?? greater(this.restored, this.greatestNext);
    // Not among those: what is held out since an earlier life may lie ahead of all that has been read again.
    for (const { offset } of this.#holds)
      if (frontier !== undefined && offset < frontier) frontier = BigInt(offset);
    return frontier;
  }

  #on(shard: number): ShardProgress {
    let progress = this.#shards[shard];
    if (progress === undefined) {
      progress = { pushed: 0, read: 0, unreadLow: 0n, openLow: undefined };
      this.#shards[shard] = progress;
    }
    return progress;
  }
}

/** The frontiers of all `sources`, given the lows of the frames that are not durable. */
export function computeFrontiers(
  sources: Iterable<SourceProgress>,
  pendingLows: Iterable<{ source: number; offset: bigint }>,
): Map<string, bigint> {
  const pending: (bigint | undefined)[] = [];
  for (const low of pendingLows) pending[low.source] = lesser(pending[low.source], low.offset);
  const frontiers = new Map<string, bigint>();
  for (const source of sources) {
    const frontier = source.frontier(pending[source.index]);
    if (frontier !== undefined) frontiers.set(source.name, frontier);
  }
  return frontiers;
}

function lowOf({ openLow, pushed, read, unreadLow }: ShardProgress): bigint | undefined {
  return pushed === read ? openLow : lesser(openLow, BigInt(unreadLow));
}

/** What was reached before this life stays reached while it is replayed. */
function greater(restored: bigint | undefined, next: U64 | undefined): bigint | undefined {
  if (next === undefined) return restored;
  const reached = BigInt(next);
  return restored !== undefined && restored > reached ? restored : reached;
}

function lesser(a: bigint | undefined, b: bigint): bigint {
  return a === undefined || b < a ? b : a;
}
