/**
 * Reading a frame where it lies. A view exists only of a frame that was verified, and copies or decodes
 * nothing until it is asked. The bytes must stay unchanged while the view is in use.
 *
 * Entries are found by stepping from one to the next: their lengths were checked when the frame was, and
 * no table of them has to be built for a reader who wants one or two. Of where things are, a view keeps only
 * what takes a walk to find; the rest follows from the bytes.
 */
import { CheckpointId } from '../checkpoint/id.ts';
import { CheckpointState } from '../checkpoint/state.ts';
import { TidemarkError } from '../error.ts';
import { BODY_EVENT_COUNT, BODY_OPERATOR_COUNT, BODY_SEQUENCE, BODY_WATERMARK_NS } from './body.ts';
import { EXTENSION_CREATED_AT, EXTENSION_GENERATION, EXTENSION_STREAM_ID } from './extension.ts';
import { framePartsOf, OPERATORS_AT, TEXT_HEAD_BYTES } from './frame-parts.ts';
import { type FrameSpace, OwnBytes } from './frame-space.ts';
import { decodeUtf8 } from './utf8.ts';

const OFFSET_BYTES = 8;

/**
 * A view of the frame that fills `bytes`, which may be shared memory.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME saying what is wrong
 */
export function viewFrame(bytes: Uint8Array): CheckpointView {
  const { sourcesAt, bodyEnd } = framePartsOf(bytes);
  return new CheckpointView(new OwnBytes(bytes), 0, bytes.length, sourcesAt, bodyEnd);
}

export class CheckpointView {
  private readonly space: FrameSpace;
  private readonly start: number;
  /** Length of the frame in bytes. */
  readonly byteLength: number;
  /** Positions in the space, as all that follow. */
  private readonly firstSource: number;
  private readonly bodyEnd: number;
  private readonly layout: number;

  /**
   * The frame at `start`; `sourcesAt` and `bodyEnd` count from there, and with `layout` (see `FrameSpace`) come from
   * a check of all of it.
   */
  constructor(
    space: FrameSpace,
    start: number,
    byteLength: number,
    sourcesAt: number,
    bodyEnd: number,
    layout = 0,
  ) {
    this.space = space;
    this.start = start;
    this.byteLength = byteLength;
    this.firstSource = start + sourcesAt;
    this.bodyEnd = start + bodyEnd;
    this.layout = layout;
  }

  /** The whole frame, not a copy. */
  get bytes(): Uint8Array {
    return this.part(this.start, this.byteLength);
  }

  get streamId(): string {
    const at = this.bodyEnd + EXTENSION_STREAM_ID;
    return this.text(at + TEXT_HEAD_BYTES, this.endOf(at));
  }

  /** Sequence of the last event that the checkpoint includes. */
  get sequence(): bigint {
    return this.space.view.getBigUint64(this.start + BODY_SEQUENCE, true);
  }

  /** The greatest event time processed, in nanoseconds since the Unix epoch. */
  get watermarkNs(): bigint {
    return this.space.view.getBigUint64(this.start + BODY_WATERMARK_NS, true);
  }

  /** Events that the state includes. */
  get eventCount(): bigint {
    return this.space.view.getBigUint64(this.start + BODY_EVENT_COUNT, true);
  }

  /** Wall clock, to the millisecond. */
  get createdAt(): Date {
    const ns = this.space.view.getBigUint64(this.bodyEnd + EXTENSION_CREATED_AT, true);
    return new Date(Number(ns / 1_000_000n));
  }

  /** Generation of the engine that took the checkpoint. */
  get generation(): bigint {
    return this.space.view.getBigUint64(this.bodyEnd + EXTENSION_GENERATION, true);
  }

  /** The body, which is the checkpoint in the seed format; not a copy. */
  bodyBytes(): Uint8Array {
    return this.part(this.start, this.bodyEnd - this.start);
  }

  /**
   * The state of the operator `name`, not a copy; undefined if there is none.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when there are operators and `name` has an unpaired surrogate
   */
  operator(name: string): Uint8Array | undefined {
    if (this.operatorCount === 0) return undefined;
    const at = this.space.findState(this.start, this.bodyEnd, name, this.layout);
    return at === 0 ? undefined : this.state(at);
  }

  /**
   * Version of the state of the operator `name`; undefined if there is none.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `name` has an unpaired surrogate
   */
  operatorVersion(name: string): number | undefined {
    const state = this.space.findState(this.start, this.bodyEnd, name, this.layout);
    if (state === 0) return undefined;
    let position = 0;
    for (let at = this.start + OPERATORS_AT; ; position++) {
      const found = this.endOf(at);
      if (found >= state) return this.version(position);
      at = this.endOf(found);
    }
  }

  /** Name and state of each operator, ascending by name; states are not copied. */
  *operators(): Generator<[name: string, bytes: Uint8Array]> {
    let at = this.start + OPERATORS_AT;
    for (let left = this.operatorCount; left > 0; left--) {
      const state = this.endOf(at);
      yield [this.text(at + TEXT_HEAD_BYTES, state), this.state(state)];
      at = this.endOf(state);
    }
  }

  /**
   * The next offset to read from the source `name`; undefined if it is not known.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when there are sources and `name` has an unpaired surrogate
   */
  sourceOffset(name: string): bigint | undefined {
    if (this.sourceCount === 0) return undefined;
    const at = this.space.findOffset(this.firstSource, this.bodyEnd, name, this.layout);
    return at === 0 ? undefined : this.space.view.getBigUint64(at, true);
  }

  /** Name and next offset of each source, ascending by name. */
  *sources(): Generator<[name: string, offset: bigint]> {
    let at = this.firstSource;
    for (let left = this.sourceCount; left > 0; left--) {
      const offset = this.endOf(at);
      yield [this.text(at + TEXT_HEAD_BYTES, offset), this.space.view.getBigUint64(offset, true)];
      at = offset + OFFSET_BYTES;
    }
  }

  /** Whether there is any metadata. */
  get hasMetadata(): boolean {
    return this.u32(this.versionsAt + 4 * this.operatorCount) > 0;
  }

  metadata(): Map<string, string> {
    const entries = new Map<string, string>();
    const count = this.versionsAt + 4 * this.operatorCount;
    let at = count + 4;
    for (let left = this.u32(count); left > 0; left--) {
      const value = this.endOf(at);
      const end = this.endOf(value);
      entries.set(this.text(at + TEXT_HEAD_BYTES, value), this.text(value + TEXT_HEAD_BYTES, end));
      at = end;
    }
    return entries;
  }

  /** A copy that no longer depends on the bytes of the frame. */
  toState(): CheckpointState {
    const state = new CheckpointState(new CheckpointId(this.streamId, this.sequence, this.createdAt));
    state.watermarkNs = this.watermarkNs;
    state.eventCount = this.eventCount;
    let position = 0;
    for (const [name, bytes] of this.operators()) {
      state.operatorStates.set(name, new Uint8Array(bytes));
      state.operatorVersions.set(name, this.version(position));
      position++;
    }
    for (const [name, offset] of this.sources()) state.sourceOffsets.set(name, offset);
    for (const [key, value] of this.metadata()) state.metadata.set(key, value);
    return state;
  }

  private get operatorCount(): number {
    return this.u32(this.start + BODY_OPERATOR_COUNT);
  }

  private get sourceCount(): number {
    return this.u32(this.firstSource - 4);
  }

  /** The version of the first operator; the others follow, four bytes each. */
  private get versionsAt(): number {
    return this.endOf(this.bodyEnd + EXTENSION_STREAM_ID);
  }

  private version(position: number): number {
    return this.u32(this.versionsAt + 4 * position);
  }

  /** Where the text or state whose length is at `at` ends. */
  private endOf(at: number): number {
    return at + TEXT_HEAD_BYTES + this.u32(at);
  }

  /** `at` is where the length of the state is. */
  private state(at: number): Uint8Array {
    return this.part(at + TEXT_HEAD_BYTES, this.u32(at));
  }

  private u32(at: number): number {
    return this.space.view.getUint32(at, true);
  }

  private part(start: number, length: number): Uint8Array {
    const { buffer, byteOffset } = this.space;
    return new Uint8Array(buffer, byteOffset + start, length);
  }

  private text(start: number, end: number): string {
    const text = decodeUtf8(this.space.u8, start, end);
    if (text !== undefined) return text;
    throw new TidemarkError(
      'ERR_TIDEMARK_DAMAGED_FRAME',
      `the frame changed after it was verified (byte offset ${start - this.start})`,
    );
  }
}
