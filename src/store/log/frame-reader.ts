/**
 * Reads frames from their places in the log, and verifies each before anybody sees it: its own checksum, and the header
 * of its record. A recycled segment is full of frames that verify by themselves; the header says of which lap one is.
 */
import { FOOTER_CHECKSUM, FRAME_FOOTER_BYTES, verifyFrameAt } from '../../codec/frame.ts';
import { TidemarkError } from '../../error.ts';
import type { FileHandle, FileSystem } from '../file-system.ts';
import type { CheckpointLocation } from './checkpoint-index.ts';
import { kernelIsRecord, kernelXxh64Into, takeKernelBuffer } from './kernel-buffer.ts';
import { getCounter, recordFootprint, viewOf } from './layout.ts';
import { decodeRecordHeader, RECORD_HEADER_BYTES, RECORD_KIND, RECORD_LAP, RECORD_ORIGIN } from './record.ts';
import { readSegmentOnDisk } from './segment-reader.ts';

/** The segments of a log, by number. */
export interface SegmentAccess {
  /** Fills `target` from `position` of the segment. */
  read(segment: number, target: Uint8Array, position: number): void;
  lapOf(segment: number): number;
}

/** Reads the segments that `find` gives by number; to ask for one that it does not give is an error. */
export function segmentAccess(
  fileSystem: FileSystem,
  find: (segment: number) => { readonly handle: FileHandle; readonly lap: number } | undefined,
): SegmentAccess {
  const segmentOf = (id: number) => {
    const segment = find(id);
    if (segment === undefined) throw new Error(`segment ${id} is not there`);
    return segment;
  };
  return {
    read: (id, target, position) =>
      readSegmentOnDisk({ fileSystem, handle: segmentOf(id).handle }, target, position),
    lapOf: (id) => segmentOf(id).lap,
  };
}

/** What of an entry of the index its record must agree with; the sequence in words. */
export interface ExpectedRecord {
  readonly sequenceLow: number;
  readonly sequenceHigh: number;
  readonly origin: number;
  readonly length: number;
}

export interface WantedFrame {
  readonly place: CheckpointLocation;
  /** Has the length of the frame; may be shared memory. */
  readonly target: Uint8Array;
}

/** Records that lie no farther apart than this are read together … */
export const GAP_BYTES_MAX: number = 16 * 1024;
/** … up to so many bytes. */
const RUN_BYTES_MAX = 1024 * 1024;

export interface RecordPlace {
  readonly at: number;
  readonly lap: number;
  readonly expected: ExpectedRecord;
}

/**
 * Checks that the record at `at` is the one that the index speaks of.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME saying what is wrong
 */
export function verifyRecordAt(bytes: Uint8Array, view: DataView, place: RecordPlace): void {
  const { at, lap, expected } = place;
  // The kernel says only that it is good, or that it has not found it so.
  if (kernelIsRecord(bytes, at, expected.length) && isExpected(view, at, lap, expected)) return;
  const { length } = expected;
  const start = at + RECORD_HEADER_BYTES;
  verifyFrameAt(bytes, view, { start, length, sumInto: kernelXxh64Into });
  const header = decodeRecordHeader(bytes, view, at, lap, kernelXxh64Into);
  const checksum = start + length - FRAME_FOOTER_BYTES + FOOTER_CHECKSUM;
  const isThisOne =
    header?.kind === RECORD_KIND.frame &&
    header.length === length &&
    header.origin === expected.origin &&
    header.payloadLow === view.getUint32(checksum, true) &&
    header.payloadHigh === view.getUint32(checksum + 4, true) &&
    view.getUint32(start, true) === expected.sequenceLow &&
    view.getUint32(start + 4, true) === expected.sequenceHigh;
  if (isThisOne) return;
  throw new TidemarkError('ERR_TIDEMARK_DAMAGED_FRAME', 'another frame is in the place of the checkpoint');
}

/** Of a record whose header and frame are undamaged. */
function isExpected(view: DataView, at: number, lap: number, expected: ExpectedRecord): boolean {
  const start = at + RECORD_HEADER_BYTES;
  return (
    getCounter(view, at + RECORD_LAP) === lap &&
    getCounter(view, at + RECORD_ORIGIN) === expected.origin &&
    view.getUint32(start, true) === expected.sequenceLow &&
    view.getUint32(start + 4, true) === expected.sequenceHigh
  );
}

/**
 * Reads the frame at `place` into `target`, which has its length and may be shared memory.
 * @throws ERR_TIDEMARK_DAMAGED_FRAME
 */
export function readFrameInto(access: SegmentAccess, place: CheckpointLocation, target: Uint8Array): void {
  readFramesInto(access, [{ place, target }], (_, error) => {
    throw error;
  });
}

/** Reads frames in the order in which they lie, neighbours together. `onFailure` is told which of them failed. */
export function readFramesInto(
  access: SegmentAccess,
  wanted: readonly WantedFrame[],
  onFailure: (frame: WantedFrame, error: unknown) => void,
): void {
  const ordered = wanted.toSorted(
    (a, b) => a.place.segment - b.place.segment || a.place.position - b.place.position,
  );
  for (let from = 0; from < ordered.length; ) {
    const to = runEnd(ordered, from);
    readRun(access, ordered.slice(from, to), onFailure);
    from = to;
  }
}

function endOf({ place }: WantedFrame): number {
  return place.position + recordFootprint(place.length);
}

/** Where the run of neighbours from `from` on ends. */
function runEnd(ordered: readonly WantedFrame[], from: number): number {
  const first = ordered[from] as WantedFrame;
  let last = first;
  let to = from + 1;
  for (; to < ordered.length; to++) {
    const next = ordered[to] as WantedFrame;
    if (next.place.segment !== first.place.segment) break;
    if (next.place.position - endOf(last) > GAP_BYTES_MAX) break;
    if (endOf(next) - first.place.position > RUN_BYTES_MAX) break;
    last = next;
  }
  return to;
}

function readRun(
  access: SegmentAccess,
  run: readonly WantedFrame[],
  onFailure: (frame: WantedFrame, error: unknown) => void,
): void {
  const { segment, position } = (run[0] as WantedFrame).place;
  const bytes = takeKernelBuffer(endOf(run.at(-1) as WantedFrame) - position);
  access.read(segment, bytes, position);
  const view = viewOf(bytes);
  const lap = access.lapOf(segment);
  for (const frame of run) {
    const { place, target } = frame;
    const at = place.position - position;
    const start = at + RECORD_HEADER_BYTES;
    try {
      verifyRecordAt(bytes, view, { at, lap, expected: expectedOf(place) });
      target.set(bytes.subarray(start, start + place.length));
    } catch (error) {
      onFailure(frame, error);
    }
  }
}

function expectedOf({ sequence, origin, length }: CheckpointLocation): ExpectedRecord {
  return {
    sequenceLow: Number(sequence & 0xffff_ffffn),
    sequenceHigh: Number(sequence >> 32n),
    origin,
    length,
  };
}
