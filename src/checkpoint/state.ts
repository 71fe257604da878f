/** The state of one stream at one sequence: everything that a restart needs. */
import { type InspectOptions, inspect } from 'node:util';
import { encodeBody } from '../codec/body.ts';
import { requireBytes } from '../codec/cursor.ts';
import { type DecodedBody, decodeBody } from '../codec/decode-body.ts';
import { u64 } from '../codec/u64.ts';
import { requireText } from '../codec/utf8.ts';
import { TidemarkError } from '../error.ts';
import { CheckpointId } from './id.ts';
import { inspectModel } from './inspection.ts';

/** Stands for the empty map of those who did not ask for it; equal to one, and never given out. */
const NOT_ASKED_FOR = new Map<string, never>();

/**
 * Keys of what has an accessor. Symbols, so that only the model has names; not private names, so that states that say
 * different things are not equal to `deepStrictEqual` and `toEqual`.
 */
const WATERMARK_NS = Symbol('watermarkNs');
const EVENT_COUNT = Symbol('eventCount');
const OPERATOR_VERSIONS = Symbol('operatorVersions');
const METADATA = Symbol('metadata');

export class CheckpointState {
  readonly id: CheckpointId;
  /** Bytes of each operator by its name. Of a state that was deserialized they may share a buffer. */
  readonly operatorStates: Map<string, Uint8Array>;
  /** The next offset to read from each source, by the source's name. */
  readonly sourceOffsets: Map<string, bigint>;
  private [OPERATOR_VERSIONS]: Map<string, number> = NOT_ASKED_FOR;
  private [METADATA]: Map<string, string> = NOT_ASKED_FOR;
  private [WATERMARK_NS]: bigint;
  private [EVENT_COUNT]: bigint;

  /**
   * `body` is for those who decode: what the state says, taken over as it is.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `id` is not a `CheckpointId`
   */
  constructor(id: CheckpointId, body?: DecodedBody) {
    if (!(id instanceof CheckpointId)) {
      throw new TidemarkError('ERR_TIDEMARK_INVALID_ARGUMENT', 'id must be a CheckpointId');
    }
    this.id = id;
    this.operatorStates = body?.operatorStates ?? new Map();
    this.sourceOffsets = body?.sourceOffsets ?? new Map();
    this[WATERMARK_NS] = body?.watermarkNs ?? 0n;
    this[EVENT_COUNT] = body?.eventCount ?? 0n;
  }

  /**
   * Version (0 to 2^32 - 1) of each operator's state by the operator's name; a missing one is 0. Kept by
   * frames; the seed format has no room for it.
   */
  get operatorVersions(): Map<string, number> {
    if (this[OPERATOR_VERSIONS] === NOT_ASKED_FOR) this[OPERATOR_VERSIONS] = new Map();
    return this[OPERATOR_VERSIONS];
  }

  /** Anything else worth keeping. Kept by frames; the seed format has no room for it. */
  get metadata(): Map<string, string> {
    if (this[METADATA] === NOT_ASKED_FOR) this[METADATA] = new Map();
    return this[METADATA];
  }

  /** The greatest event time processed, in nanoseconds since the Unix epoch. */
  get watermarkNs(): bigint {
    return this[WATERMARK_NS];
  }

  /** @throws ERR_TIDEMARK_INVALID_ARGUMENT for anything but an unsigned 64-bit integer */
  set watermarkNs(value: bigint | number) {
    this[WATERMARK_NS] = u64(value, 'watermarkNs');
  }

  /** Events that the state includes. */
  get eventCount(): bigint {
    return this[EVENT_COUNT];
  }

  /** @throws ERR_TIDEMARK_INVALID_ARGUMENT for anything but an unsigned 64-bit integer */
  set eventCount(value: bigint | number) {
    this[EVENT_COUNT] = u64(value, 'eventCount');
  }

  /**
   * Keeps a copy of `bytes` as the state of the operator `name`, in place of an earlier one.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `name` has an unpaired surrogate or `bytes` is not a
   * Uint8Array
   */
  setOperatorState(name: string, bytes: Uint8Array): void {
    requireText(name, 'operator name');
    requireBytes(bytes, 'operator state');
    this.operatorStates.set(name, new Uint8Array(bytes));
  }

  /**
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `source` has an unpaired surrogate or `offset` is not an
   * unsigned 64-bit integer
   */
  setSourceOffset(source: string, offset: bigint | number): void {
    requireText(source, 'source name');
    this.sourceOffsets.set(source, u64(offset, 'source offset'));
  }

  /**
   * The state in the seed format, operators and sources ascending by UTF-8 bytes: equal states give equal
   * bytes. Time, versions and metadata are left out; `encodeFrame` keeps them.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when one of the maps holds what cannot be written
   */
  serialize(): Uint8Array {
    return encodeBody(this);
  }

  /**
   * Reads a state in the seed format, created now. It copies, so `data` may change afterwards. Copies of
   * several states may lie in one buffer, as those of a `Buffer` do: they are to be used by their own
   * `byteOffset` and `length`, and their buffer cannot be transferred to another thread.
   * @throws ERR_TIDEMARK_DESERIALIZATION naming the byte offset when `data` is cut short or malformed;
   * ERR_TIDEMARK_INVALID_ARGUMENT when `streamId` is not well-formed
   */
  static deserialize(streamId: string, data: Uint8Array): CheckpointState {
    requireBytes(data, 'data');
    const body = decodeBody(data);
    return new CheckpointState(new CheckpointId(streamId, body.sequence), body);
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    const { id, operatorStates, sourceOffsets, watermarkNs, eventCount } = this;
    // Without making the maps that nobody has asked for.
    const operatorVersions = this[OPERATOR_VERSIONS];
    const metadata = this[METADATA];
    const model = {
      id,
      operatorStates,
      operatorVersions,
      sourceOffsets,
      watermarkNs,
      eventCount,
      metadata,
    };
    return inspectModel('CheckpointState', model, depth, options);
  }
}
