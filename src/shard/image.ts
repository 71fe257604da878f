/**
 * A stream's image: its live state in shared memory, laid out as the body of a frame with the extension
 * behind it, so that a checkpoint of a stream of slot operators is one copy.
 *
 *   ├ sequence, watermark, count ┤├ operators ┤├ sources ┤├ extension ┤
 *   0                            24           sourcesAt  bodyBytes
 *
 * Slot operators mutate their bytes in place; the shard keeps the counters and offsets up to date. The
 * states of heap operators are not in the image: their encode gathers (see `frame-writer.ts`), and until
 * then the section of operators holds the slots alone. A new source lays the image out anew.
 */
import { BODY_OPERATOR_COUNT } from '../codec/body.ts';
import { extensionByteLength, writeExtension } from '../codec/frame.ts';
import { OPERATORS_AT, TEXT_HEAD_BYTES } from '../codec/frame-parts.ts';
import { compareUtf8, decodeUtf8, encodeUtf8 } from '../codec/utf8.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { HostedOperators } from './operator-host.ts';
import { type ShardSource, type ShardStream, SourcePosition } from './stream.ts';

const SOURCE_TAIL_BYTES = 8;

export interface ImageSizes {
  readonly sourcesAt: number;
  readonly bodyBytes: number;
  readonly extensionBytes: number;
}

/** Sizes of the image of a stream with these operators and sources. */
export function imageSizes(
  operators: HostedOperators,
  sources: readonly ShardSource[],
  nameBytes: number,
): ImageSizes {
  let sourcesAt = OPERATORS_AT;
  for (const hosted of operators.byName) {
    if (hosted.kind === 'slot')
      sourcesAt += 2 * TEXT_HEAD_BYTES + hosted.nameBytes.length + hosted.slot.length;
  }
  let bodyBytes = sourcesAt + TEXT_HEAD_BYTES;
  for (const source of sources) bodyBytes += TEXT_HEAD_BYTES + source.nameBytes.length + SOURCE_TAIL_BYTES;
  return { sourcesAt, bodyBytes, extensionBytes: extensionByteLength(nameBytes, operators.byName.length) };
}

/**
 * Lays out the image of `stream` at `address` (16-byte aligned, room for the sizes) for `sources`, which
 * ascend by name: names in place, counters and states zero.
 */
export function layOutImage(
  memory: EngineMemory,
  stream: ShardStream,
  image: {
    address: number;
    bytes: number;
    sizes: ImageSizes;
    generation: bigint;
    sources: readonly ShardSource[];
  },
): void {
  const { address, sizes } = image;
  const { u8, view } = memory;
  u8.fill(0, address, address + sizes.bodyBytes);
  view.setUint32(address + BODY_OPERATOR_COUNT, stream.operators.byName.length, true);
  let at = address + OPERATORS_AT;
  for (const hosted of stream.operators.byName) {
    if (hosted.kind !== 'slot') continue;
    at = writeBytes(memory, at, hosted.nameBytes);
    view.setUint32(at, hosted.slot.length, true);
    hosted.slot.moveTo(at + TEXT_HEAD_BYTES);
    at += TEXT_HEAD_BYTES + hosted.slot.length;
  }
  view.setUint32(at, image.sources.length, true);
  at += TEXT_HEAD_BYTES;
  const positions = image.sources.map((source) => {
    const position = positionOf(stream, source) ?? new SourcePosition(source, stream);
    position.offsetAddress = writeBytes(memory, at, source.nameBytes);
    at = position.offsetAddress + SOURCE_TAIL_BYTES;
    return position;
  });
  stream.setPositions(positions);
  writeExtension(u8, view, at, {
    createdAtMs: 0,
    generation: image.generation,
    streamId: encodeUtf8(stream.name, 'stream'),
    versions: stream.operators.byName.map((hosted) => hosted.version),
  });
  stream.image = address;
  stream.imageBytes = image.bytes;
  stream.sourcesAt = sizes.sourcesAt;
  stream.bodyBytes = sizes.bodyBytes;
  stream.extensionBytes = sizes.extensionBytes;
}

/**
 * Fills a newly laid out image from the stream's old one at `oldAddress`: counters, slots and the offsets
 * of `oldPositions` with the addresses they had.
 */
export function carryImage(
  memory: EngineMemory,
  stream: ShardStream,
  old: { address: number; sourcesAt: number; offsets: readonly { source: ShardSource; address: number }[] },
): void {
  // The section of operators has the same layout before and after: it comes before the sources.
  memory.u8.copyWithin(stream.image, old.address, old.address + old.sourcesAt);
  for (const { source, address } of old.offsets) {
    const position = positionOf(stream, source);
    if (position !== undefined)
      memory.u8.copyWithin(position.offsetAddress, address, address + SOURCE_TAIL_BYTES);
  }
}

export function positionOf(stream: ShardStream, source: ShardSource): SourcePosition | undefined {
  const { onlyPosition } = stream;
  if (onlyPosition !== undefined) return onlyPosition.source === source ? onlyPosition : undefined;
  for (const position of stream.positions) if (position.source === source) return position;
  return undefined;
}

/** `sources` and `added`, ascending by the UTF-8 bytes of their names. */
export function withSource(sources: readonly ShardSource[], added: ShardSource): ShardSource[] {
  return [...sources, added].sort((a, b) => compareUtf8(a.name, b.name));
}

/** The names of the sources in an image whose section of sources begins at `sourcesAt`. */
export function* sourceNamesIn(memory: EngineMemory, image: number, sourcesAt: number): Generator<string> {
  const { u8, view } = memory;
  let at = image + sourcesAt;
  const count = view.getUint32(at, true);
  at += TEXT_HEAD_BYTES;
  for (let i = 0; i < count; i++) {
    const bytes = view.getUint32(at, true);
    const begin = at + TEXT_HEAD_BYTES;
    yield decodeUtf8(u8, begin, begin + bytes) as string;
    at = begin + bytes + SOURCE_TAIL_BYTES;
  }
}

/** Gives `stream` an image that is laid out already, for `sources` in the order in which they are in it. */
export function adoptImage(
  stream: ShardStream,
  image: { address: number; sizes: ImageSizes; sources: readonly ShardSource[] },
): void {
  const { address, sizes } = image;
  let at = address + OPERATORS_AT;
  for (const hosted of stream.operators.byName) {
    if (hosted.kind !== 'slot') continue;
    at += 2 * TEXT_HEAD_BYTES + hosted.nameBytes.length;
    hosted.slot.moveTo(at);
    at += hosted.slot.length;
  }
  at += TEXT_HEAD_BYTES;
  const positions = image.sources.map((source) => {
    const position = new SourcePosition(source, stream);
    position.offsetAddress = at + TEXT_HEAD_BYTES + source.nameBytes.length;
    at = position.offsetAddress + SOURCE_TAIL_BYTES;
    return position;
  });
  stream.setPositions(positions);
  stream.image = address;
  stream.imageBytes = sizes.bodyBytes + sizes.extensionBytes;
  stream.sourcesAt = sizes.sourcesAt;
  stream.bodyBytes = sizes.bodyBytes;
  stream.extensionBytes = sizes.extensionBytes;
}

/** Writes a length-prefixed text at `at`; returns the address behind it. */
function writeBytes(memory: EngineMemory, at: number, bytes: Uint8Array): number {
  memory.view.setUint32(at, bytes.length, true);
  memory.u8.set(bytes, at + TEXT_HEAD_BYTES);
  return at + TEXT_HEAD_BYTES + bytes.length;
}
