/**
 * What a shard's thread begins with: the streams that a store had, or what the thread before it left. The main thread
 * puts it together while no thread of the shard runs, so nothing but itself writes to the shard's arena meanwhile.
 *
 * A stream that is to be forgotten, which the thread had not come to, is not brought back: its newest frame may have been
 * given up for its memory, an older one in the store would make its operators go on from a state that was never followed
 * by those events, and whatever came of it would be forgotten. The next thread knows its name only, and passes over its
 * events up to the one record that ends it. Nobody is told of these as durable, since what is awaited of a stream that is
 * given up ends with its forgetting. They hold frontiers back: what was read before does by the lows of the shard as they
 * are handed over, the rest as it is read. So after a crash before the forgetting is durable they are read again.
 */
import { TidemarkError, toErrorRecord } from '../error.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { ImageDirectory } from '../memory/image-directory.ts';
import { AT, FLAG, RECORD, recordsBetween } from '../memory/ingest-ring.ts';
import { heapRegion } from '../memory/layout.ts';
import { SlabAllocator } from '../memory/slab-allocator.ts';
import { ASIDE, type HandedStreams, type Handover } from '../shard/task.ts';
import type { CentralStore } from '../store/central-store.ts';
import type { CheckpointStore } from '../store/contract.ts';
import type { StoredFrame } from '../store/stored-frame.ts';
import type { SourceProgress } from './frontiers.ts';
import type { RoutedStream, Router } from './router.ts';
import type { ShardHandle } from './shard-handle.ts';

/** Checkpoints that are asked of the store at once. */
const READS_MAX = 16;

/** A checkpoint that lies in the heap of a shard for its stream to be restored from, and is nobody's. */
interface PlacedFrame {
  readonly address: number;
  readonly bytes: number;
}

export interface LeftBehindPorts {
  readonly memory: EngineMemory;
  readonly router: Router;
  readonly central: CentralStore;
  readonly store: CheckpointStore | undefined;
}

/** Streams restored from a store, in the order of their numbers. */
export function firstHandover(
  frames: readonly (PlacedFrame & { readonly stream: { readonly name: string } })[],
  isTransient: boolean,
): Handover {
  const streams = columns(frames.length);
  for (const [index, { stream, address, bytes }] of frames.entries()) {
    streams.names[index] = stream.name;
    streams.addresses[index] = address;
    streams.bytes[index] = bytes;
    streams.isTransient[index] = isTransient ? 1 : 0;
    streams.aside[index] = ASIDE.asRestored;
  }
  return {
    streams,
    sources: { names: [], read: new Float64Array(0), lows: [] },
    ring: { from: 0, through: 0, doneTo: 0, checkpointsDone: 0, applied: 0, dropped: 0, countedTo: 0 },
    faults: [],
    otherFrames: { addresses: new Uint32Array(0), bytes: new Uint32Array(0) },
  };
}

/** For streams of which nothing is known yet. */
function columns(
  count: number,
): HandedStreams & { names: (string | undefined)[]; letters: (string | undefined)[] } {
  return {
    names: new Array<string | undefined>(count).fill(undefined),
    addresses: new Uint32Array(count),
    bytes: new Uint32Array(count),
    isTransient: new Uint8Array(count),
    isPassedOver: new Uint8Array(count),
    definedAt: new Float64Array(count),
    readTo: new Float64Array(count),
    seen: new Float64Array(count),
    uncovered: new Float64Array(count),
    checkpointCounts: new Float64Array(count),
    aside: new Uint8Array(count),
    letters: new Array<string | undefined>(count).fill(undefined),
  };
}

/**
 * What the thread of `shard` left, which is gone. Checkpoints that are only in the store are read from there; so many
 * events will be replayed.
 * @throws ERR_TIDEMARK_MEMORY_FULL, and what the store throws
 */
export async function leftBehind(
  shard: ShardHandle,
  ports: LeftBehindPorts,
): Promise<{ handover: Handover; replayed: number }> {
  const directory = new ImageDirectory(ports.memory, shard.arena);
  const under = shard.currentPosition;
  if (under !== undefined) directory.undo(under);
  // Their streams have come past them, or are over.
  for (const position of shard.faults.keys())
    if (position < shard.ring.released) shard.faults.delete(position);
  // Behind what it was to read again, the thread may not have come.
  shard.doneTo = Math.max(shard.doneTo, shard.readPosition ?? 0);
  for (const index of directory.indexes()) {
    const stream = ports.router.streamsOn(shard.index)[index];
    if (!isOf(stream, directory, index)) directory.remove(index);
  }
  const placed = await placeMissing(shard, directory, ports);
  // From here on nothing is awaited: what the main thread does later reaches the shard through its rings.
  shard.takeOver();
  return assemble(shard, directory, placed, ports);
}

/** Streams on which the ring of a shard has something to say. */
function* definedOn(shard: ShardHandle, router: Router): Generator<RoutedStream> {
  for (const stream of router.streamsOn(shard.index)) if (stream?.isDefined === true) yield stream;
}

/** Whether what the directory has by the number is the stream's, and newer than its checkpoints. */
function isOf(stream: RoutedStream | undefined, directory: ImageDirectory, index: number): boolean {
  // It was forgotten, and the number may be another one's since.
  if (stream === undefined) return false;
  const cover = directory.cover(index);
  if (cover === undefined) return (directory.get(index)?.begunAt ?? 0) >= stream.definedAt;
  return cover.position > Math.max(stream.definedAt, stream.checkpointed?.position ?? 0);
}

async function placeMissing(
  shard: ShardHandle,
  directory: ImageDirectory,
  ports: LeftBehindPorts,
): Promise<Map<RoutedStream, PlacedFrame>> {
  const { memory, router, central, store } = ports;
  const placed = new Map<RoutedStream, PlacedFrame>();
  const missing = [...definedOn(shard, router)].filter(
    (stream) =>
      !stream.isGivenUp &&
      directory.get(stream.index) === undefined &&
      directory.cover(stream.index) === undefined &&
      stream.newest === undefined &&
      (stream.isRestored || stream.checkpointed !== undefined),
  );
  if (store === undefined || missing.length === 0) return placed;
  const live = [...framesOf(shard, router, central), ...directory.blocks()];
  const allocator = SlabAllocator.rebuild(heapRegion(shard.arena, memory.buffer), live);
  const place = async (stream: RoutedStream): Promise<void> => {
    const view = await store.read(stream.name);
    if (view === undefined) {
      throw new TidemarkError('ERR_TIDEMARK_STORE_FAILED', `the store has lost stream '${stream.name}'`);
    }
    const { bytes } = view;
    const address = allocator.allocate(bytes.length);
    if (address === 0) throw memoryFull(stream, bytes.length);
    memory.copyIn(bytes, address);
    placed.set(stream, { address, bytes: bytes.length });
  };
  const queue = missing.values();
  const readers = Array.from({ length: READS_MAX }, async () => {
    for (const stream of queue) await place(stream);
  });
  await Promise.all(readers);
  return placed;
}

function memoryFull(stream: RoutedStream, bytes: number): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_MEMORY_FULL',
    `no room for the newest checkpoint of stream '${stream.name}' (${bytes} bytes) when its shard begins again; raise memory.bytes or use fewer streams`,
  );
}

function* framesOf(shard: ShardHandle, router: Router, central: CentralStore): Generator<StoredFrame> {
  for (const stream of router.streamsOn(shard.index)) {
    if (stream === undefined) continue;
    yield* stream.frames;
  }
  yield* central.leaving(shard.index);
}

function assemble(
  shard: ShardHandle,
  directory: ImageDirectory,
  placed: ReadonlyMap<RoutedStream, PlacedFrame>,
  ports: LeftBehindPorts,
): { handover: Handover; replayed: number } {
  const { router, central } = ports;
  const streams = columns(router.streamsOn(shard.index).length);
  const {
    names,
    addresses,
    aside,
    bytes,
    isTransient,
    definedAt,
    readTo,
    seen,
    uncovered,
    checkpointCounts,
  } = streams;
  const restoredFrom = new Set<StoredFrame>();
  for (const stream of definedOn(shard, router)) {
    const { index, checkpointed } = stream;
    const image = directory.get(index);
    const cover = directory.cover(index);
    names[index] = stream.name;
    definedAt[index] = stream.definedAt;
    seen[index] = stream.pushed;
    checkpointCounts[index] = checkpointed?.count ?? 0;
    const framedTo = cover?.position ?? checkpointed?.position ?? stream.definedAt;
    readTo[index] = image === undefined ? framedTo : shard.doneTo;
    // Here, and not before the store was read: it may have been given up meanwhile.
    if (stream.isGivenUp) {
      streams.isPassedOver[index] = 1;
      directory.remove(index);
      continue;
    }
    aside[index] = asideOf(shard, stream, readTo[index] as number);
    if (stream.letters !== undefined)
      streams.letters[index] = `[${[...stream.letters.values()].map(({ json }) => json).join()}]`;
    if (image !== undefined || cover !== undefined) continue;
    const frame = stream.newest;
    const source = frame ?? placed.get(stream);
    if (source === undefined) continue;
    addresses[index] = source.address;
    bytes[index] = source.bytes;
    if (frame === undefined) isTransient[index] = 1;
    else restoredFrom.add(frame);
  }
  const { sources, replayed } = readAgain(shard, streams, ports);
  for (const { index, checkpointed } of definedOn(shard, router)) {
    if (directory.cover(index) !== undefined)
      uncovered[index] = Math.max(1, (seen[index] as number) - (checkpointed?.seen ?? 0));
  }
  const others = [...framesOf(shard, router, central)].filter((frame) => !restoredFrom.has(frame));
  return {
    replayed,
    handover: {
      streams,
      sources,
      faults: [...shard.faults]
        .map(([position, { attempts, cause }]) => ({ position, attempts, error: toErrorRecord(cause) }))
        .sort((a, b) => a.position - b.position),
      ring: {
        from: shard.ring.released,
        through: shard.ring.written,
        doneTo: shard.doneTo,
        checkpointsDone: shard.checkpointsDone,
        applied: shard.counted('applied'),
        dropped: shard.counted('dropped'),
        countedTo: shard.counted('counted'),
      },
      otherFrames: {
        addresses: Uint32Array.from(others, (frame) => frame.address),
        bytes: Uint32Array.from(others, (frame) => frame.bytes),
      },
    },
  };
}

/** With the stream's records before `readTo`, which is where its state is. Those that follow may say that it goes on. */
function asideOf(shard: ShardHandle, stream: RoutedStream, readTo: number): number {
  if (stream.aside !== undefined || stream.resumedAt > readTo) return ASIDE.yes;
  // A thread that was never ready may not have told.
  return stream.isRestored && !shard.hasBeenReady ? ASIDE.asRestored : ASIDE.no;
}

/**
 * Walks what the ring keeps. What of a stream is still to be read is taken from `seen`, which has all that was pushed;
 * likewise of the sources. Counts the events that were read and will be again.
 */
function readAgain(
  shard: ShardHandle,
  { readTo, seen }: HandedStreams,
  { memory, router }: LeftBehindPorts,
): { sources: Handover['sources']; replayed: number } {
  const { u32, u64 } = memory;
  const reachedTo = shard.readPosition ?? shard.ring.written;
  const unread = new Map<number, { events: number; low: bigint }>();
  let replayed = 0;
  const range = { from: shard.ring.released, through: shard.ring.written };
  for (const { address, position } of recordsBetween(memory, shard.arena, range)) {
    const word = address >>> 2;
    const kind = u32[word + AT.kind / 4] as number;
    const isEvent = (kind & 0xffff) === RECORD.event;
    if (!isEvent && kind !== RECORD.resumeStream) continue;
    const index = u32[word + AT.index / 4] as number;
    if (position >= (readTo[index] ?? 0)) {
      seen[index] = (seen[index] as number) - 1;
      if (isEvent && position < reachedTo) replayed++;
    }
    if (!isEvent || ((kind >>> 16) & FLAG.source) === 0) continue;
    const number = u32[word + AT.source / 4] as number;
    const source = unread.get(number);
    if (source === undefined)
      unread.set(number, { events: 1, low: u64[(address + AT.offset) / 8] as bigint });
    else source.events++;
  }
  return { sources: handSources(shard.index, router, unread), replayed };
}

function handSources(
  shard: number,
  router: Router,
  unread: ReadonlyMap<number, { events: number; low: bigint }>,
): Handover['sources'] {
  const all: SourceProgress[] = [...router.sources()];
  const names = all.map((source) => (source.isDefinedOn[shard] === true ? source.name : undefined));
  // Before the sources are told: what held frontiers back until now does so for the streams that are handed over.
  const lows = all.map((source) => source.lowOn(shard));
  const read = Float64Array.from(all, (source) => {
    const { events, low } = unread.get(source.index) ?? { events: 0, low: 0n };
    source.onTakeOver(shard, events, low);
    return source.pushedTo(shard) - events;
  });
  return { names, read, lows };
}
