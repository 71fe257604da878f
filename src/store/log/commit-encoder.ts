/**
 * Lays one commit out as the buffers of a single write: headers, small frames and the COMMIT record from a reused
 * buffer, large frames straight from the memory in which they lie. Owned by the thread that writes the log; what
 * `encode` returns is good until its next call.
 */
import { FOOTER_CHECKSUM, FRAME_FOOTER_BYTES } from '../../codec/footer.ts';
import { TidemarkError } from '../../error.ts';
import { type CommitRecord, commitRecordBytesMax, writeCommitRecord } from './commit-record.ts';
import { kernelXxh64, sealRecordHeaders, takeKernelBuffer } from './kernel-buffer.ts';
import { alignUp, RECORD_ALIGN, recordFootprint, SECTOR_BYTES, viewOf } from './layout.ts';
import {
  finishRecordHeader,
  putRecordFields,
  RECORD_FLAG_TOMBSTONES,
  RECORD_HEADER_BYTES,
  RECORD_KIND,
  RECORD_PAYLOAD_CHECKSUM,
  type RecordFields,
} from './record.ts';

/** Up to here copying a frame costs less than one more buffer in the write. */
const COPIED_FRAME_BYTES_MAX = 4 * 1024;

export interface FrameToWrite {
  readonly stream: string;
  readonly sequence: bigint;
  /** The frame, footer included; only its footer is looked at. */
  readonly bytes: Uint8Array;
  /** The commit that saved it first; undefined: the one that is written. */
  readonly origin: number | undefined;
}

export interface CommitToWrite {
  readonly lap: number;
  readonly number: number;
  readonly generation: number;
  readonly frames: readonly FrameToWrite[];
  readonly record: Omit<CommitRecord, 'framesChecksum' | 'frames'>;
}

export interface EncodedCommit {
  readonly buffers: readonly Uint8Array[];
  /** Whole sectors. */
  readonly length: number;
  /** Position of each FRAME record from the start of the commit. */
  readonly positions: readonly number[];
  /** Position of the COMMIT record likewise. */
  readonly recordAt: number;
}

/** The sectors that a commit takes at most. */
export function commitBytesMax(
  frames: readonly FrameToWrite[],
  record: Omit<CommitRecord, 'framesChecksum' | 'frames'>,
): number {
  let bytes = 0;
  for (const frame of frames) bytes += recordFootprint(frame.bytes.length);
  return alignUp(bytes + recordFootprint(commitRecordBytesMax({ ...record, frames })), SECTOR_BYTES);
}

export class CommitEncoder {
  private staging = new Uint8Array(128 * 1024);
  private view = viewOf(this.staging);
  private words = new Uint32Array(this.staging.buffer);
  /** The headers of the frames, and behind them their checksums; in the kernel's buffer. */
  private headers: Uint8Array = new Uint8Array(0);
  private headerView = viewOf(this.headers);
  private readonly fields: RecordFields = {
    kind: RECORD_KIND.frame,
    flags: 0,
    length: 0,
    index: 0,
    lap: 0,
    commit: 0,
    origin: 0,
    generation: 0,
  };
  private buffers: Uint8Array[] = [];
  /** What of the staging buffer is not yet in `buffers`, and where its next byte goes. */
  private runStart = 0;
  private at = 0;

  /** @throws ERR_TIDEMARK_DAMAGED_FRAME when one of the frames has no footer */
  encode(commit: CommitToWrite): EncodedCommit {
    const { frames, fields } = { frames: commit.frames, fields: this.fields };
    this.reserve(commit);
    fields.kind = RECORD_KIND.frame;
    fields.flags = 0;
    fields.lap = commit.lap;
    fields.commit = commit.number;
    fields.generation = commit.generation;
    const positions: number[] = [];
    const staged: number[] = [];
    let length = 0;
    for (let index = 0; index < frames.length; index++) {
      const frame = frames[index] as FrameToWrite;
      requireFooter(frame);
      positions.push(length);
      fields.index = index;
      fields.length = frame.bytes.length;
      fields.origin = frame.origin ?? commit.number;
      staged.push(this.at);
      this.putFrame(frame.bytes, index);
      length += recordFootprint(frame.bytes.length);
    }
    const framesChecksum = this.putHeaders(staged);
    const recordAt = length;
    length += this.putCommitRecord(commit, framesChecksum);
    const end = alignUp(length, SECTOR_BYTES);
    this.putZeros(end - length);
    this.endRun();
    const { buffers } = this;
    this.buffers = [];
    return { buffers, length: end, positions, recordAt };
  }

  private reserve(commit: CommitToWrite): void {
    const { frames, record } = commit;
    let bytes = RECORD_HEADER_BYTES + commitRecordBytesMax({ ...record, frames }) + 2 * SECTOR_BYTES;
    for (const frame of frames) {
      bytes += RECORD_HEADER_BYTES + 2 * RECORD_ALIGN;
      if (frame.bytes.length <= COPIED_FRAME_BYTES_MAX) bytes += frame.bytes.length;
    }
    if (bytes > this.staging.length) {
      this.staging = new Uint8Array(alignUp(2 * bytes, 4096));
      this.view = viewOf(this.staging);
      this.words = new Uint32Array(this.staging.buffer);
    }
    this.headers = takeKernelBuffer((RECORD_HEADER_BYTES + 8) * frames.length);
    this.headerView = viewOf(this.headers);
    this.runStart = 0;
    this.at = 0;
  }

  /** Puts a frame behind the place of its header, which is still to come. */
  private putFrame(frame: Uint8Array, index: number): void {
    const { staging, headers, headerView } = this;
    const header = RECORD_HEADER_BYTES * index;
    putRecordFields(headerView, header, this.fields);
    // The footer's checksum is the payload's: the writer never hashes the bytes of a state.
    const checksum = frame.length - FRAME_FOOTER_BYTES + FOOTER_CHECKSUM;
    for (let i = 0; i < 8; i++) {
      headers[header + RECORD_PAYLOAD_CHECKSUM + i] = frame[checksum + i] as number;
    }
    const padding = recordFootprint(frame.length) - RECORD_HEADER_BYTES - frame.length;
    this.at += RECORD_HEADER_BYTES;
    if (frame.length <= COPIED_FRAME_BYTES_MAX) {
      staging.set(frame, this.at);
      this.at += frame.length;
    } else {
      this.endRun();
      this.buffers.push(frame);
      // The zeros behind it and the next header are one run, which begins so that the header lies on its alignment.
      this.at = alignUp(this.at + padding, RECORD_ALIGN) - padding;
      this.runStart = this.at;
    }
    this.putZeros(padding);
  }

  /** Puts the headers to their places in the staging buffer; returns the checksum over their checksums. */
  private putHeaders(places: readonly number[]): bigint {
    const count = places.length;
    if (count > 0) sealRecordHeaders(this.headers, count);
    const { words, headers } = this;
    const from = new Uint32Array(headers.buffer, headers.byteOffset, (RECORD_HEADER_BYTES / 4) * count);
    let at = 0;
    for (const place of places) {
      for (let word = place / 4; word < (place + RECORD_HEADER_BYTES) / 4; word++) {
        words[word] = from[at++] as number;
      }
    }
    const sums = RECORD_HEADER_BYTES * count;
    return kernelXxh64(headers.subarray(sums, sums + 8 * count));
  }

  /** Returns the bytes that the record takes. */
  private putCommitRecord(commit: CommitToWrite, framesChecksum: bigint): number {
    const { staging, view, fields, at } = this;
    const { frames, record } = commit;
    const payload = at + RECORD_HEADER_BYTES;
    const end = writeCommitRecord(staging, view, payload, { ...record, frames, framesChecksum });
    fields.kind = RECORD_KIND.commit;
    fields.flags = record.tombstones.length > 0 ? RECORD_FLAG_TOMBSTONES : 0;
    fields.index = frames.length;
    fields.length = end - payload;
    fields.origin = commit.number;
    view.setBigUint64(at + RECORD_PAYLOAD_CHECKSUM, checksumOf(staging.subarray(payload, end)), true);
    finishRecordHeader(staging, view, at, fields);
    this.at = end;
    const footprint = recordFootprint(fields.length);
    this.putZeros(footprint - (end - at));
    return footprint;
  }

  private putZeros(count: number): void {
    this.staging.fill(0, this.at, this.at + count);
    this.at += count;
  }

  private endRun(): void {
    if (this.at > this.runStart) this.buffers.push(this.staging.subarray(this.runStart, this.at));
    this.runStart = this.at;
  }
}

/** XXH64 by the kernel, in whose buffer the headers are not needed any more. */
function checksumOf(bytes: Uint8Array): bigint {
  const summed = takeKernelBuffer(bytes.length);
  summed.set(bytes);
  return kernelXxh64(summed);
}

const FOOTER_MAGIC = new TextEncoder().encode('TIDEMARK');

/** Bytes without a footer would be found damaged at the next opening, when it is too late to say so. */
function requireFooter(frame: FrameToWrite): void {
  const { bytes } = frame;
  let good = bytes.length >= FRAME_FOOTER_BYTES;
  for (let i = 0; good && i < 8; i++) good = bytes[bytes.length - 8 + i] === FOOTER_MAGIC[i];
  if (good) return;
  throw new TidemarkError(
    'ERR_TIDEMARK_DAMAGED_FRAME',
    `what was given as the checkpoint of stream ${JSON.stringify(frame.stream)} at ${frame.sequence} is not a frame`,
  );
}
