/** Where the parts of a frame or of a body are, once all of it has been checked. */
import { BODY_OPERATOR_COUNT, indexBody } from './body.ts';
import { indexExtension } from './extension.ts';
import { verifyFrame } from './footer.ts';

/** Positions count from the start of the frame. */
export interface FrameParts {
  readonly operatorCount: number;
  readonly sourceCount: number;
  /** First entry of the sources; the operators' is at `OPERATORS_AT`. */
  readonly sourcesAt: number;
  readonly bodyEnd: number;
  readonly streamIdStart: number;
  readonly streamIdEnd: number;
  /** The version of the first operator; the others follow, four bytes each. */
  readonly versionsAt: number;
  readonly metadataCount: number;
  /** First entry of the metadata. */
  readonly metadataAt: number;
  readonly extensionEnd: number;
}

/** Where a body's operators begin: behind its counters and their number. */
export const OPERATORS_AT: number = BODY_OPERATOR_COUNT + 4;
/** The length that stands before a text or a state. */
export const TEXT_HEAD_BYTES = 4;

/**
 * The parts of the frame that fills `bytes`.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME unless `bytes` are one whole, undamaged frame
 */
export function framePartsOf(bytes: Uint8Array): FrameParts {
  const { bodyEnd, extensionEnd } = verifyFrame(bytes);
  const { operators, sources } = indexBody(bytes, 0, bodyEnd);
  const operatorCount = operators.length;
  const extension = indexExtension(bytes, { start: bodyEnd, end: extensionEnd, operatorCount });
  const { streamId, versionsAt, metadata } = extension;
  return {
    operatorCount,
    sourceCount: sources.length,
    sourcesAt: (operators.at(-1)?.stateEnd ?? OPERATORS_AT) + 4,
    bodyEnd,
    streamIdStart: streamId.start,
    streamIdEnd: streamId.end,
    versionsAt,
    metadataCount: metadata.length,
    metadataAt: versionsAt + 4 * operatorCount + 4,
    extensionEnd,
  };
}
