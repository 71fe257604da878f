/**
 * Takes a checkpoint: a stream's image (and the snapshots of its heap operators) becomes a frame, one
 * copy plus footer, in memory that `allocate` provides. Runs on the shard's thread.
 */
import { BODY_OPERATOR_COUNT } from '../codec/body.ts';
import { FRAME_FOOTER_BYTES, writeCreatedAt, writeFooter } from '../codec/frame.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { snapshotOf } from './operator-host.ts';
import type { ShardStream } from './stream.ts';

const HEAD_BYTES = BODY_OPERATOR_COUNT + 4;
const TEXT_HEAD_BYTES = 4;

export interface Frame {
  readonly address: number;
  readonly bytes: number;
}

/** `allocate` returns an address that is 16-byte aligned; it may wait, and throws when there is no room. */
export function writeFrame(
  memory: EngineMemory,
  stream: ShardStream,
  checkpoint: { createdAtMs: number; allocate: (bytes: number) => number },
): Frame {
  return stream.operators.hasHeap
    ? gatherFrame(memory, stream, checkpoint)
    : copyFrame(memory, stream, checkpoint);
}

function copyFrame(
  memory: EngineMemory,
  stream: ShardStream,
  checkpoint: { createdAtMs: number; allocate: (bytes: number) => number },
): Frame {
  const { bodyBytes, extensionBytes } = stream;
  const bytes = bodyBytes + extensionBytes + FRAME_FOOTER_BYTES;
  const address = checkpoint.allocate(bytes);
  // Both are 16-byte aligned, which is what keeps a copy between shared bytes fast.
  memory.u8.copyWithin(address, stream.image, stream.image + bodyBytes + extensionBytes);
  writeCreatedAt(memory.view, address + bodyBytes, checkpoint.createdAtMs);
  writeFooter(memory.u8, memory.view, address, bodyBytes, extensionBytes);
  return { address, bytes };
}

function gatherFrame(
  memory: EngineMemory,
  stream: ShardStream,
  checkpoint: { createdAtMs: number; allocate: (bytes: number) => number },
): Frame {
  const { u8, view } = memory;
  const snapshots = new Map<string, Uint8Array>();
  let bodyBytes = stream.bodyBytes;
  for (const hosted of stream.operators.byName) {
    if (hosted.kind !== 'heap') continue;
    const snapshot = snapshotOf(stream.name, hosted);
    snapshots.set(hosted.name, snapshot);
    bodyBytes += 2 * TEXT_HEAD_BYTES + hosted.nameBytes.length + snapshot.length;
  }
  const bytes = bodyBytes + stream.extensionBytes + FRAME_FOOTER_BYTES;
  const address = checkpoint.allocate(bytes);
  u8.copyWithin(address, stream.image, stream.image + HEAD_BYTES);
  let from = stream.image + HEAD_BYTES;
  let at = address + HEAD_BYTES;
  for (const hosted of stream.operators.byName) {
    if (hosted.kind === 'slot') {
      const entryBytes = 2 * TEXT_HEAD_BYTES + hosted.nameBytes.length + hosted.slot.length;
      u8.copyWithin(at, from, from + entryBytes);
      from += entryBytes;
      at += entryBytes;
      continue;
    }
    const snapshot = snapshots.get(hosted.name) as Uint8Array;
    view.setUint32(at, hosted.nameBytes.length, true);
    u8.set(hosted.nameBytes, at + TEXT_HEAD_BYTES);
    at += TEXT_HEAD_BYTES + hosted.nameBytes.length;
    view.setUint32(at, snapshot.length, true);
    u8.set(snapshot, at + TEXT_HEAD_BYTES);
    at += TEXT_HEAD_BYTES + snapshot.length;
  }
  const tail = stream.bodyBytes - stream.sourcesAt + stream.extensionBytes;
  u8.copyWithin(at, stream.image + stream.sourcesAt, stream.image + stream.sourcesAt + tail);
  writeCreatedAt(view, address + bodyBytes, checkpoint.createdAtMs);
  writeFooter(u8, view, address, bodyBytes, stream.extensionBytes);
  return { address, bytes };
}
