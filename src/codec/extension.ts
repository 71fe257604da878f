/**
 * The extension of a frame: what the seed format has no room for. Layout in FORMAT.md.
 *
 * A shard writes it in place behind the image of a stream and later changes only the time and the
 * generation, so these two are at fixed offsets.
 */
import { byName, requireAscending, writeText } from './body.ts';
import { ByteCursor, type TextRange } from './cursor.ts';
import { requireText, utf8ByteLength } from './utf8.ts';

/** Offset of the creation time (nanoseconds since the Unix epoch) from the start of the extension. */
export const EXTENSION_CREATED_AT = 0;
/** Offset of the generation from the start of the extension. */
export const EXTENSION_GENERATION = 8;
/** Offset of the stream id's length from the start of the extension. */
export const EXTENSION_STREAM_ID = 16;

/** Time, generation, the length of the stream id and the number of metadata entries. */
const FIXED_BYTES = 24;

const TWO_TO_32 = 0x1_0000_0000;

/** Length in bytes of an extension without metadata. */
export function extensionByteLength(streamIdBytes: number, operatorCount: number): number {
  return FIXED_BYTES + streamIdBytes + 4 * operatorCount;
}

/** Length in bytes that metadata adds to an extension. */
export function metadataByteLength(metadata: Iterable<readonly [string, string]>): number {
  let length = 0;
  for (const [key, value] of metadata) length += 8 + utf8ByteLength(key) + utf8ByteLength(value);
  return length;
}

export interface ExtensionFields {
  /** Whole milliseconds since the Unix epoch. */
  readonly createdAtMs: number;
  readonly generation: bigint;
  /** UTF-8. */
  readonly streamId: Uint8Array;
  /** Version of each operator, in the order of the body. */
  readonly versions: readonly number[];
  /** Ascending by the UTF-8 bytes of the keys; default none. */
  readonly metadata?: readonly (readonly [key: string, value: string])[];
}

/** Writes an extension at `at` and returns where it ends. `view` spans the same bytes as `target`. */
export function writeExtension(
  target: Uint8Array,
  view: DataView,
  at: number,
  fields: ExtensionFields,
): number {
  const { createdAtMs, generation, streamId, versions, metadata = [] } = fields;
  writeCreatedAt(view, at + EXTENSION_CREATED_AT, createdAtMs);
  view.setBigUint64(at + EXTENSION_GENERATION, generation, true);
  view.setUint32(at + EXTENSION_STREAM_ID, streamId.length, true);
  target.set(streamId, at + EXTENSION_STREAM_ID + 4);
  let next = at + EXTENSION_STREAM_ID + 4 + streamId.length;
  for (const version of versions) {
    view.setUint32(next, version, true);
    next += 4;
  }
  view.setUint32(next, metadata.length, true);
  next += 4;
  for (const [key, value] of metadata) {
    next = writeText(target, view, next, key);
    next = writeText(target, view, next, value);
  }
  return next;
}

/**
 * Writes `ms` (whole milliseconds since the Unix epoch, at most the year 2554) as unsigned 64-bit
 * nanoseconds at `at`. Both factors stay below 2^53, so it is exact without a bigint.
 */
export function writeCreatedAt(view: DataView, at: number, ms: number): void {
  const lowProduct = (ms % TWO_TO_32) * 1e6;
  view.setUint32(at, lowProduct % TWO_TO_32, true);
  const high = Math.floor(ms / TWO_TO_32) * 1e6 + Math.floor(lowProduct / TWO_TO_32);
  view.setUint32(at + 4, high, true);
}

/** Metadata in the order in which it is written. */
export function sortMetadata(metadata: ReadonlyMap<string, string>): [string, string][] {
  const entries = [...metadata].sort(byName);
  for (const [key, value] of entries) {
    requireText(key, 'metadata key');
    requireText(value, 'metadata value');
  }
  return entries;
}

interface MetadataRange {
  readonly name: TextRange;
  readonly value: TextRange;
}

/** Where everything of variable length in an extension is, as positions in the bytes that were read. */
export interface ExtensionIndex {
  readonly streamId: TextRange;
  /** The version of the first operator; the others follow, four bytes each. */
  readonly versionsAt: number;
  readonly metadata: readonly MetadataRange[];
}

/**
 * Finds the parts of the extension that fills `bytes` from `start` up to `end`.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME when it is not canonical or does not end at `end`
 */
export function indexExtension(
  bytes: Uint8Array,
  range: { readonly start: number; readonly end: number; readonly operatorCount: number },
): ExtensionIndex {
  const { start, end, operatorCount } = range;
  const cursor = new ByteCursor({ bytes, start, end, code: 'ERR_TIDEMARK_DAMAGED_FRAME' });
  cursor.take(EXTENSION_STREAM_ID, 'the start of the extension');
  const streamId = cursor.text('the stream id');
  const versionsAt = cursor.take(4 * operatorCount, 'the versions of the operators');
  const count = cursor.u32('the number of metadata entries');
  const metadata: MetadataRange[] = [];
  for (let i = 0; i < count; i++) {
    const name = cursor.text('a metadata key');
    metadata.push({ name, value: cursor.text('a metadata value') });
  }
  if (cursor.at !== end) throw cursor.wrong(`${cursor.left()} bytes follow the extension`, cursor.at);
  requireAscending(cursor, metadata, 'metadata key');
  return { streamId, versionsAt, metadata };
}
