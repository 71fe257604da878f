/** Verifies the newest checkpoints of segments of which an opening has read only the index. */
import { readFooterChecksum, verifyFrame } from '../../codec/frame.ts';
import type { FileSystem } from '../file-system.ts';
import type { CheckpointIndex, CheckpointLocation } from './checkpoint-index.ts';
import type { SegmentOnDisk } from './directory.ts';
import { recordFootprint } from './layout.ts';
import { decodeRecordHeader, RECORD_HEADER_BYTES, RECORD_KIND } from './record.ts';
import { SegmentReader } from './segment-reader.ts';

export interface RecoveredIndex {
  readonly fileSystem: FileSystem;
  readonly index: CheckpointIndex;
  readonly live: readonly SegmentOnDisk[];
}

/** Whether the newest checkpoint of every stream that has it in one of `segments` is where the index says, and good. */
export function areNewestGood(
  { fileSystem, index, live }: RecoveredIndex,
  segments: ReadonlySet<number>,
): boolean {
  let reader: SegmentReader | undefined;
  let segment: SegmentOnDisk | undefined;
  for (const place of index.newestIn(segments)) {
    if (segment?.id !== place.segment || reader === undefined) {
      segment = live.find(({ id }) => id === place.segment);
      if (segment === undefined) return false;
      reader = new SegmentReader({ fileSystem, handle: segment.handle, size: segment.size });
    }
    if (!isGood(reader, segment.lap, place)) return false;
  }
  return true;
}

function isGood(
  reader: SegmentReader,
  lap: number,
  { position, length, sequence, origin }: CheckpointLocation,
): boolean {
  if (position + recordFootprint(length) > reader.size) return false;
  const at = reader.load(position, RECORD_HEADER_BYTES + length);
  // An earlier lap may have left a frame there that verifies; the header says of which lap it is.
  const header = decodeRecordHeader(reader.bytes, reader.view, at, lap);
  if (header?.kind !== RECORD_KIND.frame || header.length !== length || header.origin !== origin)
    return false;
  const start = at + RECORD_HEADER_BYTES;
  const frame = reader.bytes.subarray(start, start + length);
  const expected = (BigInt(header.payloadHigh) << 32n) | BigInt(header.payloadLow);
  if (readFooterChecksum(frame) !== expected || reader.view.getBigUint64(start, true) !== sequence)
    return false;
  try {
    verifyFrame(frame);
    return true;
  } catch {
    // Whatever is wrong with it, a scan will say.
    return false;
  }
}
