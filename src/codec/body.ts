/**
 * The body of a frame, which is the whole of a checkpoint in the seed format. Layout in FORMAT.md.
 *
 * Writing is canonical: operators and sources ascend by the UTF-8 bytes of their names, so equal states
 * give equal bytes. Reading has two measures: `decodeBody`, in a file of its own, takes what the seed
 * format's own reader takes. `indexBody` takes only what is canonical, because frames are written by
 * nothing else.
 */

import { TidemarkError } from '../error.ts';
import { ByteCursor, compareBytes, requireBytes, type TextRange, U32_MAX, viewOf } from './cursor.ts';
import { u64 } from './u64.ts';
import { compareUtf8, requireText, utf8ByteLength, writeUtf8 } from './utf8.ts';

/** Offsets of the fixed fields from the start of the body. */
export const BODY_SEQUENCE = 0;
export const BODY_WATERMARK_NS = 8;
export const BODY_EVENT_COUNT = 16;
export const BODY_OPERATOR_COUNT = 24;
/** The fixed fields with the operator count; the first operator begins here. */
const BODY_HEADER_BYTES = 28;

/** What a body says. A `CheckpointState` is one. */
export interface BodyState {
  readonly id: { readonly sequence: bigint };
  /** Nanoseconds since the Unix epoch. */
  readonly watermarkNs: bigint;
  readonly eventCount: bigint;
  readonly operatorStates: ReadonlyMap<string, Uint8Array>;
  readonly sourceOffsets: ReadonlyMap<string, bigint>;
}

/** A state checked, in the order in which it is written. */
export interface BodyPlan {
  readonly state: BodyState;
  readonly operators: readonly (readonly [name: string, bytes: Uint8Array])[];
  readonly sources: readonly (readonly [name: string, offset: bigint])[];
  readonly byteLength: number;
}

/** @throws ERR_TIDEMARK_INVALID_ARGUMENT when a name, a state or an offset cannot be written */
export function planBody(state: BodyState): BodyPlan {
  let byteLength = BODY_HEADER_BYTES + 4;
  const operators = [...state.operatorStates].sort(byName);
  for (const [name, bytes] of operators) {
    requireText(name, 'operator name');
    requireBytes(bytes, 'operator state');
    if (bytes.length > U32_MAX) {
      throw new TidemarkError(
        'ERR_TIDEMARK_INVALID_ARGUMENT',
        `the state of operator ${JSON.stringify(name)} is longer than ${U32_MAX} bytes`,
      );
    }
    byteLength += 8 + utf8ByteLength(name) + bytes.length;
  }
  const sources: [string, bigint][] = [];
  for (const [name, offset] of state.sourceOffsets) {
    requireText(name, 'source name');
    sources.push([name, u64(offset, 'source offset')]);
    byteLength += 12 + utf8ByteLength(name);
  }
  sources.sort(byName);
  return { state, operators, sources, byteLength };
}

/** Writes a body at `at` of `target` and returns where it ends; `view` spans the same bytes. */
export function writeBody(plan: BodyPlan, target: Uint8Array, view: DataView, at: number): number {
  view.setBigUint64(at + BODY_SEQUENCE, plan.state.id.sequence, true);
  view.setBigUint64(at + BODY_WATERMARK_NS, plan.state.watermarkNs, true);
  view.setBigUint64(at + BODY_EVENT_COUNT, plan.state.eventCount, true);
  view.setUint32(at + BODY_OPERATOR_COUNT, plan.operators.length, true);
  let next = at + BODY_HEADER_BYTES;
  for (const [name, bytes] of plan.operators) {
    next = writeText(target, view, next, name);
    view.setUint32(next, bytes.length, true);
    target.set(bytes, next + 4);
    next += 4 + bytes.length;
  }
  view.setUint32(next, plan.sources.length, true);
  next += 4;
  for (const [name, offset] of plan.sources) {
    next = writeText(target, view, next, name);
    view.setBigUint64(next, offset, true);
    next += 8;
  }
  return next;
}

/**
 * The canonical body of `state`, in memory of its own.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT when a name, a state or an offset cannot be written
 */
export function encodeBody(state: BodyState): Uint8Array {
  const plan = planBody(state);
  const bytes = new Uint8Array(plan.byteLength);
  writeBody(plan, bytes, viewOf(bytes), 0);
  return bytes;
}

/** Writes a length-prefixed text and returns where it ends. */
export function writeText(target: Uint8Array, view: DataView, at: number, text: string): number {
  const end = writeUtf8(target, at + 4, text);
  view.setUint32(at, end - at - 4, true);
  return end;
}

export function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return compareUtf8(a[0], b[0]);
}

/** Where the parts of an operator are; the state runs from `stateStart` up to `stateEnd`. */
export interface OperatorRange {
  readonly name: TextRange;
  readonly stateStart: number;
  readonly stateEnd: number;
}

/** Where the parts of a source are; its offset is the unsigned 64-bit integer at `offsetAt`. */
export interface SourceRange {
  readonly name: TextRange;
  readonly offsetAt: number;
}

/** Where everything of variable length in a body is, as positions in the bytes that were read. */
export interface BodyIndex {
  readonly operators: readonly OperatorRange[];
  readonly sources: readonly SourceRange[];
  /** Where the body ends. */
  readonly end: number;
}

/**
 * Finds the parts of the canonical body that fills `bytes` from `start` up to `end`; copies and decodes
 * nothing.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME when the body is not canonical or does not end at `end`
 */
export function indexBody(bytes: Uint8Array, start = 0, end = bytes.length): BodyIndex {
  const cursor = new ByteCursor({ bytes, start, end, code: 'ERR_TIDEMARK_DAMAGED_FRAME' });
  const operators = readOperators(cursor);
  const sources = readSources(cursor);
  if (cursor.at !== end) throw cursor.wrong(`${cursor.left()} bytes follow the body's last field`, cursor.at);
  requireAscending(cursor, operators, 'operator');
  requireAscending(cursor, sources, 'source');
  return { operators, sources, end };
}

function readOperators(cursor: ByteCursor): OperatorRange[] {
  cursor.take(BODY_OPERATOR_COUNT, 'the header');
  const count = cursor.u32('the number of operators');
  const ranges: OperatorRange[] = [];
  for (let i = 0; i < count; i++) {
    const name = cursor.text('an operator name');
    const stateLength = cursor.u32('the length of an operator state');
    const stateStart = cursor.take(stateLength, 'an operator state');
    ranges.push({ name, stateStart, stateEnd: cursor.at });
  }
  return ranges;
}

function readSources(cursor: ByteCursor): SourceRange[] {
  const count = cursor.u32('the number of sources');
  const ranges: SourceRange[] = [];
  for (let i = 0; i < count; i++) {
    const name = cursor.text('a source name');
    ranges.push({ name, offsetAt: cursor.take(8, 'a source offset') });
  }
  return ranges;
}

/** Equal names are out of order too: a canonical body has each name once. */
export function requireAscending(
  cursor: ByteCursor,
  ranges: readonly { readonly name: TextRange }[],
  what: string,
): void {
  for (let i = 1; i < ranges.length; i++) {
    const { name } = ranges[i] as { name: TextRange };
    const { name: before } = ranges[i - 1] as { name: TextRange };
    if (compareBytes(cursor.bytes, before, cursor.bytes, name) >= 0) {
      throw cursor.wrong(`${what} names do not ascend`, name.start);
    }
  }
}
