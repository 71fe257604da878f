/**
 * A frame is one encoded checkpoint: body, extension, footer. Layout in FORMAT.md. This file encodes and
 * decodes whole frames; a shard writes the parts in place with what is exported again from here.
 */
import { requireCreatedAt } from '../checkpoint/id.ts';
import type { CheckpointState } from '../checkpoint/state.ts';
import { TidemarkError } from '../error.ts';
import { planBody, writeBody } from './body.ts';
import { U32_MAX, viewOf } from './cursor.ts';
import { extensionByteLength, metadataByteLength, sortMetadata, writeExtension } from './extension.ts';
import { FRAME_FOOTER_BYTES, requireFrameLengths, writeFooter } from './footer.ts';
import { u64 } from './u64.ts';
import { encodeUtf8 } from './utf8.ts';
import { viewFrame } from './view.ts';

export {
  EXTENSION_CREATED_AT,
  EXTENSION_GENERATION,
  extensionByteLength,
  writeCreatedAt,
  writeExtension,
} from './extension.ts';
export {
  FOOTER_CHECKSUM,
  FORMAT_VERSION,
  FRAME_FOOTER_BYTES,
  readFooterChecksum,
  verifyFrame,
  verifyFrameAt,
  writeFooter,
} from './footer.ts';

export interface EncodeFrameOptions {
  /** Generation of the engine that takes the checkpoint, an unsigned 64-bit integer. Default 0. */
  readonly generation?: bigint | number;
}

/**
 * The frame of `state`, in memory of its own. Equal states, times and generations give equal bytes.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT when one of the maps holds what cannot be written, or the body or
 * the extension would take 4 GiB or more
 */
export function encodeFrame(state: CheckpointState, options: EncodeFrameOptions = {}): Uint8Array {
  const generation = u64(options.generation ?? 0n, 'generation');
  const streamId = encodeUtf8(state.id.streamId, 'stream id');
  const plan = planBody(state);
  const versions = plan.operators.map(([name]) =>
    requireVersion(name, state.operatorVersions.get(name) ?? 0),
  );
  const metadata = sortMetadata(state.metadata);
  const extensionLength =
    extensionByteLength(streamId.length, versions.length) + metadataByteLength(metadata);
  requireFrameLengths(plan.byteLength, extensionLength);
  const frame = new Uint8Array(plan.byteLength + extensionLength + FRAME_FOOTER_BYTES);
  const view = viewOf(frame);
  const bodyEnd = writeBody(plan, frame, view, 0);
  const createdAtMs = requireCreatedAt(state.id.createdAt);
  writeExtension(frame, view, bodyEnd, { createdAtMs, generation, streamId, versions, metadata });
  writeFooter(frame, view, 0, plan.byteLength, extensionLength);
  return frame;
}

/**
 * The state in the frame that fills `bytes`, copied.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME saying what is wrong
 */
export function decodeFrame(bytes: Uint8Array): CheckpointState {
  return viewFrame(bytes).toState();
}

function requireVersion(operator: string, version: number): number {
  if (Number.isInteger(version) && version >= 0 && version <= U32_MAX) return version;
  throw new TidemarkError(
    'ERR_TIDEMARK_INVALID_ARGUMENT',
    `the version of operator ${JSON.stringify(operator)} must be an integer from 0 to ${U32_MAX}, got ${version}`,
  );
}
