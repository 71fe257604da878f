/** Verifies the newest checkpoints of segments of which an opening has read only the index. */
import { FOOTER_CHECKSUM, FRAME_FOOTER_BYTES, verifyFrameAt } from '../../codec/frame.ts';
import type { FileSystem } from '../file-system.ts';
import type { CheckpointIndex } from './checkpoint-index.ts';
import type { SegmentOnDisk } from './directory.ts';
import type { NewestEntry } from './entry-rows.ts';
import { kernelXxh64Into, takeKernelBuffer } from './kernel-buffer.ts';
import { recordFootprint } from './layout.ts';
import { decodeRecordHeader, RECORD_HEADER_BYTES, RECORD_KIND } from './record.ts';
import { SegmentReader } from './segment-reader.ts';

/** Several frames of a megabyte at once. */
const WINDOW_BYTES = 4 * 1024 * 1024;

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
  let current: { readonly segment: SegmentOnDisk; readonly reader: SegmentReader } | undefined;
  for (const { segment: id, entry } of index.newestBySegment()) {
    if (!segments.has(id)) continue;
    if (current?.segment.id !== id) {
      const segment = live.find((each) => each.id === id);
      if (segment === undefined) return false;
      const { handle, size } = segment;
      current = {
        segment,
        reader: new SegmentReader({ fileSystem, handle, size }, WINDOW_BYTES, takeKernelBuffer),
      };
    }
    if (!isGood(current.reader, current.segment.lap, entry)) return false;
  }
  return true;
}

function isGood(reader: SegmentReader, lap: number, entry: NewestEntry): boolean {
  const { position, length, sequenceLow, sequenceHigh, origin } = entry;
  if (length < FRAME_FOOTER_BYTES || position + recordFootprint(length) > reader.size) return false;
  const at = reader.load(position, RECORD_HEADER_BYTES + length);
  const { bytes, view } = reader;
  // An earlier lap may have left a frame there that verifies; the header says of which lap it is.
  const header = decodeRecordHeader(bytes, view, at, lap, kernelXxh64Into);
  if (header?.kind !== RECORD_KIND.frame || header.length !== length || header.origin !== origin)
    return false;
  const start = at + RECORD_HEADER_BYTES;
  const checksum = start + length - FRAME_FOOTER_BYTES + FOOTER_CHECKSUM;
  const isThisOne =
    view.getUint32(checksum, true) === header.payloadLow &&
    view.getUint32(checksum + 4, true) === header.payloadHigh &&
    view.getUint32(start, true) === sequenceLow &&
    view.getUint32(start + 4, true) === sequenceHigh;
  if (!isThisOne) return false;
  try {
    verifyFrameAt(bytes, view, { start, length, sumInto: kernelXxh64Into });
    return true;
  } catch {
    // Whatever is wrong with it, a scan will say.
    return false;
  }
}
