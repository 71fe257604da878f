/**
 * What an event reads and writes of its stream: a row for each stream of a shard, by the stream's number, in columns that
 * lie side by side. Of ten thousand streams no object is in the nearer caches, and each object that an event has to look
 * at is waited for, perhaps twice: for its header, and for its field. The rows of as many streams take less than half a
 * megabyte, and one load fetches all of a row.
 */
import type { CheckpointFacts } from '../checkpoint/schedule.ts';
import type { HostedHeap } from './operator-host.ts';
import type { ShardSource, ShardStream, SourcePosition } from './stream.ts';
import type { StreamSlot } from './stream-slot.ts';

/** A row: four f64, then four u32. */
const ROW_BYTES = 48;
const ROW_F64 = ROW_BYTES / 8;
const ROW_U32 = ROW_BYTES / 4;
const SEEN = 0;
const UNCOVERED_EVENTS = 1;
const UNCOVERED_BYTES = 2;
const FIRST_UNCOVERED_AT = 3;
const IMAGE = 8;
const OFFSET_ADDRESS = 9;
const SOURCE = 10;
/** Flags, and above them how many bytes of the image are kept before each event. */
const STATE = 11;
const OPEN = 1;
const ASIDE = 2;
const PASSED_OVER = 4;
const HELD = 8;
const KEPT_SHIFT = 8;
const FLAGS = (1 << KEPT_SHIFT) - 1;
const ROWS_MIN = 64;

/** The rows of a shard's streams, and the objects that an event may need besides. */
export class StreamColumns {
  /** By the main thread's numbers; undefined where a stream is forgotten. */
  readonly streams: (ShardStream | undefined)[] = [];
  /** What streams that have one operator run: its slot if it is of kind `'slot'`, else it and its state. */
  readonly slots: (StreamSlot | undefined)[] = [];
  readonly heaps: (HostedHeap | undefined)[] = [];
  f64 = new Float64Array(ROWS_MIN * ROW_F64);
  u32 = new Uint32Array(this.f64.buffer);

  /** Gives the stream its row: that of one that begins. */
  begin(stream: ShardStream): void {
    const { index, operators } = stream;
    if ((index + 1) * ROW_F64 > this.f64.length) this.#grow(index + 1);
    this.f64.fill(0, index * ROW_F64, (index + 1) * ROW_F64);
    this.streams[index] = stream;
    const only = operators.inOrder.length === 1 ? operators.inOrder[0] : undefined;
    this.slots[index] = only?.kind === 'slot' ? only.slot : undefined;
    this.heaps[index] = only?.kind === 'heap' ? only : undefined;
  }

  /** The stream is over; its row stays until another one has its number. */
  end(index: number): void {
    this.streams[index] = undefined;
    this.slots[index] = undefined;
    this.heaps[index] = undefined;
  }

  #grow(rows: number): void {
    const { f64 } = this;
    this.f64 = new Float64Array(Math.max(2 * f64.length, rows * ROW_F64));
    this.f64.set(f64);
    this.u32 = new Uint32Array(this.f64.buffer);
  }
}

/** One row; a stream has its own, and what goes from event to event points one at each. */
export class StreamRow implements CheckpointFacts {
  index: number;
  readonly columns: StreamColumns;

  constructor(columns: StreamColumns, index: number) {
    this.columns = columns;
    this.index = index;
  }

  /** Depends on the whole row. */
  get fetched(): number {
    const { u32 } = this.columns;
    const at = this.index * ROW_U32;
    return (u32[at] as number) ^ (u32[at + STATE] as number);
  }

  get stream(): ShardStream {
    return this.columns.streams[this.index] as ShardStream;
  }

  /** An event is read. */
  noteRead(): void {
    const { f64 } = this.columns;
    const at = this.index * ROW_F64 + SEEN;
    f64[at] = (f64[at] as number) + 1;
  }

  /** An event of so many bytes is applied. Returns how many are uncovered with it. */
  noteApplied(payloadBytes: number): number {
    const { f64 } = this.columns;
    const at = this.index * ROW_F64;
    const events = (f64[at + UNCOVERED_EVENTS] as number) + 1;
    f64[at + UNCOVERED_EVENTS] = events;
    f64[at + UNCOVERED_BYTES] = (f64[at + UNCOVERED_BYTES] as number) + payloadBytes;
    return events;
  }

  /** Events read, duplicates included, and records to go on: how the main thread names a point in the stream. */
  get seen(): number {
    return this.columns.f64[this.index * ROW_F64 + SEEN] as number;
  }

  set seen(events: number) {
    this.columns.f64[this.index * ROW_F64 + SEEN] = events;
  }

  get uncoveredEvents(): number {
    return this.columns.f64[this.index * ROW_F64 + UNCOVERED_EVENTS] as number;
  }

  set uncoveredEvents(events: number) {
    this.columns.f64[this.index * ROW_F64 + UNCOVERED_EVENTS] = events;
  }

  get uncoveredBytes(): number {
    return this.columns.f64[this.index * ROW_F64 + UNCOVERED_BYTES] as number;
  }

  set uncoveredBytes(bytes: number) {
    this.columns.f64[this.index * ROW_F64 + UNCOVERED_BYTES] = bytes;
  }

  get firstUncoveredAt(): number {
    return this.columns.f64[this.index * ROW_F64 + FIRST_UNCOVERED_AT] as number;
  }

  set firstUncoveredAt(at: number) {
    this.columns.f64[this.index * ROW_F64 + FIRST_UNCOVERED_AT] = at;
  }

  get lastEventAt(): number {
    return this.stream.eventAt;
  }

  set lastEventAt(at: number) {
    this.stream.eventAt = at;
  }

  get lastCheckpointAt(): number {
    return this.stream.checkpointAt;
  }

  get limitShare(): number {
    return this.stream.share;
  }

  /** Address of the image: body in its final form, extension behind it. 0: there is none yet. */
  get image(): number {
    return this.columns.u32[this.index * ROW_U32 + IMAGE] as number;
  }

  set image(address: number) {
    this.columns.u32[this.index * ROW_U32 + IMAGE] = address;
  }

  /** Address of its u64 in the image, if `source` is the only source of the stream's events; else 0. */
  onlyOffsetAddress({ number }: ShardSource): number {
    const { u32 } = this.columns;
    const at = this.index * ROW_U32;
    return u32[at + SOURCE] === number ? (u32[at + OFFSET_ADDRESS] as number) : 0;
  }

  /** As `onlyOffsetAddress`, of whichever source it is. */
  get offsetAddress(): number {
    return this.columns.u32[this.index * ROW_U32 + OFFSET_ADDRESS] as number;
  }

  setOnlyPosition(position: SourcePosition | undefined): void {
    const { u32 } = this.columns;
    const at = this.index * ROW_U32;
    u32[at + SOURCE] = position?.source.number ?? 0;
    u32[at + OFFSET_ADDRESS] = position?.offsetAddress ?? 0;
    this.isOnlyOpen = position?.isOpen ?? false;
  }

  /** There are events of the only source since the last checkpoint. */
  get isOnlyOpen(): boolean {
    return this.#has(OPEN);
  }

  set isOnlyOpen(value: boolean) {
    this.#put(OPEN, value);
  }

  /** Of an image that outlives the thread, how many bytes are kept before each event; 0: it does not. */
  get keptBytes(): number {
    return (this.columns.u32[this.index * ROW_U32 + STATE] as number) >>> KEPT_SHIFT;
  }

  set keptBytes(bytes: number) {
    const { u32 } = this.columns;
    const at = this.index * ROW_U32 + STATE;
    u32[at] = ((u32[at] as number) & FLAGS) | (bytes << KEPT_SHIFT);
  }

  /** It is set aside: its events are read, and nothing else is done with them. */
  get isAside(): boolean {
    return this.#has(ASIDE);
  }

  set isAside(value: boolean) {
    this.#put(ASIDE, value);
  }

  /** The ring is kept from a record of it on: it has an entry in the replay window. */
  get isHeld(): boolean {
    return this.#has(HELD);
  }

  set isHeld(value: boolean) {
    this.#put(HELD, value);
  }

  /** It is to be forgotten, has no image, and will have none: see `passed-over.ts`. */
  get isPassedOver(): boolean {
    return this.#has(PASSED_OVER);
  }

  set isPassedOver(value: boolean) {
    this.#put(PASSED_OVER, value);
  }

  #has(flag: number): boolean {
    return ((this.columns.u32[this.index * ROW_U32 + STATE] as number) & flag) !== 0;
  }

  #put(flag: number, value: boolean): void {
    const { u32 } = this.columns;
    const at = this.index * ROW_U32 + STATE;
    u32[at] = value ? (u32[at] as number) | flag : (u32[at] as number) & ~flag;
  }
}
