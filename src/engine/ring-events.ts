/** Events taken out of a shard's ring again, by the main thread. */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT, FLAG, RECORD, recordsBetween } from '../memory/ingest-ring.ts';
import type { Event } from './event.ts';
import type { RoutedStream, Router } from './router.ts';
import type { ShardHandle } from './shard-handle.ts';

/** Copies of the stream's events in the ring, from the record at `position` on. The ring has to keep them meanwhile. */
export function* eventsFrom(
  position: number,
  parts: {
    readonly memory: EngineMemory;
    readonly router: Router;
    readonly shard: ShardHandle;
    readonly stream: RoutedStream;
  },
): Generator<Event> {
  const { memory, router, shard, stream } = parts;
  const { u32 } = memory;
  const range = { from: position, through: shard.ring.written };
  for (const { address } of recordsBetween(memory, shard.arena, range)) {
    const word = address >>> 2;
    if (((u32[word + AT.kind / 4] as number) & 0xffff) !== RECORD.event) continue;
    if ((u32[word + AT.index / 4] as number) === stream.index) yield eventAt(address, memory, router, stream);
  }
}

function eventAt(address: number, memory: EngineMemory, router: Router, { name }: RoutedStream): Event {
  const { u8, u32, u64 } = memory;
  const word = address >>> 2;
  const flags = (u32[word + AT.kind / 4] as number) >>> 16;
  const start = address + AT.payload;
  const u64At = (at: number): bigint => u64[(address + at) / 8] as bigint;
  return {
    stream: name,
    payload: u8.slice(start, start + (u32[word + AT.length / 4] as number)),
    watermarkNs: u64At(AT.watermark),
    ...((flags & FLAG.sequence) === 0 ? {} : { sequence: u64At(AT.sequence) }),
    ...((flags & FLAG.source) === 0
      ? {}
      : {
          source: router.sourceAt(u32[word + AT.source / 4] as number).name,
          offset: u64At(AT.offset),
          nextOffset: u64At(AT.nextOffset),
        }),
  };
}
