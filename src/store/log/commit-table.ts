/**
 * A commit on its way to the store writer: its numbers in one array, whose buffer is transferred, and its names in one
 * text. To clone it as objects would take the engine's thread longer than the log takes to lay out a small commit.
 *
 *   numbers = head | row of each frame | lengths of names | frontiers
 *
 * The names are those of new streams, then those of the sources of the frontiers, in UTF-16 units. What is 64 bits wide,
 * a sequence or an offset, takes the place of a number as its bits.
 */
import type { CommitBatch } from '../contract.ts';
import type { LogFrame } from './log-store.ts';

export interface CommitTable {
  readonly frameCount: number;
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly names: string;
  /** Frames that do not lie in the engine's memory. */
  readonly copies: readonly Uint8Array<ArrayBuffer>[];
}

const HEAD = { newStreams: 0, firstNewStream: 1, frontiers: 2, columns: 3 } as const;
/** An offset below zero stands for a frame that is not in the engine's memory: `copies[-1 - offset]`. */
const ROW = { stream: 0, offset: 1, length: 2, sequence: 3, columns: 4 } as const;

/** Streams cross by name once, and as a small number from then on. The client chooses it; none is used again. */
export class StreamNumbers {
  /** Of the next stream that has none. */
  next = 0;
  readonly #byName = new Map<string, number>();

  /** The number of a stream, and a new one if it has none. */
  take(stream: string): number {
    const known = this.#byName.get(stream);
    if (known !== undefined) return known;
    const number = this.next++;
    this.#byName.set(stream, number);
    return number;
  }

  /** The number that the stream had, if any. */
  remove(stream: string): number | undefined {
    const number = this.#byName.get(stream);
    this.#byName.delete(stream);
    return number;
  }
}

/** `memory` is the engine's: frames that lie in it cross as numbers. */
export function packCommit(
  { frames, frontiers }: Pick<CommitBatch, 'frames' | 'frontiers'>,
  streams: StreamNumbers,
  memory: ArrayBufferLike,
): CommitTable {
  const frameCount = frames.length;
  // Every stream may be new.
  const length = HEAD.columns + (ROW.columns + 1) * frameCount + 2 * frontiers.size;
  const numbers = new Float64Array(length);
  const bits = new BigUint64Array(numbers.buffer);
  const copies: Uint8Array<ArrayBuffer>[] = [];
  const firstNewStream = streams.next;
  const lengths = HEAD.columns + ROW.columns * frameCount;
  let names = '';
  let row: number = HEAD.columns;
  for (const { stream, sequence, bytes } of frames) {
    const next = streams.next;
    const number = streams.take(stream);
    if (number === next) {
      numbers[lengths + number - firstNewStream] = stream.length;
      names += stream;
    }
    numbers[row + ROW.stream] = number;
    if (bytes.buffer === memory) numbers[row + ROW.offset] = bytes.byteOffset;
    else numbers[row + ROW.offset] = -copies.push(new Uint8Array(bytes));
    numbers[row + ROW.length] = bytes.length;
    bits[row + ROW.sequence] = sequence;
    row += ROW.columns;
  }
  const newStreams = streams.next - firstNewStream;
  numbers[HEAD.newStreams] = newStreams;
  numbers[HEAD.firstNewStream] = firstNewStream;
  numbers[HEAD.frontiers] = frontiers.size;
  let at = lengths + newStreams;
  for (const [source, offset] of frontiers) {
    numbers[at] = source.length;
    bits[at + frontiers.size] = offset;
    names += source;
    at++;
  }
  return { frameCount, numbers, names, copies };
}

/** The writer's side. */
export class CommitReader {
  readonly #table: CommitTable;
  readonly #streams: ReadonlyMap<number, string>;
  readonly #bits: BigUint64Array;
  /** Where the lengths of the names begin. */
  readonly #lengths: number;
  /** Where in the names those of the sources begin. */
  #sourcesAt = 0;

  /** Notes the names of streams that are new in `streams`. */
  constructor(table: CommitTable, streams: Map<number, string>) {
    const { frameCount, names, numbers } = table;
    this.#table = table;
    this.#streams = streams;
    this.#bits = new BigUint64Array(numbers.buffer);
    this.#lengths = HEAD.columns + ROW.columns * frameCount;
    const first = numbers[HEAD.firstNewStream] as number;
    const count = numbers[HEAD.newStreams] as number;
    for (let i = 0; i < count; i++) {
      const end = this.#sourcesAt + (numbers[this.#lengths + i] as number);
      streams.set(first + i, names.slice(this.#sourcesAt, end));
      this.#sourcesAt = end;
    }
  }

  /** `memoryAt` gives bytes of the engine's memory. @throws Error for a stream that has no name */
  frames(memoryAt: (offset: number, length: number) => Uint8Array): LogFrame[] {
    const { copies, frameCount, numbers } = this.#table;
    const frames: LogFrame[] = [];
    for (let i = 0, row: number = HEAD.columns; i < frameCount; i++, row += ROW.columns) {
      const stream = this.#streams.get(numbers[row + ROW.stream] as number);
      if (stream === undefined) throw new Error('a frame of a stream that was not named');
      const offset = numbers[row + ROW.offset] as number;
      const bytes =
        offset < 0
          ? (copies[-1 - offset] as Uint8Array)
          : memoryAt(offset, numbers[row + ROW.length] as number);
      frames.push({ stream, sequence: this.#bits[row + ROW.sequence] as bigint, bytes });
    }
    return frames;
  }

  frontiers(): Map<string, bigint> {
    const { names, numbers } = this.#table;
    const count = numbers[HEAD.frontiers] as number;
    const frontiers = new Map<string, bigint>();
    let start = this.#sourcesAt;
    for (let i = 0, at = this.#lengths + (numbers[HEAD.newStreams] as number); i < count; i++, at++) {
      const end = start + (numbers[at] as number);
      frontiers.set(names.slice(start, end), this.#bits[at + count] as bigint);
      start = end;
    }
    return frontiers;
  }
}
