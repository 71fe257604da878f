/**
 * What a scan has found of the frames of a commit: a row of words each, as the kernel writes them, since there may be
 * thousands of which nobody asks for more than where they are.
 */
import type { FrameFacts } from './frame-facts.ts';
import { RECORD_ALIGN } from './layout.ts';
import type { RecordHeader } from './record.ts';

/** Words of a row; u64 are low and high word. See `goodFrames` of the kernel. */
const ROW = {
  /** In records. */
  position: 0,
  length: 1,
  index: 2,
  origin: 4,
  generation: 6,
  createdAt: 8,
  headerChecksum: 10,
} as const;
export const FRAME_ROW_WORDS = 12;
const INITIAL_ROWS = 16;
const TWO_TO_32 = 0x1_0000_0000;
const MS_TO_NS = 1_000_000n;

export class FrameRows {
  count = 0;
  private words = new Uint32Array(INITIAL_ROWS * FRAME_ROW_WORDS);
  /** Why a frame cannot be believed. */
  private readonly damages = new Map<number, string>();

  /** Rows that the kernel has written. */
  addGood(rows: Uint32Array): void {
    const count = rows.length / FRAME_ROW_WORDS;
    this.reserve(count);
    this.words.set(rows, this.count * FRAME_ROW_WORDS);
    this.count += count;
  }

  add(
    header: RecordHeader,
    position: number,
    found: FrameFacts | { readonly damage: string } | undefined,
  ): void {
    this.reserve(1);
    const row = this.count * FRAME_ROW_WORDS;
    this.words[row + ROW.position] = position / RECORD_ALIGN;
    this.words[row + ROW.length] = header.length;
    this.words[row + ROW.index] = header.index;
    this.putCounter(row + ROW.origin, header.origin);
    this.words[row + ROW.headerChecksum] = header.checksumLow;
    this.words[row + ROW.headerChecksum + 1] = header.checksumHigh;
    if (found !== undefined && 'damage' in found) {
      this.damages.set(this.count, found.damage);
    } else if (found !== undefined) {
      this.putCounter(row + ROW.generation, found.generation);
      const ns = BigInt(found.createdAtMs) * MS_TO_NS;
      this.words[row + ROW.createdAt] = Number(ns & 0xffff_ffffn);
      this.words[row + ROW.createdAt + 1] = Number(ns >> 32n);
    }
    this.count += 1;
  }

  position(i: number): number {
    return this.word(i, ROW.position) * RECORD_ALIGN;
  }

  length(i: number): number {
    return this.word(i, ROW.length);
  }

  /** In the commit. */
  index(i: number): number {
    return this.word(i, ROW.index);
  }

  origin(i: number): number {
    return this.counter(i, ROW.origin);
  }

  /** Of the checkpoint; 0 when skimmed. */
  generation(i: number): number {
    return this.counter(i, ROW.generation);
  }

  createdAtMs(i: number): number {
    const high = BigInt(this.word(i, ROW.createdAt + 1));
    return Number(((high << 32n) | BigInt(this.word(i, ROW.createdAt))) / MS_TO_NS);
  }

  damage(i: number): string | undefined {
    return this.damages.get(i);
  }

  get hasDamage(): boolean {
    return this.damages.size > 0;
  }

  /** The checksums of the headers, one behind the other. */
  headerChecksums(): Uint8Array {
    const checksums = new Uint32Array(2 * this.count);
    for (let i = 0; i < this.count; i++) {
      checksums[2 * i] = this.word(i, ROW.headerChecksum);
      checksums[2 * i + 1] = this.word(i, ROW.headerChecksum + 1);
    }
    return new Uint8Array(checksums.buffer);
  }

  private word(i: number, column: number): number {
    return this.words[i * FRAME_ROW_WORDS + column] as number;
  }

  /** -1 when it is beyond the safe integers, which no counter of ours reaches. */
  private counter(i: number, column: number): number {
    const high = this.word(i, column + 1);
    return high >= 0x20_0000 ? -1 : high * TWO_TO_32 + this.word(i, column);
  }

  private putCounter(at: number, value: number): void {
    const high = Math.floor(value / TWO_TO_32);
    this.words[at] = value - high * TWO_TO_32;
    this.words[at + 1] = high;
  }

  private reserve(rows: number): void {
    const needed = (this.count + rows) * FRAME_ROW_WORDS;
    if (needed <= this.words.length) return;
    const words = new Uint32Array(Math.max(needed, 2 * this.words.length));
    words.set(this.words);
    this.words = words;
  }
}
