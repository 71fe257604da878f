/** Views of frames in an engine's memory, checked and searched there by the kernel. */
import { FRAME_FOOTER_BYTES } from '../codec/frame.ts';
import { CheckpointView, viewFrame } from '../codec/view.ts';
import type { EngineMemory } from './engine-memory.ts';

/**
 * A view of the frame of `bytes` bytes at `address`.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME saying what is wrong
 */
export function viewFrameAt(memory: EngineMemory, address: number, bytes: number): CheckpointView {
  const { frames, kernel, u8, view } = memory;
  const sourcesAt = kernel.verify(address, bytes, frames.knownLayout);
  if (sourcesAt === 0) {
    // The codec makes the same checks and says which of them failed.
    return viewFrame(u8.slice(address, address + bytes));
  }
  const bodyBytes = view.getUint32(address + bytes - FRAME_FOOTER_BYTES, true);
  return new CheckpointView(frames, address, bytes, sourcesAt, bodyBytes, frames.checkedLayout);
}
