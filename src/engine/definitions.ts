/** Records that tell a shard of a stream or a source: its number, and its name where that is new. Main thread only. */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT, RECORD, recordBytes } from '../memory/ingest-ring.ts';
import type { RoutedStream } from './router.ts';
import type { ShardHandle } from './shard-handle.ts';

/** Length of the record in bytes. */
export function definitionBytes(name: string): number {
  return recordBytes(AT.name, Buffer.byteLength(name, 'utf8'));
}

/** True if the shard's ring has the definition of the stream. */
export function defineStream(memory: EngineMemory, shard: ShardHandle, stream: RoutedStream): boolean {
  if (stream.isDefined) return true;
  stream.isDefined = define(memory, shard, RECORD.defineStream, stream.index, stream.name);
  if (stream.isDefined) stream.definedAt = shard.ring.written;
  return stream.isDefined;
}

/** Writes a record without publishing it; false while there is no room. */
export function define(
  memory: EngineMemory,
  shard: ShardHandle,
  kind: number,
  index: number,
  name: string,
): boolean {
  const content = Buffer.byteLength(name, 'utf8');
  const bytes = recordBytes(AT.name, content);
  const address = shard.ring.reserve(bytes);
  if (address === 0) return false;
  const word = address >>> 2;
  memory.u32[word] = bytes;
  memory.u32[word + AT.kind / 4] = kind;
  memory.u32[word + AT.index / 4] = index;
  memory.u32[word + AT.length / 4] = content;
  memory.text.write(name, address + AT.name, content, 'utf8');
  return true;
}
