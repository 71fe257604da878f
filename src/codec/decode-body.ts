/**
 * Decoding a body in the seed format into what no longer depends on the bytes that were read.
 *
 * A buffer costs as much as copying tens of kilobytes into it, so states share buffers, like those of
 * Node.js's Buffer:
 * - A short body is copied whole into a chunk, behind other bodies, and is decoded there.
 * - A longer one is decoded where it lies. Its states are copied in blocks, and long ones each into a
 *   buffer of its own.
 *
 * So a state that is kept keeps no more than one chunk or block besides itself. A shared buffer cannot be
 * transferred to another thread, which would take all the states in it along.
 */
import { markAsUntransferable } from 'node:worker_threads';
import { TidemarkError } from '../error.ts';
import { BODY_EVENT_COUNT, BODY_OPERATOR_COUNT, BODY_SEQUENCE, BODY_WATERMARK_NS } from './body.ts';
import { requireBytes, viewOf } from './cursor.ts';
import { NAME_BYTES_MAX, NameTable } from './name-table.ts';
import { decodeUtf8 } from './utf8.ts';

const CHUNK_BYTES = 65_536;
/** A quarter, so that little of a chunk is lost where the next body does not fit. */
const CHUNKED_BODY_BYTES_MAX = CHUNK_BYTES / 4;
/** Bodies of up to so many bytes go to smaller chunks: the least in which making them does not show. */
const SHORT_BODY_BYTES_MAX = 1_024;
const SHORT_CHUNK_BYTES = 16_384;
/** A block is the states from one on, as many as fit. */
const BLOCK_BYTES = 65_536;
/** A state of so many bytes begins no block. It would leave room for few others. */
const LONE_STATE_BYTES_MIN = BLOCK_BYTES / 4;
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
 * Decodes a body in the seed format; states are copied, and may share a buffer. Of entries with the same
 * name the last one counts, a source section that is missing or cut inside its count is empty, and bytes
 * after the body are ignored.
 * @throws ERR_TIDEMARK_DESERIALIZATION naming the byte offset
 */
export function decodeBody(bytes: Uint8Array): DecodedBody {
  requireBytes(bytes, 'bytes');
  const { length } = bytes;
  if (length > CHUNKED_BODY_BYTES_MAX) {
    const place = { view: viewOf(bytes), start: 0, length, copy: NO_COPY, copiedEnd: 0 };
    return new BodyDecoder(bytes, place).decode();
  }
  const chunk = (length <= SHORT_BODY_BYTES_MAX ? shortChunks : longChunks).withRoom(length);
  const { view, buffer: copy, used: start } = chunk;
  chunk.bytes.set(bytes, start);
  const decoder = new BodyDecoder(chunk.bytes, { view, start, length, copy, copiedEnd: start + length });
  const body = decoder.decode();
  // What follows the body, and a body that is refused, is written over by the next one.
  chunk.used = decoder.at;
  return body;
}

class Chunk {
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Up to here it holds bodies; their states are in use. */
  used = 0;

  constructor(byteLength: number) {
    // Bytes are written before they are read, so they need not be zero.
    this.buffer = Buffer.allocUnsafeSlow(byteLength).buffer as ArrayBuffer;
    this.bytes = new Uint8Array(this.buffer);
    this.view = new DataView(this.buffer);
    markAsUntransferable(this.buffer);
  }
}

const NO_COPY = new ArrayBuffer(0);
/** One chunk after the other, all of one size. */
class Chunks {
  private readonly chunkBytes: number;
  private current: Chunk;

  constructor(chunkBytes: number) {
    this.chunkBytes = chunkBytes;
    this.current = new Chunk(chunkBytes);
  }

  /** A chunk with room for so many bytes. */
  withRoom(length: number): Chunk {
    if (length > this.chunkBytes - this.current.used) this.current = new Chunk(this.chunkBytes);
    return this.current;
  }
}

const shortChunks = new Chunks(SHORT_CHUNK_BYTES);
const longChunks = new Chunks(CHUNK_BYTES);

/** Where a body lies, by positions in the bytes that are read. */
interface BodyPlace {
  /** Spans the same bytes. */
  readonly view: DataView;
  readonly start: number;
  readonly length: number;
  /** Holds the bytes up to `copiedEnd`, at the same positions. */
  readonly copy: ArrayBuffer;
  readonly copiedEnd: number;
}

/** Steps like a `ByteCursor`, but is none: what that one keeps besides made decoding a small body a tenth slower. */
class BodyDecoder {
  at: number;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly start: number;
  private readonly end: number;
  /** Holds the bytes up to `copiedEnd` that are still to be read, `shift` away from where they are read. */
  private copy: ArrayBuffer;
  private copiedEnd: number;
  private shift = 0;

  constructor(bytes: Uint8Array, place: BodyPlace) {
    this.bytes = bytes;
    this.view = place.view;
    this.start = place.start;
    this.end = place.start + place.length;
    this.at = place.start;
    this.copy = place.copy;
    this.copiedEnd = place.copiedEnd;
  }

  decode(): DecodedBody {
    const { view } = this;
    const header = this.take(BODY_OPERATOR_COUNT, 'the header');
    const operatorStates = this.operators();
    const sourceOffsets = this.sources();
    return {
      sequence: view.getBigUint64(header + BODY_SEQUENCE, true),
      watermarkNs: view.getBigUint64(header + BODY_WATERMARK_NS, true),
      eventCount: view.getBigUint64(header + BODY_EVENT_COUNT, true),
      operatorStates,
      sourceOffsets,
    };
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
    if (start + length > this.copiedEnd) {
      if (length >= LONE_STATE_BYTES_MIN) return new Uint8Array(this.part(start, length));
      this.copyBlock(start);
    }
    return new Uint8Array(this.copy, start + this.shift, length);
  }

  private copyBlock(start: number): void {
    const block = new Uint8Array(this.part(start, Math.min(BLOCK_BYTES, this.end - start)));
    this.copy = block.buffer;
    this.copiedEnd = start + block.length;
    this.shift = -start;
    markAsUntransferable(this.copy);
  }

  private part(start: number, length: number): Uint8Array {
    return new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + start, length);
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
