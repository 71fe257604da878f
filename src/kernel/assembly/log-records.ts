// Records of the checkpoint log; byte positions as in store/log/FORMAT.md. They begin on multiples of 64.

import { FOOTER_BYTES, FOOTER_CHECKSUM } from './footer';
import { isFrame } from './index-frame';
import { xxh64 } from './xxh64';

const ALIGN: usize = 64;
const HEADER_BYTES: usize = 64;
const KIND: usize = 4;
const LENGTH: usize = 8;
const INDEX: usize = 12;
const LAP: usize = 16;
const COMMIT: usize = 24;
const ORIGIN: usize = 32;
const GENERATION: usize = 40;
const PAYLOAD_CHECKSUM: usize = 48;
/** Of all before it. */
const CHECKSUM: usize = 56;
/** "TREC" as a little-endian word. */
const RECORD_MAGIC: u32 = 0x43455254;
const KIND_FRAME: u8 = 1;

/** Within the extension of a frame. */
const EXTENSION_GENERATION: usize = 8;
/** What is said of a frame: see `goodFrames`. */
const ROW_BYTES: usize = 48;

/**
 * Ends `count` headers of 64 bytes that begin at `headers`, each with the XXH64 of the bytes before it, and stores these
 * checksums once more, one behind the other, at `sums`.
 */
export function sealHeaders(headers: usize, count: usize, sums: usize): void {
  for (let i: usize = 0; i < count; i++) {
    const header = headers + (i << 6);
    const sum = xxh64(header, CHECKSUM);
    store<u64>(header, sum, CHECKSUM);
    store<u64>(sums + (i << 3), sum);
  }
}

/**
 * Whether at `record` is a FRAME record with a payload of `length` bytes, header and frame undamaged and belonging
 * together. What is in the frame is not looked at.
 */
export function isRecord(record: usize, length: usize): bool {
  if (load<u32>(record) != RECORD_MAGIC || load<u8>(record, KIND) != KIND_FRAME) return false;
  if (load<u32>(record, LENGTH) != <u32>length) return false;
  if (load<u64>(record, CHECKSUM) != xxh64(record, CHECKSUM)) return false;
  const frame = record + HEADER_BYTES;
  if (!isFrame(frame, length)) return false;
  return load<u64>(record, PAYLOAD_CHECKSUM) == load<u64>(frame + length - FOOTER_BYTES, FOOTER_CHECKSUM);
}

/**
 * How many good FRAME records stand one behind the other from `first` on, up to `end`: of the lap, commit and generation
 * of the first one, each with the next index in the commit and with zeros behind its frame. Nothing is said of the one
 * after them. A row of 48 bytes for each is stored at `rows`, for `most` at most:
 *   0 u32 position / 64, counted from `position` for the first    4 u32 bytes of the frame    8 u32 index   12 unused
 *  16 u64 origin   24 u64 generation of the frame   32 u64 its time of creation   40 u64 checksum of the header
 */
export function goodFrames(first: usize, end: usize, position: u32, rows: usize, most: u32): u32 {
  const lap = load<u64>(first, LAP);
  const commit = load<u64>(first, COMMIT);
  const generation = load<u64>(first, GENERATION);
  const index = load<u32>(first, INDEX);
  let row = rows;
  let at = first;
  for (let count: u32 = 0; count < most; count++) {
    if (end - at < HEADER_BYTES) return count;
    const length: usize = load<u32>(at, LENGTH);
    if (end - at - HEADER_BYTES < length) return count;
    const next = at + HEADER_BYTES + ((length + ALIGN - 1) & ~(ALIGN - 1));
    if (next > end || load<u64>(at, LAP) != lap || load<u64>(at, COMMIT) != commit) return count;
    if (load<u64>(at, GENERATION) != generation || load<u32>(at, INDEX) != index + count) return count;
    if (!isRecord(at, length) || !isZero(at + HEADER_BYTES + length, next)) return count;
    const frame = at + HEADER_BYTES;
    const extension = frame + load<u32>(frame + length - FOOTER_BYTES);
    store<u32>(row, position + (<u32>(at - first) >> 6));
    store<u32>(row, <u32>length, 4);
    store<u32>(row, index + count, 8);
    store<u64>(row, load<u64>(at, ORIGIN), 16);
    store<u64>(row, load<u64>(extension, EXTENSION_GENERATION), 24);
    store<u64>(row, load<u64>(extension), 32);
    store<u64>(row, load<u64>(at, CHECKSUM), 40);
    row += ROW_BYTES;
    at = next;
  }
  return most;
}

function isZero(start: usize, end: usize): bool {
  for (let at = start; at < end; at++) if (load<u8>(at) != 0) return false;
  return true;
}
