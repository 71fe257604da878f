/**
 * The footer of a frame: its lengths, its version and the checksum that lets a reader believe the rest.
 * Layout in FORMAT.md. The footer has the same size and the same checksum rule in every version, so that a reader
 * can tell a frame of a version it does not know from a damaged one.
 */
import { TidemarkError } from '../error.ts';
import { requireBytes, U32_MAX, viewOf } from './cursor.ts';
import { xxh64Into } from './xxh64.ts';

export const FORMAT_VERSION = 1;
export const FRAME_FOOTER_BYTES = 32;

/** Offsets from the start of the footer. */
export const FOOTER_CHECKSUM = 16;
const BODY_LENGTH = 0;
const EXTENSION_LENGTH = 4;
const VERSION = 8;
const FLAGS = 10;
const RESERVED = 12;
const CHECKSUM: number = FOOTER_CHECKSUM;
const MAGIC = 24;

/** "TIDE" and "MARK" as little-endian words. */
const MAGIC_LOW = 0x45444954;
const MAGIC_HIGH = 0x4b52414d;

/** Low and high word of a checksum; the module belongs to one thread and nothing here yields. */
const sum = new Uint32Array(2);

/**
 * Writes the footer of the frame that begins at `start` of `target`, behind its body and extension, with
 * the checksum of all that stands before it. `view` spans the same bytes as `target`.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT when a length does not fit in 32 bits
 */
export function writeFooter(
  target: Uint8Array,
  view: DataView,
  start: number,
  bodyLength: number,
  extensionLength: number,
): void {
  requireFrameLengths(bodyLength, extensionLength);
  const footer = start + bodyLength + extensionLength;
  view.setUint32(footer + BODY_LENGTH, bodyLength, true);
  view.setUint32(footer + EXTENSION_LENGTH, extensionLength, true);
  view.setUint16(footer + VERSION, FORMAT_VERSION, true);
  view.setUint16(footer + FLAGS, 0, true);
  view.setUint32(footer + RESERVED, 0, true);
  xxh64Into(target, start, footer + CHECKSUM, sum);
  view.setUint32(footer + CHECKSUM, sum[0] as number, true);
  view.setUint32(footer + CHECKSUM + 4, sum[1] as number, true);
  view.setUint32(footer + MAGIC, MAGIC_LOW, true);
  view.setUint32(footer + MAGIC + 4, MAGIC_HIGH, true);
}

/** @throws ERR_TIDEMARK_INVALID_ARGUMENT when a length does not fit in 32 bits */
export function requireFrameLengths(bodyLength: number, extensionLength: number): void {
  if (bodyLength <= U32_MAX && extensionLength <= U32_MAX) return;
  throw new TidemarkError(
    'ERR_TIDEMARK_INVALID_ARGUMENT',
    `a frame holds at most ${U32_MAX} bytes of body and of extension, got ${bodyLength} and ${extensionLength}`,
  );
}

export interface FrameLayout {
  /** The body runs from 0 up to here, the extension from here up to `extensionEnd`. */
  readonly bodyEnd: number;
  readonly extensionEnd: number;
}

/**
 * Checks that `bytes` are one whole frame as it was written: magic, lengths, checksum, version, flags.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME saying what is wrong
 */
export function verifyFrame(bytes: Uint8Array): FrameLayout {
  requireBytes(bytes, 'frame');
  return verifyFrameAt(bytes, viewOf(bytes), { start: 0, length: bytes.length, sumInto: xxh64Into });
}

export interface FramePlace {
  readonly start: number;
  readonly length: number;
  /** `xxh64Into`, or a faster way to the same checksum. */
  readonly sumInto: typeof xxh64Into;
}

/**
 * The same for the frame at a place within `bytes`, which has the length; `view` spans the same bytes. The layout counts
 * from the start of the frame.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME saying what is wrong
 */
export function verifyFrameAt(bytes: Uint8Array, view: DataView, place: FramePlace): FrameLayout {
  const { start, length, sumInto } = place;
  const footer = start + requireFooter(length);
  if (
    view.getUint32(footer + MAGIC, true) !== MAGIC_LOW ||
    view.getUint32(footer + MAGIC + 4, true) !== MAGIC_HIGH
  ) {
    throw damaged('it does not end with the magic of a frame');
  }
  const bodyEnd = view.getUint32(footer + BODY_LENGTH, true);
  const extensionEnd = bodyEnd + view.getUint32(footer + EXTENSION_LENGTH, true);
  if (start + extensionEnd !== footer) {
    throw damaged(`its footer speaks of ${extensionEnd} bytes before it, there are ${footer - start}`);
  }
  sumInto(bytes, start, footer + CHECKSUM, sum);
  if (
    view.getUint32(footer + CHECKSUM, true) !== sum[0] ||
    view.getUint32(footer + CHECKSUM + 4, true) !== sum[1]
  ) {
    throw damaged('its checksum is not that of its bytes');
  }
  const version = view.getUint16(footer + VERSION, true);
  if (version !== FORMAT_VERSION) {
    throw damaged(`it has format version ${version}, this reader knows ${FORMAT_VERSION}`);
  }
  if (view.getUint16(footer + FLAGS, true) !== 0 || view.getUint32(footer + RESERVED, true) !== 0) {
    throw damaged('it sets flags that this format version does not have');
  }
  return { bodyEnd, extensionEnd };
}

/**
 * The checksum that the footer of the frame `bytes` holds; nothing is verified.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME when `bytes` are shorter than a footer
 */
export function readFooterChecksum(bytes: Uint8Array): bigint {
  requireBytes(bytes, 'frame');
  return viewOf(bytes).getBigUint64(requireFooter(bytes.length) + CHECKSUM, true);
}

/** Where in a frame of so many bytes its footer begins. */
function requireFooter(length: number): number {
  if (length < FRAME_FOOTER_BYTES) {
    throw damaged(`its ${length} bytes are fewer than the footer's ${FRAME_FOOTER_BYTES}`);
  }
  return length - FRAME_FOOTER_BYTES;
}

function damaged(what: string): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_DAMAGED_FRAME', `not a frame that can be believed: ${what}`);
}
