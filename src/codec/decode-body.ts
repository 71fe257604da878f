/**
 * Decoding a body in the seed format into what no longer depends on the bytes that were read.
 *
 * - A short body is copied whole into a chunk, behind the states of others, and is decoded there.
 * - A longer one is decoded where it lies, and its states are copied into chunks in blocks.
 * - Once its length is known, a state in a chunk moves to where the one before it ends.
 * - The shortest states and the longest get arrays of their own.
 *
 * So a state that is kept keeps at most 16 KiB of a body of up to 4 KiB, and 64 KiB of a longer one, besides itself.
 */
import { TidemarkError } from '../error.ts';
import { BODY_EVENT_COUNT, BODY_OPERATOR_COUNT, BODY_SEQUENCE, BODY_WATERMARK_NS } from './body.ts';
import { requireBytes, viewOf } from './cursor.ts';
import { NAME_BYTES_MAX, NameTable } from './name-table.ts';
import { type Chunk, Chunks } from './state-chunks.ts';
import { decodeUtf8 } from './utf8.ts';

/** The least sizes at which making chunks does not show in the time that decoding takes. */
const smallChunks = new Chunks(16_384);
const largeChunks = new Chunks(65_536);

/** V8 has arrays of up to so many bytes in its own heap: they cost no more than a place in a chunk. */
const SMALL_STATE_BYTES_MAX = 64;
/** A block is the states from one on, as many as fit. */
const BLOCK_BYTES = largeChunks.bodyBytesMax;
/** A state of so many bytes begins no block. It would leave room for few others. */
const LONE_STATE_BYTES_MIN = BLOCK_BYTES;
/** Names of one thread that are recognised. */
const NAME_SLOTS = 4_096;

const names = new NameTable(NAME_SLOTS);

export interface DecodedBody {
  readonly sequence: bigint;
  readonly watermarkNs: bigint;
  readonly eventCount: bigint;
  readonly operatorStates: Map<string, Uint8Array>;
  readonly sourceOffsets: Map<string, bigint>;
}

/**
 * Decodes a body in the seed format; states are copied, may share a buffer, and begin there at a multiple
 * of 8 bytes. Of entries with the same name the last one counts, a source section that is missing or cut inside its
 * count is empty, and bytes after the body are ignored.
 * @throws ERR_TIDEMARK_DESERIALIZATION naming the byte offset
 */
export function decodeBody(bytes: Uint8Array): DecodedBody {
  requireBytes(bytes, 'bytes');
  const { length } = bytes;
  if (length > largeChunks.bodyBytesMax) {
    // Not a Buffer, whose slices are no copies.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, length);
    const chunk = largeChunks.current;
    return new BodyDecoder(plain, { view: viewOf(plain), start: 0, length, chunk, copiedEnd: 0 }).decode();
  }
  const chunk = (length <= smallChunks.bodyBytesMax ? smallChunks : largeChunks).withRoom(length);
  const { view, used: start } = chunk;
  // What of it is no state is written over by what comes next.
  chunk.bytes.set(bytes, start);
  const place = { view, start, length, chunk, copiedEnd: start + length };
  return new BodyDecoder(chunk.bytes, place).decode();
}

/** Where a body lies, by positions in the bytes that are read. */
interface BodyPlace {
  /** Spans the same bytes. */
  readonly view: DataView;
  readonly start: number;
  readonly length: number;
  /** Holds the bytes up to `copiedEnd`, at the same positions. */
  readonly chunk: Chunk;
  readonly copiedEnd: number;
}

/** Steps like a `ByteCursor`, but is none: what that one keeps besides made decoding a small body a tenth slower. */
class BodyDecoder {
  private at: number;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly start: number;
  private readonly end: number;
  /** Holds the bytes up to `copiedEnd` that are still to be read, `shift` away from where they are read. */
  private chunk: Chunk;
  private copiedEnd: number;
  private shift = 0;

  constructor(bytes: Uint8Array, place: BodyPlace) {
    this.bytes = bytes;
    this.view = place.view;
    this.start = place.start;
    this.end = place.start + place.length;
    this.at = place.start;
    this.chunk = place.chunk;
    this.copiedEnd = place.copiedEnd;
  }

  decode(): DecodedBody {
    const { view } = this;
    const header = this.take(BODY_OPERATOR_COUNT, 'the header');
    // Before the operators: their states may move there.
    const sequence = view.getBigUint64(header + BODY_SEQUENCE, true);
    const watermarkNs = view.getBigUint64(header + BODY_WATERMARK_NS, true);
    const eventCount = view.getBigUint64(header + BODY_EVENT_COUNT, true);
    const operatorStates = this.operators();
    const sourceOffsets = this.sources();
    return { sequence, watermarkNs, eventCount, operatorStates, sourceOffsets };
  }

  private operators(): Map<string, Uint8Array> {
    const states = new Map<string, Uint8Array>();
    for (let left = this.u32('the number of operators'); left > 0; left--) {
      const name = this.text('an operator name');
      const length = this.u32('the length of an operator state');
      const start = this.take(length, 'an operator state');
      states.set(name, this.state(start, length));
    }
    return states;
  }

  private sources(): Map<string, bigint> {
    const offsets = new Map<string, bigint>();
    if (this.end - this.at < 4) return offsets;
    for (let left = this.u32('the number of sources'); left > 0; left--) {
      const name = this.text('a source name');
      offsets.set(name, this.view.getBigUint64(this.take(8, 'a source offset'), true));
    }
    return offsets;
  }

  private state(start: number, length: number): Uint8Array {
    if (length <= SMALL_STATE_BYTES_MAX) return this.bytes.slice(start, start + length);
    if (start + length > this.copiedEnd) {
      if (length >= LONE_STATE_BYTES_MIN) return new Uint8Array(this.bytes.subarray(start, start + length));
      this.copyBlock(start);
    }
    // Two lengths of 4 bytes lie in front of each state, more than are lost from one multiple of 8 to the next. So
    // no state moves to what is still to be read.
    return this.chunk.keep(start + this.shift, length);
  }

  private copyBlock(start: number): void {
    const end = Math.min(start + BLOCK_BYTES, this.end);
    this.chunk = largeChunks.withRoom(end - start);
    this.chunk.bytes.set(this.bytes.subarray(start, end), this.chunk.used);
    this.copiedEnd = end;
    this.shift = this.chunk.used - start;
  }

  private text(what: string): string {
    if (this.end - this.at < 4) throw this.cut(`the length of ${what}`, 4);
    const length = this.view.getUint32(this.at, true);
    this.at += 4;
    const start = this.take(length, what);
    // A whole body goes on after a name for at least as long as the table reads past it.
    const text =
      length <= NAME_BYTES_MAX && this.end - this.at >= 4
        ? names.read(this.view, start, length)
        : decodeUtf8(this.bytes, start, this.at);
    if (text === undefined) throw this.wrong(`${what} is not UTF-8`, start);
    return text;
  }

  private u32(what: string): number {
    return this.view.getUint32(this.take(4, what), true);
  }

  private take(length: number, what: string): number {
    const start = this.at;
    if (length > this.end - start) throw this.cut(what, length);
    this.at = start + length;
    return start;
  }

  private cut(what: string, length: number): TidemarkError {
    return this.wrong(`${what} takes ${length} bytes, but ${this.end - this.at} are left`, this.at);
  }

  private wrong(problem: string, at: number): TidemarkError {
    return new TidemarkError('ERR_TIDEMARK_DESERIALIZATION', `${problem} (byte offset ${at - this.start})`);
  }
}
