/** The header of a record as bytes. Its checksum mixes in lap and commit number. See FORMAT.md. */
import { xxh64Into } from '../../codec/xxh64.ts';
import { getCounter, putCounter, RECORD_ALIGN } from './layout.ts';

/** "TREC" as a little-endian word. */
export const RECORD_MAGIC = 0x43455254;

export const RECORD_KIND = {
  /** One encoded checkpoint. */
  frame: 1,
  /** Ends a commit and says what it holds. */
  commit: 2,
  /** For the index of a sealed segment; readers that do not know it skip it. */
  index: 3,
} as const;

/** On the COMMIT record of a commit that removes checkpoints. */
export const RECORD_FLAG_TOMBSTONES = 1;

export const RECORD_HEADER_BYTES = RECORD_ALIGN;
const AT = {
  magic: 0,
  kind: 4,
  flags: 5,
  reserved: 6,
  length: 8,
  index: 12,
  lap: 16,
  commit: 24,
  origin: 32,
  generation: 40,
  payloadChecksum: 48,
  checksum: 56,
} as const;

export interface RecordHeader {
  readonly kind: number;
  readonly flags: number;
  /** Bytes of the payload. */
  readonly length: number;
  /** FRAME: its place in the commit, from 0. COMMIT: how many frames come before it. */
  readonly index: number;
  readonly lap: number;
  readonly commit: number;
  /** FRAME: the commit in which the checkpoint was first saved; another than `commit` if it was carried. */
  readonly origin: number;
  readonly generation: number;
  readonly payloadLow: number;
  readonly payloadHigh: number;
  /** The header's own checksum, over which the COMMIT record has one again. */
  readonly checksumLow: number;
  readonly checksumHigh: number;
}

/** A header as it is to be written; payload checksum apart, since for frames it comes as bytes. */
export interface RecordFields {
  kind: number;
  flags: number;
  length: number;
  index: number;
  lap: number;
  commit: number;
  origin: number;
  generation: number;
}

const sum = new Uint32Array(2);

/** Writes all but the two checksums. */
export function putRecordFields(view: DataView, at: number, fields: RecordFields): void {
  view.setUint32(at + AT.magic, RECORD_MAGIC, true);
  view.setUint8(at + AT.kind, fields.kind);
  view.setUint8(at + AT.flags, fields.flags);
  view.setUint16(at + AT.reserved, 0, true);
  view.setUint32(at + AT.length, fields.length, true);
  view.setUint32(at + AT.index, fields.index, true);
  putCounter(view, at + AT.lap, fields.lap);
  putCounter(view, at + AT.commit, fields.commit);
  putCounter(view, at + AT.origin, fields.origin);
  putCounter(view, at + AT.generation, fields.generation);
}

/** Writes all but the payload checksum, which must already stand at `at + RECORD_PAYLOAD_CHECKSUM`. */
export function finishRecordHeader(
  target: Uint8Array,
  view: DataView,
  at: number,
  fields: RecordFields,
): void {
  putRecordFields(view, at, fields);
  xxh64Into(target, at, at + AT.checksum, sum);
  view.setUint32(at + AT.checksum, sum[0] as number, true);
  view.setUint32(at + AT.checksum + 4, sum[1] as number, true);
}

export const RECORD_LAP: number = AT.lap;
export const RECORD_ORIGIN: number = AT.origin;
export const RECORD_PAYLOAD_CHECKSUM: number = AT.payloadChecksum;

/**
 * The header at `at`, if the bytes there are one of lap `lap` (of any lap: undefined). A recycled segment is
 * full of headers of earlier laps, so the lap is looked at before the checksum is computed.
 */
export function decodeRecordHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  lap: number | undefined,
  sumInto: typeof xxh64Into = xxh64Into,
): RecordHeader | undefined {
  if (view.getUint32(at + AT.magic, true) !== RECORD_MAGIC) return undefined;
  const recordLap = getCounter(view, at + AT.lap);
  if (lap !== undefined && recordLap !== lap) return undefined;
  sumInto(bytes, at, at + AT.checksum, sum);
  const checksumLow = view.getUint32(at + AT.checksum, true);
  const checksumHigh = view.getUint32(at + AT.checksum + 4, true);
  if (sum[0] !== checksumLow || sum[1] !== checksumHigh) return undefined;
  return {
    kind: view.getUint8(at + AT.kind),
    flags: view.getUint8(at + AT.flags),
    length: view.getUint32(at + AT.length, true),
    index: view.getUint32(at + AT.index, true),
    lap: recordLap,
    commit: getCounter(view, at + AT.commit),
    origin: getCounter(view, at + AT.origin),
    generation: getCounter(view, at + AT.generation),
    payloadLow: view.getUint32(at + AT.payloadChecksum, true),
    payloadHigh: view.getUint32(at + AT.payloadChecksum + 4, true),
    checksumLow,
    checksumHigh,
  };
}
