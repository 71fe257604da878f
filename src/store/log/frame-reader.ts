/** Reads a frame from its place in the log and verifies it before anybody sees it. */
import { verifyFrame } from '../../codec/frame.ts';
import { TidemarkError } from '../../error.ts';
import type { CheckpointLocation } from './checkpoint-index.ts';
import { kernelXxh64Into, takeKernelBuffer } from './kernel-buffer.ts';
import { RECORD_ALIGN, viewOf } from './layout.ts';

/** Fills `target` from `position` of segment `segment`. */
export type ReadSegment = (segment: number, target: Uint8Array, position: number) => void;

/**
 * Reads the frame at `place` into `target`, which has its length and may be shared memory.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME
 */
export function readFrameInto(read: ReadSegment, place: CheckpointLocation, target: Uint8Array): void {
  const bytes = takeKernelBuffer(place.length);
  read(place.segment, bytes, place.position + RECORD_ALIGN);
  verifyFrame(bytes, kernelXxh64Into);
  // A frame that verifies is not yet the one that the index speaks of.
  if (viewOf(bytes).getBigUint64(0, true) === place.sequence) {
    target.set(bytes);
    return;
  }
  throw new TidemarkError(
    'ERR_TIDEMARK_DAMAGED_FRAME',
    `another frame is in the place of the checkpoint at ${place.sequence}`,
  );
}
