/**
 * The newest checkpoint of every stream, in the order in which they lie in the log: what an opening verifies, and
 * copies to where it is wanted while it does so.
 *
 * Good as long as the index and the segments that it was made of do not change.
 */
import { FOOTER_CHECKSUM, FRAME_FOOTER_BYTES } from '../../codec/frame.ts';
import type { FileSystem } from '../file-system.ts';
import type { CheckpointIndex } from './checkpoint-index.ts';
import type { SegmentOnDisk } from './directory.ts';
import type { NewestEntry } from './entry-rows.ts';
import { FrameCopies, type FrameTargets, type TargetMemory } from './frame-copies.ts';
import { GAP_BYTES_MAX, type RecordPlace, verifyRecordAt } from './frame-reader.ts';
import { kernelXxh64Into, takeKernelBuffer } from './kernel-buffer.ts';
import { recordFootprint, viewOf } from './layout.ts';
import type { PackedNames } from './packed-names.ts';
import { decodeRecordHeader, RECORD_HEADER_BYTES, RECORD_KIND } from './record.ts';
import { readSegmentOnDisk } from './segment-reader.ts';

/** Neighbours are read together up to so many bytes. */
const RUN_BYTES_MAX = 256 * 1024;
/** From here on a frame is read straight to its place; below, a call to the system costs more than the copy. */
const DIRECT_BYTES_MIN = 64 * 1024;
/** What is read of it at once: no more than the nearer caches hold. */
const PIECE_BYTES = 256 * 1024;
/** Pages may be larger. */
const PAGE_BYTES = 4096;

/** A column for each fact. */
export interface NewestColumns {
  readonly names: PackedNames;
  readonly sequences: BigUint64Array;
  readonly generations: Float64Array;
  readonly byteLengths: Float64Array;
}

export interface NewestFramesInput {
  readonly fileSystem: FileSystem;
  readonly index: CheckpointIndex;
  readonly live: readonly SegmentOnDisk[];
}

export class NewestFrames {
  private readonly fileSystem: FileSystem;
  private readonly index: CheckpointIndex;
  private readonly segments: ReadonlyMap<number, SegmentOnDisk>;
  /** Numbers of streams. */
  private readonly streams: Int32Array;
  private readonly entry: NewestEntry = {
    sequenceLow: 0,
    sequenceHigh: 0,
    origin: 0,
    segment: 0,
    generation: 0,
    position: 0,
    length: 0,
  };

  constructor({ fileSystem, index, live }: NewestFramesInput) {
    this.fileSystem = fileSystem;
    this.index = index;
    this.segments = new Map(live.map((segment) => [segment.id, segment]));
    this.streams = index.newestInOrder();
  }

  get count(): number {
    return this.streams.length;
  }

  columns(): NewestColumns {
    const { streams, count, entry } = this;
    const sequences = new BigUint64Array(count);
    const words = new Uint32Array(sequences.buffer);
    const generations = new Float64Array(count);
    const byteLengths = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      this.index.readNewest(entry, streams[i] as number);
      words[2 * i] = entry.sequenceLow;
      words[2 * i + 1] = entry.sequenceHigh;
      generations[i] = entry.generation;
      byteLengths[i] = entry.length;
    }
    return { names: this.index.namesOf(streams), sequences, generations, byteLengths };
  }

  /** Whether all that lie in one of `segments` are where the index says, and good. */
  areGoodIn(segments: ReadonlySet<number>): boolean {
    for (let from = 0; from < this.count; ) {
      const { segment } = this.at(from);
      let to = from + 1;
      while (to < this.count && this.at(to).segment === segment) to++;
      if (segments.has(segment) && !this.read(from, to)) return false;
      from = to;
    }
    return true;
  }

  /** Copies as many as there are addresses, from number `from` on; false as soon as one is not good. */
  copy(from: number, targets: FrameTargets): boolean {
    return this.read(from, from + targets.addresses.length, targets);
  }

  private read(from: number, to: number, targets?: FrameTargets): boolean {
    for (let next = from; next < to; ) {
      const entry = this.at(next);
      const segment = this.segments.get(entry.segment);
      if (segment === undefined || !isWithin(segment, entry)) return false;
      if (targets?.memory.kernel !== undefined && entry.length >= DIRECT_BYTES_MIN) {
        if (!this.readDirectly(segment, targets.addresses[next - from] as number, targets.memory))
          return false;
        next += 1;
      } else {
        const run = { segment, from: next, to: this.runEnd(next, to, segment) };
        if (!this.readRun(run, targets, next - from)) return false;
        next = run.to;
      }
    }
    return true;
  }

  /** Where the run of neighbours that begins with number `from` ends, at `to` at the latest. */
  private runEnd(from: number, to: number, segment: SegmentOnDisk): number {
    const start = this.at(from).position;
    let end = start + recordFootprint(this.entry.length);
    let next = from + 1;
    for (; next < to; next++) {
      const entry = this.at(next);
      if (entry.segment !== segment.id || entry.position - end > GAP_BYTES_MAX) break;
      const after = entry.position + recordFootprint(entry.length);
      if (after - start > RUN_BYTES_MAX || !isWithin(segment, entry)) break;
      end = after;
    }
    return next;
  }

  /** The first of the run goes to address number `first` of the targets. */
  private readRun({ segment, from, to }: Run, targets: FrameTargets | undefined, first: number): boolean {
    const last = this.at(to - 1);
    const end = last.position + recordFootprint(last.length);
    const start = this.at(from).position;
    const bytes = takeKernelBuffer(end - start);
    readSegmentOnDisk({ fileSystem: this.fileSystem, handle: segment.handle }, bytes, start);
    const view = viewOf(bytes);
    const copies = targets === undefined ? undefined : new FrameCopies(targets, first, bytes);
    const place = { at: 0, lap: segment.lap, expected: this.entry };
    for (let i = from; i < to; i++) {
      place.at = this.at(i).position - start;
      if (!isGood(bytes, view, place)) return false;
      copies?.copy(place.at + RECORD_HEADER_BYTES, this.entry.length);
    }
    return true;
  }

  /** Reads the frame of `entry` to `address` and verifies it there. */
  private readDirectly(segment: SegmentOnDisk, address: number, { u8, kernel }: TargetMemory): boolean {
    const { position, length, origin, sequenceLow, sequenceHigh } = this.entry;
    const file = { fileSystem: this.fileSystem, handle: segment.handle };
    const headerBytes = takeKernelBuffer(RECORD_HEADER_BYTES);
    readSegmentOnDisk(file, headerBytes, position);
    const header = decodeRecordHeader(headerBytes, viewOf(headerBytes), 0, segment.lap, kernelXxh64Into);
    if (header?.kind !== RECORD_KIND.frame || header.length !== length || header.origin !== origin)
      return false;
    const frame = u8.subarray(address, address + length);
    for (let from = 0; from < length; from += PIECE_BYTES) {
      const piece = frame.subarray(from, from + PIECE_BYTES);
      // Memory that the system has yet to give: it does so sooner for a store than in the middle of a read.
      for (let at = 0; at < piece.length; at += PAGE_BYTES) piece[at] = 0;
      readSegmentOnDisk(file, piece, position + RECORD_HEADER_BYTES + from);
    }
    const view = viewOf(frame);
    const checksum = length - FRAME_FOOTER_BYTES + FOOTER_CHECKSUM;
    return (
      kernel?.isFrame(address, length) === 1 &&
      header.payloadLow === view.getUint32(checksum, true) &&
      header.payloadHigh === view.getUint32(checksum + 4, true) &&
      view.getUint32(0, true) === sequenceLow &&
      view.getUint32(4, true) === sequenceHigh
    );
  }

  private at(i: number): NewestEntry {
    this.index.readNewest(this.entry, this.streams[i] as number);
    return this.entry;
  }
}

/** Neighbours that are read together. */
interface Run {
  readonly segment: SegmentOnDisk;
  readonly from: number;
  readonly to: number;
}

function isWithin({ size }: SegmentOnDisk, { position, length }: NewestEntry): boolean {
  return length >= FRAME_FOOTER_BYTES && position + recordFootprint(length) <= size;
}

function isGood(bytes: Uint8Array, view: DataView, place: RecordPlace): boolean {
  try {
    verifyRecordAt(bytes, view, place);
    return true;
  } catch {
    // Whatever is wrong with it, a scan will say.
    return false;
  }
}
