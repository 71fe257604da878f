/** What a frame says about itself, read from its end and its extension without reading its state. */
import { EXTENSION_CREATED_AT, EXTENSION_GENERATION } from '../../codec/extension.ts';
import { FRAME_FOOTER_BYTES } from '../../codec/footer.ts';
import type { CheckpointLocation } from './checkpoint-index.ts';
import type { SegmentAccess } from './frame-reader.ts';
import { getCounter, RECORD_ALIGN, viewOf } from './layout.ts';

export interface FrameFacts {
  readonly createdAtMs: number;
  readonly generation: number;
}

/** Of a frame that was verified when the index took it up; nothing is verified here. */
export function readFrameFacts(access: SegmentAccess, place: CheckpointLocation): FrameFacts {
  const start = place.position + RECORD_ALIGN;
  const footer = new Uint8Array(FRAME_FOOTER_BYTES);
  access.read(place.segment, footer, start + place.length - FRAME_FOOTER_BYTES);
  const bodyEnd = viewOf(footer).getUint32(0, true);
  if (bodyEnd + 16 > place.length) return { createdAtMs: 0, generation: 0 };
  const extension = new Uint8Array(16);
  access.read(place.segment, extension, start + bodyEnd);
  return frameFactsAt(viewOf(extension), 0);
}

/** Of the engine that took the checkpoint; 0 for bytes that cannot be a frame, which nothing else is said about here. */
export function generationOf(frame: Uint8Array): number {
  const view = viewOf(frame);
  if (frame.length < FRAME_FOOTER_BYTES) return 0;
  const bodyEnd = view.getUint32(frame.length - FRAME_FOOTER_BYTES, true);
  const end = bodyEnd + EXTENSION_GENERATION + 8;
  return end > frame.length - FRAME_FOOTER_BYTES ? 0 : getCounter(view, bodyEnd + EXTENSION_GENERATION);
}

/** From the extension that begins at `start` of `view`. */
export function frameFactsAt(view: DataView, start: number): FrameFacts {
  return {
    createdAtMs: Number(view.getBigUint64(start + EXTENSION_CREATED_AT, true) / 1_000_000n),
    generation: getCounter(view, start + EXTENSION_GENERATION),
  };
}
