/** Verifies the newest checkpoints of segments of which an opening has read only the index. */
import { FRAME_FOOTER_BYTES } from '../../codec/frame.ts';
import type { FileSystem } from '../file-system.ts';
import type { CheckpointIndex } from './checkpoint-index.ts';
import type { SegmentOnDisk } from './directory.ts';
import type { NewestEntry } from './entry-rows.ts';
import { verifyRecordAt } from './frame-reader.ts';
import { takeKernelBuffer } from './kernel-buffer.ts';
import { recordFootprint } from './layout.ts';
import { RECORD_HEADER_BYTES } from './record.ts';
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
  const { position, length } = entry;
  if (length < FRAME_FOOTER_BYTES || position + recordFootprint(length) > reader.size) return false;
  const at = reader.load(position, RECORD_HEADER_BYTES + length);
  try {
    verifyRecordAt(reader.bytes, reader.view, { at, lap, expected: entry });
    return true;
  } catch {
    // Whatever is wrong with it, a scan will say.
    return false;
  }
}
