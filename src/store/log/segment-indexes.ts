/** The indexes of segments, by which an opening knows them without a scan. */
import type { FileSystem } from '../file-system.ts';
import type { DirectoryOnDisk, SegmentOnDisk } from './directory.ts';
import { takeKernelBuffer } from './kernel-buffer.ts';
import { type FoundSegmentIndex, readSegmentIndex } from './segment-index.ts';
import { SegmentReader, SKIM_WINDOW_BYTES } from './segment-reader.ts';

export interface SegmentIndexesInput {
  readonly fileSystem: FileSystem;
  readonly onDisk: DirectoryOnDisk;
  /** Segments that were ever used, ascending by lap. */
  readonly used: readonly SegmentOnDisk[];
}

/** `'damaged'`: there should be one, and it does not verify. */
export type KnownIndex = FoundSegmentIndex | 'damaged' | undefined;

export class SegmentIndexes {
  private readonly input: SegmentIndexesInput;
  /** The newest segment is asked for twice in a row. */
  private last: { readonly segment: SegmentOnDisk; readonly index: KnownIndex } | undefined;

  constructor(input: SegmentIndexesInput) {
    this.input = input;
  }

  of(segment: SegmentOnDisk): KnownIndex {
    if (this.last?.segment !== segment) this.last = { segment, index: this.read(segment) };
    return this.last.index;
  }

  private read(segment: SegmentOnDisk): KnownIndex {
    const position = this.positionOf(segment);
    if (position === 0) return undefined;
    const { handle, size, lap } = segment;
    const { fileSystem } = this.input;
    // Whoever asks is done with one index before it asks for the next.
    const reader = new SegmentReader({ fileSystem, handle, size }, SKIM_WINDOW_BYTES, takeKernelBuffer);
    const index = readSegmentIndex(reader, { position, lap });
    return index !== undefined && index.lastCommit === this.lastCommitOf(segment) ? index : 'damaged';
  }

  /** Where the index is: the header of the next segment says it, or the superblock after a clean close. */
  private positionOf(segment: SegmentOnDisk): number {
    if (segment.header === undefined) return 0;
    const { used, onDisk } = this.input;
    const next = used[used.indexOf(segment) + 1];
    if (next === undefined) return onDisk.isSuperblockWhole ? (onDisk.superblock?.headIndex ?? 0) : 0;
    return next.lap === segment.lap + 1 ? (next.header?.previousIndex ?? 0) : 0;
  }

  private lastCommitOf(segment: SegmentOnDisk): number {
    const { used, onDisk } = this.input;
    const next = used[used.indexOf(segment) + 1];
    return next === undefined ? (onDisk.superblock?.durableCommit ?? 0) : (next.header?.firstCommit ?? 0) - 1;
  }
}
