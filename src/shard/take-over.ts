/**
 * What a shard begins with: streams of a store, or what the thread before it left. A stream whose image outlived that
 * thread goes on as it was; others are restored from their frames, and what came after these is read from the ring again.
 *
 * Which events of a stream are in no checkpoint yet is known by their number only. Where there are some, all of the
 * stream's offsets count as that far back as those of the thread before it were: frontiers may be too low, never too high.
 */
import { BODY_EVENT_COUNT } from '../codec/body.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { ImageDirectory } from '../memory/image-directory.ts';
import { lettersIn } from './letters.ts';
import { holdBack } from './passed-over.ts';
import type { PoisonEvents } from './poison.ts';
import type { ShardHeap } from './shard-heap.ts';
import type { ShardSource, ShardStream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';
import { ASIDE, type HandedSources, type HandedStreams, type Handover } from './task.ts';
import type { Triggers } from './triggers.ts';

export interface TakeOverPorts {
  readonly table: StreamTable;
  readonly heap: ShardHeap;
  readonly directory: ImageDirectory;
  readonly triggers: Triggers;
  readonly poison: PoisonEvents;
  readonly now: number;
  readonly memory: EngineMemory;
}

/** @throws as `StreamTable.restoreStream` and `adoptStream` */
export function takeOver({ streams, sources }: Handover, ports: TakeOverPorts): void {
  const { table, heap } = ports;
  for (const [index, name] of sources.names.entries()) {
    if (name === undefined) continue;
    table.defineSource(index, name).readEvents = sources.read[index] as number;
  }
  const transient: ShardStream[] = [];
  for (const [index, name] of streams.names.entries()) {
    if (name === undefined) continue;
    const stream = table.defineStream(index, name);
    stream.seen = streams.seen[index] as number;
    stream.definedAt = streams.definedAt[index] as number;
    stream.readTo = streams.readTo[index] as number;
    if (streams.isPassedOver[index] === 1) {
      passOver(stream, sources, table);
      continue;
    }
    // These give their frames' memory back as they go, so that those for which there must be room without come first.
    if (streams.isTransient[index] === 1) transient.push(stream);
    else bringBack(stream, streams, sources, ports);
  }
  for (const stream of transient) bringBack(stream, streams, sources, ports);
  heap.takeReturns();
}

/** Events that the ring has no more, if there are such, are not before these lows. */
function passOver(stream: ShardStream, { lows }: HandedSources, table: StreamTable): void {
  stream.isPassedOver = true;
  for (const source of table.sources) {
    const low = source === undefined ? undefined : lows[source.index];
    if (low === undefined) continue;
    holdBack(stream, source as ShardSource, { low: Number(low & 0xffff_ffffn), high: Number(low >> 32n) });
  }
}

function bringBack(
  stream: ShardStream,
  streams: HandedStreams,
  sources: HandedSources,
  { memory, table, heap, directory, triggers, poison, now }: TakeOverPorts,
): void {
  const { index } = stream;
  const image = directory.get(index);
  const cover = directory.cover(index);
  stream.coverAddress = cover?.address ?? 0;
  stream.coverBytes = cover?.bytes ?? 0;
  const address = cover?.address ?? (streams.addresses[index] as number);
  const bytes = cover?.bytes ?? (streams.bytes[index] as number);
  let uncovered = 0;
  stream.isAside = streams.aside[index] === ASIDE.yes;
  stream.letters = lettersIn(streams.letters[index]);
  if (image !== undefined) {
    table.adoptStream(stream, image);
    const checkpointCount = streams.checkpointCounts[index] as number;
    const count = Number(memory.u64[(image.image + BODY_EVENT_COUNT) / 8]);
    // Modulo 2^32, as what the image knows is.
    uncovered = checkpointCount > 0 ? count - checkpointCount : (count - image.restoredCount) % 2 ** 32;
  } else if (address !== 0) {
    const metadata = table.restoreStream(stream, { address, bytes, readTo: stream.readTo });
    if (metadata !== undefined && streams.aside[index] === ASIDE.asRestored)
      poison.restored(stream, metadata);
    uncovered = streams.uncovered[index] as number;
  }
  if (streams.isTransient[index] === 1) heap.free(address, bytes);
  if (uncovered <= 0) return;
  triggers.reopen(stream, uncovered, now);
  for (const position of stream.positions) {
    const low = sources.lows[position.source.index];
    if (low === undefined) continue;
    position.isOpen = true;
    position.lowLow = Number(low & 0xffff_ffffn);
    position.lowHigh = Number(low >> 32n);
    position.source.lows.append(position.lowLink);
  }
}

/** What is taken of the heap before the shard begins. */
export function* liveBlocks(
  { streams, otherFrames }: Handover,
  directory: ImageDirectory,
): Generator<{ address: number; bytes: number }> {
  for (const { addresses, bytes } of [streams, otherFrames]) {
    for (const [index, address] of addresses.entries()) {
      if (address !== 0) yield { address, bytes: bytes[index] as number };
    }
  }
  yield* directory.blocks();
}
