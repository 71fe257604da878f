/** Views of frames in the engine's memory: checked by the kernel where they lie. */
import type { FrameParts } from '../codec/frame-parts.ts';
import { CheckpointView, viewFrame } from '../codec/view.ts';
import { FRAME_PARTS } from '../kernel/kernel.ts';
import type { EngineMemory } from './engine-memory.ts';

/**
 * A view of the frame of `bytes` bytes at `address`.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME saying what is wrong
 */
export function viewFrameAt(memory: EngineMemory, address: number, bytes: number): CheckpointView {
  const { kernel, scratch, u8, view } = memory;
  if (kernel.verify(address, bytes, scratch) === 0) {
    // The codec makes the same checks and says which of them failed.
    return viewFrame(u8.slice(address, address + bytes));
  }
  return new CheckpointView({ bytes: u8, view, start: address, length: bytes }, partsAt(memory));
}

function partsAt({ u32, scratch }: EngineMemory): FrameParts {
  const at = scratch >>> 2;
  return {
    operatorCount: u32[at + FRAME_PARTS.operatorCount] as number,
    sourceCount: u32[at + FRAME_PARTS.sourceCount] as number,
    sourcesAt: u32[at + FRAME_PARTS.sourcesAt] as number,
    bodyEnd: u32[at + FRAME_PARTS.bodyEnd] as number,
    streamIdStart: u32[at + FRAME_PARTS.streamIdStart] as number,
    streamIdEnd: u32[at + FRAME_PARTS.streamIdEnd] as number,
    versionsAt: u32[at + FRAME_PARTS.versionsAt] as number,
    metadataCount: u32[at + FRAME_PARTS.metadataCount] as number,
    metadataAt: u32[at + FRAME_PARTS.metadataAt] as number,
    extensionEnd: u32[at + FRAME_PARTS.extensionEnd] as number,
  };
}
