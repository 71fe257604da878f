/** Writes an event into the place that a shard's ring has for it, and counts it as pushed. Main thread only. */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT, FLAG, RECORD } from '../memory/ingest-ring.ts';
import type { Event } from './event.ts';
import { nextOffsetOf } from './event-checks.ts';
import type { SourceProgress } from './frontiers.ts';
import type { RoutedStream } from './router.ts';

export interface EventRecord {
  readonly address: number;
  /** Length of the record, and that of the payload in it. */
  readonly bytes: number;
  readonly content: number;
  readonly stream: RoutedStream;
  readonly source: SourceProgress | undefined;
  /** Somebody waits until the event is durable. */
  readonly isDurable: boolean;
}

export function writeEvent(memory: EngineMemory, event: Event, record: EventRecord): void {
  const { address, stream, source } = record;
  const word = address >>> 2;
  let flags = record.isDurable ? FLAG.durable : 0;
  if (event.sequence !== undefined) {
    flags |= FLAG.sequence;
    memory.writeU64(address + AT.sequence, event.sequence);
  }
  memory.writeU64(address + AT.watermark, event.watermarkNs ?? 0);
  if (source !== undefined && event.offset !== undefined) {
    flags |= FLAG.source;
    const next = nextOffsetOf(event.offset, event.nextOffset);
    memory.writeU64(address + AT.offset, event.offset);
    memory.writeU64(address + AT.nextOffset, next);
    memory.u32[word + AT.source / 4] = source.index;
    source.noteOffset(event.offset);
    source.onPush(stream.shard, event.offset, next);
  }
  memory.u32[word] = record.bytes;
  memory.u32[word + AT.kind / 4] = RECORD.event | (flags << 16);
  memory.u32[word + AT.index / 4] = stream.index;
  memory.u32[word + AT.length / 4] = record.content;
  const { payload } = event;
  if (typeof payload === 'string') memory.text.write(payload, address + AT.payload, record.content, 'utf8');
  else memory.copyIn(payload, address + AT.payload);
  stream.noteEvent(event.sequence !== undefined);
  stream.pushed++;
}
