/**
 * Reading a frame where it lies. A view exists only of a frame that was verified, and copies or decodes
 * nothing until it is asked. The bytes must stay unchanged while the view is in use.
 *
 * Entries are found by stepping from one to the next: their lengths were checked when the frame was, and
 * no table of them has to be built for a reader who wants one or two.
 */
import { CheckpointId } from '../checkpoint/id.ts';
import { CheckpointState } from '../checkpoint/state.ts';
import { TidemarkError } from '../error.ts';
import { BODY_EVENT_COUNT, BODY_SEQUENCE, BODY_WATERMARK_NS } from './body.ts';
import { viewOf } from './cursor.ts';
import { EXTENSION_CREATED_AT, EXTENSION_GENERATION } from './extension.ts';
import { type FrameParts, framePartsOf, OPERATORS_AT, TEXT_HEAD_BYTES } from './frame-parts.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';

const OFFSET_BYTES = 8;
/** UTF-8 of names asked for before; names recur. */
const keys = new Map<string, Uint8Array>();
const KEYS_MAX = 4_096;

/**
 * A view of the frame that fills `bytes`, which may be shared memory.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME saying what is wrong
 */
export function viewFrame(bytes: Uint8Array): CheckpointView {
  const parts = framePartsOf(bytes);
  return new CheckpointView({ bytes, view: viewOf(bytes), start: 0, length: bytes.length }, parts);
}

/** A frame within larger bytes; `view` spans the same bytes. */
export interface FramePlace {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly length: number;
}

export class CheckpointView {
  private readonly within: Uint8Array;
  private readonly view: DataView;
  private readonly start: number;
  private readonly parts: FrameParts;
  /** Length of the frame in bytes. */
  readonly byteLength: number;

  /** `parts` come from a check of all of the frame. */
  constructor(place: FramePlace, parts: FrameParts) {
    this.within = place.bytes;
    this.view = place.view;
    this.start = place.start;
    this.byteLength = place.length;
    this.parts = parts;
  }

  /** The whole frame, not a copy. */
  get bytes(): Uint8Array {
    return this.within.subarray(this.start, this.start + this.byteLength);
  }

  get streamId(): string {
    return this.text(this.start + this.parts.streamIdStart, this.start + this.parts.streamIdEnd);
  }

  /** Sequence of the last event that the checkpoint includes. */
  get sequence(): bigint {
    return this.view.getBigUint64(this.start + BODY_SEQUENCE, true);
  }

  /** The greatest event time processed, in nanoseconds since the Unix epoch. */
  get watermarkNs(): bigint {
    return this.view.getBigUint64(this.start + BODY_WATERMARK_NS, true);
  }

  /** Events that the state includes. */
  get eventCount(): bigint {
    return this.view.getBigUint64(this.start + BODY_EVENT_COUNT, true);
  }

  /** Wall clock, to the millisecond. */
  get createdAt(): Date {
    const ns = this.view.getBigUint64(this.start + this.parts.bodyEnd + EXTENSION_CREATED_AT, true);
    return new Date(Number(ns / 1_000_000n));
  }

  /** Generation of the engine that took the checkpoint. */
  get generation(): bigint {
    return this.view.getBigUint64(this.start + this.parts.bodyEnd + EXTENSION_GENERATION, true);
  }

  /** The body, which is the checkpoint in the seed format; not a copy. */
  bodyBytes(): Uint8Array {
    return this.within.subarray(this.start, this.start + this.parts.bodyEnd);
  }

  /**
   * The state of the operator `name`, not a copy; undefined if there is none.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `name` has an unpaired surrogate
   */
  operator(name: string): Uint8Array | undefined {
    const key = keyOf(name);
    let at = this.start + OPERATORS_AT;
    for (let i = 0; i < this.parts.operatorCount; i++) {
      const state = this.textEnd(at);
      if (this.isKey(at, key)) return this.state(state);
      at = this.stateEnd(state);
    }
    return undefined;
  }

  /** Version of the state of the operator `name`; undefined if there is none. */
  operatorVersion(name: string): number | undefined {
    const key = keyOf(name);
    let at = this.start + OPERATORS_AT;
    for (let i = 0; i < this.parts.operatorCount; i++) {
      if (this.isKey(at, key)) return this.version(i);
      at = this.stateEnd(this.textEnd(at));
    }
    return undefined;
  }

  /** Name and state of each operator, ascending by name; states are not copied. */
  *operators(): Generator<[name: string, bytes: Uint8Array]> {
    let at = this.start + OPERATORS_AT;
    for (let i = 0; i < this.parts.operatorCount; i++) {
      const state = this.textEnd(at);
      yield [this.text(at + TEXT_HEAD_BYTES, state), this.state(state)];
      at = this.stateEnd(state);
    }
  }

  /** The next offset to read from the source `name`; undefined if it is not known. */
  sourceOffset(name: string): bigint | undefined {
    const key = keyOf(name);
    let at = this.start + this.parts.sourcesAt;
    for (let i = 0; i < this.parts.sourceCount; i++) {
      const offset = this.textEnd(at);
      if (this.isKey(at, key)) return this.view.getBigUint64(offset, true);
      at = offset + OFFSET_BYTES;
    }
    return undefined;
  }

  /** Name and next offset of each source, ascending by name. */
  *sources(): Generator<[name: string, offset: bigint]> {
    let at = this.start + this.parts.sourcesAt;
    for (let i = 0; i < this.parts.sourceCount; i++) {
      const offset = this.textEnd(at);
      yield [this.text(at + TEXT_HEAD_BYTES, offset), this.view.getBigUint64(offset, true)];
      at = offset + OFFSET_BYTES;
    }
  }

  metadata(): Map<string, string> {
    const entries = new Map<string, string>();
    let at = this.start + this.parts.metadataAt;
    for (let i = 0; i < this.parts.metadataCount; i++) {
      const value = this.textEnd(at);
      const end = this.textEnd(value);
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

  /** Where the length-prefixed text at `at` ends. */
  private textEnd(at: number): number {
    return at + TEXT_HEAD_BYTES + this.view.getUint32(at, true);
  }

  /** `at` is where the length of the state is. */
  private state(at: number): Uint8Array {
    return this.within.subarray(at + TEXT_HEAD_BYTES, this.stateEnd(at));
  }

  private stateEnd(at: number): number {
    return at + TEXT_HEAD_BYTES + this.view.getUint32(at, true);
  }

  private version(position: number): number {
    return this.view.getUint32(this.start + this.parts.versionsAt + 4 * position, true);
  }

  /** Whether the length-prefixed text at `at` is `key`. */
  private isKey(at: number, key: Uint8Array): boolean {
    if (this.view.getUint32(at, true) !== key.length) return false;
    // Names of one length tend to differ at their end.
    for (let i = key.length - 1; i >= 0; i--) {
      if (this.within[at + TEXT_HEAD_BYTES + i] !== key[i]) return false;
    }
    return true;
  }

  private text(start: number, end: number): string {
    const text = decodeUtf8(this.within, start, end);
    if (text !== undefined) return text;
    throw new TidemarkError(
      'ERR_TIDEMARK_DAMAGED_FRAME',
      `the frame changed after it was verified (byte offset ${start - this.start})`,
    );
  }
}

function keyOf(name: string): Uint8Array {
  let key = keys.get(name);
  if (key === undefined) {
    key = encodeUtf8(name, 'name');
    if (keys.size >= KEYS_MAX) keys.clear();
    keys.set(name, key);
  }
  return key;
}
