/**
 * Sizes, names and number forms that every part of the log's format shares. The format is in FORMAT.md.
 *
 * Counters of the log (laps, commits, generations, segments) are u64 on disk and numbers here: they begin at
 * zero and grow by one, so 2^53 is out of reach, and whatever claims more is not believed.
 */

export const FORMAT_VERSION = 1;

/** What a disk writes whole or not at all. A commit begins on such a boundary and fills its last sector. */
export const SECTOR_BYTES = 512;
/** Records begin on multiples of this and have headers of this size. */
export const RECORD_ALIGN = 64;
/** Before the records of a segment: two copies of its header. */
export const HEADER_REGION_BYTES = 4096;
export const HEADER_COPY_BYTES = 2048;
export const SUPERBLOCK_SLOT_BYTES = 4096;
export const SUPERBLOCK_BYTES = 2 * SUPERBLOCK_SLOT_BYTES;
export const DIRECTORY_ID_BYTES = 16;

export const SUPERBLOCK_FILE = 'SUPERBLOCK';
export const SUPERBLOCK_TEMPORARY_FILE = 'SUPERBLOCK.tmp';
export const LOCK_FILE = 'LOCK';
/** Guards the repair of a damaged `LOCK`. */
export const LOCK_REPAIR_FILE = 'LOCK.repair';

const SEGMENT_NAME = /^segment-(\d{8,})\.(log|tmp)$/;

export function segmentFileName(id: number): string {
  return `segment-${String(id).padStart(8, '0')}.log`;
}

/** A segment has this name until it has its whole length and that is durable. */
export function temporarySegmentFileName(id: number): string {
  return `segment-${String(id).padStart(8, '0')}.tmp`;
}

export interface SegmentName {
  readonly id: number;
  readonly temporary: boolean;
}

export function parseSegmentFileName(name: string): SegmentName | undefined {
  const match = SEGMENT_NAME.exec(name);
  if (match === null) return undefined;
  const id = Number(match[1]);
  const canonical = Number.isSafeInteger(id) && segmentFileName(id).slice(0, -4) === name.slice(0, -4);
  return canonical ? { id, temporary: match[2] === 'tmp' } : undefined;
}

export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** Bytes that a record takes: its header, its payload and zeros up to the next record. */
export function recordFootprint(payloadBytes: number): number {
  return RECORD_ALIGN + alignUp(payloadBytes, RECORD_ALIGN);
}

const TWO_TO_32 = 0x1_0000_0000;

/** Writes a non-negative safe integer as u64. */
export function putCounter(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_TO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_TO_32), true);
}

/** Reads a u64; -1 when it is beyond the safe integers, which no counter of ours reaches. */
export function getCounter(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true);
  return high >= 0x20_0000 ? -1 : high * TWO_TO_32 + view.getUint32(at, true);
}

export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== 0) return false;
  return true;
}

/** The bytes of an engine's memory, which never grows. */
export function bufferOf(memory: WebAssembly.Memory | SharedArrayBuffer): ArrayBufferLike {
  return memory instanceof SharedArrayBuffer ? memory : memory.buffer;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
