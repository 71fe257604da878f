/**
 * Reading a frame where it lies. A view exists only of a frame that verified, and copies or decodes
 * nothing until it is asked. The bytes must stay unchanged while the view is in use.
 */
import { CheckpointId } from '../checkpoint/id.ts';
import { CheckpointState } from '../checkpoint/state.ts';
import { TidemarkError } from '../error.ts';
import {
  BODY_EVENT_COUNT,
  BODY_SEQUENCE,
  BODY_WATERMARK_NS,
  type BodyIndex,
  indexBody,
  type OperatorRange,
  type SourceRange,
} from './body.ts';
import { compareBytes, type TextRange, viewOf } from './cursor.ts';
import {
  EXTENSION_CREATED_AT,
  EXTENSION_GENERATION,
  type ExtensionIndex,
  indexExtension,
} from './extension.ts';
import { type FrameLayout, verifyFrame } from './footer.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';

/**
 * A view of the frame that fills `bytes`, which may be shared memory.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME saying what is wrong
 */
export function viewFrame(bytes: Uint8Array): CheckpointView {
  return new CheckpointView(bytes);
}

export class CheckpointView {
  /** The whole frame. */
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly layout: FrameLayout;
  private readonly body: BodyIndex;
  private readonly extension: ExtensionIndex;

  /** @throws ERR_TIDEMARK_DAMAGED_FRAME unless `bytes` are one whole, undamaged frame */
  constructor(bytes: Uint8Array) {
    this.layout = verifyFrame(bytes);
    this.bytes = bytes;
    this.view = viewOf(bytes);
    this.body = indexBody(bytes, 0, this.layout.bodyEnd);
    this.extension = indexExtension(bytes, {
      start: this.layout.bodyEnd,
      end: this.layout.extensionEnd,
      operatorCount: this.body.operators.length,
    });
  }

  /** Length of the frame in bytes. */
  get byteLength(): number {
    return this.bytes.length;
  }

  get streamId(): string {
    return this.text(this.extension.streamId);
  }

  /** Sequence of the last event that the checkpoint includes. */
  get sequence(): bigint {
    return this.view.getBigUint64(BODY_SEQUENCE, true);
  }

  /** The greatest event time processed, in nanoseconds since the Unix epoch. */
  get watermarkNs(): bigint {
    return this.view.getBigUint64(BODY_WATERMARK_NS, true);
  }

  /** Events that the state includes. */
  get eventCount(): bigint {
    return this.view.getBigUint64(BODY_EVENT_COUNT, true);
  }

  /** Wall clock, to the millisecond. */
  get createdAt(): Date {
    const ns = this.view.getBigUint64(this.layout.bodyEnd + EXTENSION_CREATED_AT, true);
    return new Date(Number(ns / 1_000_000n));
  }

  /** Generation of the engine that took the checkpoint. */
  get generation(): bigint {
    return this.view.getBigUint64(this.layout.bodyEnd + EXTENSION_GENERATION, true);
  }

  /** The body, which is the checkpoint in the seed format; not a copy. */
  bodyBytes(): Uint8Array {
    return this.bytes.subarray(0, this.layout.bodyEnd);
  }

  /**
   * The state of the operator `name`, not a copy; undefined if there is none.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `name` has an unpaired surrogate
   */
  operator(name: string): Uint8Array | undefined {
    const range = this.body.operators[this.find(this.body.operators, name)];
    return range === undefined ? undefined : this.state(range);
  }

  /** Version of the state of the operator `name`; undefined if there is none. */
  operatorVersion(name: string): number | undefined {
    const position = this.find(this.body.operators, name);
    return position === -1 ? undefined : this.version(position);
  }

  /** Name and state of each operator, ascending by name; states are not copied. */
  *operators(): Generator<[name: string, bytes: Uint8Array]> {
    for (const range of this.body.operators) yield [this.text(range.name), this.state(range)];
  }

  /** The next offset to read from the source `name`; undefined if it is not known. */
  sourceOffset(name: string): bigint | undefined {
    const range = this.body.sources[this.find(this.body.sources, name)];
    return range === undefined ? undefined : this.offset(range);
  }

  /** Name and next offset of each source, ascending by name. */
  *sources(): Generator<[name: string, offset: bigint]> {
    for (const range of this.body.sources) yield [this.text(range.name), this.offset(range)];
  }

  metadata(): Map<string, string> {
    return new Map(this.extension.metadata.map(({ name, value }) => [this.text(name), this.text(value)]));
  }

  /** A copy that no longer depends on the bytes of the frame. */
  toState(): CheckpointState {
    const state = new CheckpointState(new CheckpointId(this.streamId, this.sequence, this.createdAt));
    state.watermarkNs = this.watermarkNs;
    state.eventCount = this.eventCount;
    for (const [position, range] of this.body.operators.entries()) {
      const name = this.text(range.name);
      state.operatorStates.set(name, new Uint8Array(this.state(range)));
      state.operatorVersions.set(name, this.version(position));
    }
    for (const [name, offset] of this.sources()) state.sourceOffsets.set(name, offset);
    for (const [key, value] of this.metadata()) state.metadata.set(key, value);
    return state;
  }

  private state(range: OperatorRange): Uint8Array {
    return this.bytes.subarray(range.stateStart, range.stateEnd);
  }

  private version(position: number): number {
    return this.view.getUint32(this.extension.versionsAt + 4 * position, true);
  }

  private offset(range: SourceRange): bigint {
    return this.view.getBigUint64(range.offsetAt, true);
  }

  private text(range: TextRange): string {
    const text = decodeUtf8(this.bytes, range.start, range.end);
    if (text !== undefined) return text;
    throw new TidemarkError(
      'ERR_TIDEMARK_DAMAGED_FRAME',
      `the frame changed after it was verified (byte offset ${range.start})`,
    );
  }

  /** Position of `name` among ascending ranges, or -1. */
  private find(ranges: readonly { readonly name: TextRange }[], name: string): number {
    const key = encodeUtf8(name, 'name');
    const keyRange = { start: 0, end: key.length };
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const range = (ranges[middle] as { name: TextRange }).name;
      const order = compareBytes(this.bytes, range, key, keyRange);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }
}
