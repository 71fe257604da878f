/**
 * Takes a checkpoint: a stream's image (and the snapshots of its heap operators) becomes a frame, one
 * copy plus footer, in memory that `allocate` provides. Runs on the shard's thread.
 */
import { writeText } from '../codec/body.ts';
import { metadataByteLength } from '../codec/extension.ts';
import { FRAME_FOOTER_BYTES, writeCreatedAt } from '../codec/frame.ts';
import { OPERATORS_AT, TEXT_HEAD_BYTES } from '../codec/frame-parts.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { snapshotOf } from './operator-host.ts';
import type { ShardStream } from './stream.ts';

export interface Frame {
  readonly address: number;
  readonly bytes: number;
}

export interface CheckpointToWrite {
  readonly createdAtMs: number;
  /** Returns an address that is 16-byte aligned, or 0: there is to be no frame. */
  readonly allocate: (bytes: number) => number;
  readonly metadata?: Metadata | undefined;
}

/** Entries of a frame's metadata, in the form in which they are in its extension. */
export interface Metadata {
  readonly count: number;
  readonly bytes: Uint8Array;
}

export function encodeMetadata(entries: readonly (readonly [string, string])[]): Metadata {
  const bytes = new Uint8Array(metadataByteLength(entries));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [key, value] of entries) at = writeText(bytes, view, writeText(bytes, view, at, key), value);
  return { count: entries.length, bytes };
}

export function writeFrame(
  memory: EngineMemory,
  stream: ShardStream,
  checkpoint: CheckpointToWrite,
): Frame | undefined {
  return stream.operators.hasHeap
    ? gatherFrame(memory, stream, checkpoint)
    : copyFrame(memory, stream, checkpoint);
}

function copyFrame(
  memory: EngineMemory,
  stream: ShardStream,
  checkpoint: CheckpointToWrite,
): Frame | undefined {
  const { bodyBytes, extensionBytes } = stream;
  const { metadata } = checkpoint;
  const metadataBytes = metadata?.bytes.length ?? 0;
  const bytes = bodyBytes + extensionBytes + metadataBytes + FRAME_FOOTER_BYTES;
  const address = checkpoint.allocate(bytes);
  if (address === 0) return undefined;
  memory.kernel.encode(address, stream.image, bodyBytes, extensionBytes, checkpoint.createdAtMs);
  if (metadata !== undefined) {
    writeMetadata(memory, address + bodyBytes + extensionBytes, metadata);
    memory.kernel.seal(address, bodyBytes, extensionBytes + metadataBytes);
  }
  return { address, bytes };
}

/** Behind an extension without metadata, which ends at `at`. */
function writeMetadata({ u8, view }: EngineMemory, at: number, { bytes, count }: Metadata): void {
  view.setUint32(at - TEXT_HEAD_BYTES, count, true);
  u8.set(bytes, at);
}

function gatherFrame(
  memory: EngineMemory,
  stream: ShardStream,
  checkpoint: CheckpointToWrite,
): Frame | undefined {
  const { u8, view, kernel } = memory;
  const snapshots = new Map<string, Uint8Array>();
  let bodyBytes = stream.bodyBytes;
  for (const hosted of stream.operators.byName) {
    if (hosted.kind !== 'heap') continue;
    const snapshot = snapshotOf(stream.name, hosted);
    snapshots.set(hosted.name, snapshot);
    bodyBytes += 2 * TEXT_HEAD_BYTES + hosted.nameBytes.length + snapshot.length;
  }
  const extensionBytes = stream.extensionBytes + (checkpoint.metadata?.bytes.length ?? 0);
  const bytes = bodyBytes + extensionBytes + FRAME_FOOTER_BYTES;
  const address = checkpoint.allocate(bytes);
  if (address === 0) return undefined;
  kernel.copy(address, stream.image, OPERATORS_AT);
  let from = stream.image + OPERATORS_AT;
  let at = address + OPERATORS_AT;
  for (const hosted of stream.operators.byName) {
    if (hosted.kind === 'slot') {
      const entryBytes = 2 * TEXT_HEAD_BYTES + hosted.nameBytes.length + hosted.slot.length;
      kernel.copy(at, from, entryBytes);
      from += entryBytes;
      at += entryBytes;
      continue;
    }
    const snapshot = snapshots.get(hosted.name) as Uint8Array;
    view.setUint32(at, hosted.nameBytes.length, true);
    u8.set(hosted.nameBytes, at + TEXT_HEAD_BYTES);
    at += TEXT_HEAD_BYTES + hosted.nameBytes.length;
    view.setUint32(at, snapshot.length, true);
    memory.copyIn(snapshot, at + TEXT_HEAD_BYTES);
    at += TEXT_HEAD_BYTES + snapshot.length;
  }
  const tail = stream.bodyBytes - stream.sourcesAt + stream.extensionBytes;
  kernel.copy(at, stream.image + stream.sourcesAt, tail);
  writeCreatedAt(view, address + bodyBytes, checkpoint.createdAtMs);
  if (checkpoint.metadata !== undefined) writeMetadata(memory, at + tail, checkpoint.metadata);
  kernel.seal(address, bodyBytes, extensionBytes);
  return { address, bytes };
}
