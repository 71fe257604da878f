/** Where the parts of a frame are, once all of it has been checked. */
import { BODY_OPERATOR_COUNT, indexBody } from './body.ts';
import { indexExtension } from './extension.ts';
import { verifyFrame } from './footer.ts';

/** What takes a walk over the entries to find, or the footer to know. Positions count from the start of the frame. */
export interface FrameParts {
  /** First entry of the sources; the operators' is at `OPERATORS_AT`. */
  readonly sourcesAt: number;
  readonly bodyEnd: number;
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
  const { operators } = indexBody(bytes, 0, bodyEnd);
  indexExtension(bytes, { start: bodyEnd, end: extensionEnd, operatorCount: operators.length });
  return { sourcesAt: (operators.at(-1)?.stateEnd ?? OPERATORS_AT) + 4, bodyEnd };
}
