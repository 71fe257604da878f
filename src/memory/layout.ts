/**
 * How an engine's memory is divided: a block for the main thread, then one arena per shard.
 *
 *   0            24576
 *   ├ main words ┤├ arena 0 ───────────────────────────────────┤├ arena 1 …
 *                 ├ words ┤├ completion ┤├ return ┤├ ingest ┤├ spans ┤├ heap ┤
 *
 * Every word that a second thread polls has a cache line pair of its own (128 bytes: adjacent-line
 * prefetch couples two 64-byte lines), so that one thread's writes do not slow the other's reads.
 * Each word has exactly one writing thread; the comments name it.
 */
import { PAGE_BYTES } from './size-classes.ts';
import type { HeapRegion } from './slab-allocator.ts';

const WORD_STRIDE_BYTES = 128;
/**
 * Every thread has a block with its control words, and behind them what its kernel uses: words for
 * results, a page through which bytes pass whose alignment would make a direct copy slow, names that it looks for,
 * and the layout of the bodies that it reads.
 */
export const MAIN_BLOCK_BYTES: number = 6 * PAGE_BYTES;
export const SCRATCH_AT: number = 28 * WORD_STRIDE_BYTES;
export const STAGING_AT: number = PAGE_BYTES;
export const STAGING_BYTES: number = PAGE_BYTES;
export const NAMES_AT: number = 2 * PAGE_BYTES;
export const NAMES_BYTES: number = 3 * PAGE_BYTES;
/** The layout of bodies that the thread's kernel met last; one page. */
export const KNOWN_LAYOUT_AT: number = 5 * PAGE_BYTES;
/**
 * Behind the block of a shard: the state that the event under way began with, where the directory of images is, and the
 * payload that operators see.
 */
const UNDO_AT: number = MAIN_BLOCK_BYTES;
export const UNDO_BYTES: number = PAGE_BYTES;
const DIRECTORY_AT: number = UNDO_AT + UNDO_BYTES;

/** Rung by shards when there is something for the main thread (shards add, main waits). */
export const MAIN_DOORBELL = WORD_STRIDE_BYTES;
/** 1 while the main thread waits for the doorbell (raised by main, lowered by whoever rings, and by main). */
export const MAIN_WAITING = 2 * WORD_STRIDE_BYTES;

/** Word numbers within an arena's control block. */
export const WORD = {
  /** Bytes ever written to the ingest ring, u32 that wraps (main). */
  ingestWrite: 0,
  /** Bytes ever read from it (shard). */
  ingestRead: 1,
  /** Bytes ever released: what lies before may be overwritten (shard). */
  ingestRelease: 2,
  /** Ring position of the event being processed, so that a crash tells which one it was (shard). */
  currentEvent: 3,
  /** Counts signs that no operator holds up the thread (shard). */
  heartbeat: 4,
  /** Entries ever published on the completion ring (shard). */
  completionWrite: 5,
  /** Entries ever consumed (main). */
  completionRead: 6,
  /** Entries ever published on the return ring (main). */
  returnWrite: 7,
  /** Entries ever consumed (shard). */
  returnRead: 8,
  /** Rung by main when there is something for the shard (main). */
  wake: 9,
  /** 1 while the shard waits on `wake` (shard). */
  sleeping: 10,
  /** Bytes for which a push waits in the ingest ring; 0: none does (main). */
  spaceWanted: 11,
  /** Number of the newest request to checkpoint all streams (main). */
  checkpointRequest: 12,
  /** `ingestWrite` at that request: what was pushed before it has to be covered (main). */
  checkpointPosition: 13,
  /** 1: leave the loop (main). */
  stop: 14,
  /** Number of the newest request for memory (shard). */
  memoryRequest: 15,
  /** Bytes wanted by it (shard). */
  memoryWanted: 16,
  /** Number of the newest memory request that cannot be met; written before the answer (main). */
  memoryDenied: 17,
  /** Number of the newest memory request that is met or denied, after the frames are returned (main). */
  memoryAnswered: 23,
  /** Bytes of the heap in use (shard; for metrics). */
  heapUsed: 18,
  /** Events applied, low and high half of a u64 (shard; for metrics). */
  appliedLow: 19,
  appliedHigh: 20,
  /** Duplicates dropped, low and high half of a u64 (shard; for metrics). */
  droppedLow: 21,
  droppedHigh: 22,
  /** Up to which position of the ring these count, low and high half (shard). */
  countedLow: 24,
  countedHigh: 25,
  /** Entries about events that are set aside or skipped whose records it has copied, u32 that wraps (main). */
  faultsTaken: 26,
} as const;
export type Word = (typeof WORD)[keyof typeof WORD];

export const DIRECTORY_BYTES: number = 2 * PAGE_BYTES;
const PAYLOAD_AT: number = DIRECTORY_AT + DIRECTORY_BYTES;
export const PAYLOAD_BYTES: number = PAGE_BYTES;
const CONTROL_BYTES: number = PAYLOAD_AT + PAYLOAD_BYTES;

export const COMPLETION_ENTRY_BYTES = 64;
export const RETURN_ENTRY_BYTES = 8;

/** Entries of the completion and return rings scale with the arena, between these bounds. */
const RING_ENTRIES_MIN = 64;
const RING_ENTRIES_MAX = 8_192;
const COMPLETION_SHARE_OF_ARENA = 1 / 64;

/** Byte addresses and sizes of one shard's arena. Plain data: it is sent to the worker. */
export interface ArenaLayout {
  readonly control: number;
  readonly completion: number;
  readonly completionEntries: number;
  readonly returns: number;
  readonly returnEntries: number;
  readonly ingest: number;
  readonly ingestBytes: number;
  /** The allocator's table: a word for each page of the heap. */
  readonly spans: number;
  readonly heap: number;
  readonly heapBytes: number;
}

/** Address of the page in which a shard keeps what the event under way would have to be undone with. */
export function undoAddress(arena: ArenaLayout): number {
  return arena.control + UNDO_AT;
}

/** Address of the words that name the pages of the shard's directory of images. */
export function directoryAddress(arena: ArenaLayout): number {
  return arena.control + DIRECTORY_AT;
}

/** Address of the page in which a shard's operators see the payload of the event under way. */
export function payloadAddress(arena: ArenaLayout): number {
  return arena.control + PAYLOAD_AT;
}

/** i32 index of an arena's word. */
export function wordIndex(arena: ArenaLayout, word: Word): number {
  return (arena.control + word * WORD_STRIDE_BYTES) >>> 2;
}

/**
 * Divides `memoryBytes` among `shards`; `ringBytes` is a power of two. `undefined` when less than
 * `heapBytesMin` would be left for a shard's images and frames.
 */
export function planArenas(plan: {
  memoryBytes: number;
  shards: number;
  ringBytes: number;
  heapBytesMin: number;
}): ArenaLayout[] | undefined {
  // The last page stays unused: the end of a range is then an address too, and never wraps to 0.
  const usable = plan.memoryBytes - MAIN_BLOCK_BYTES - PAGE_BYTES;
  const arenaBytes = floorTo(usable / plan.shards, PAGE_BYTES);
  const completionEntries = ringEntries(arenaBytes);
  const returnEntries = completionEntries * 2;
  const arenas: ArenaLayout[] = [];
  for (let shard = 0; shard < plan.shards; shard++) {
    const control = MAIN_BLOCK_BYTES + shard * arenaBytes;
    const completion = control + CONTROL_BYTES;
    const returns = completion + completionEntries * COMPLETION_ENTRY_BYTES;
    const ingest = returns + returnEntries * RETURN_ENTRY_BYTES;
    const spans = ingest + plan.ringBytes;
    const rest = control + arenaBytes - spans;
    const heap = ceilTo(spans + Math.ceil(rest / PAGE_BYTES) * 4, PAGE_BYTES);
    const heapBytes = control + arenaBytes - heap;
    if (heapBytes < plan.heapBytesMin) return undefined;
    arenas.push({
      control,
      completion,
      completionEntries,
      returns,
      returnEntries,
      ingest,
      ingestBytes: plan.ringBytes,
      spans,
      heap,
      heapBytes,
    });
  }
  return arenas;
}

function ringEntries(arenaBytes: number): number {
  const wanted = (arenaBytes * COMPLETION_SHARE_OF_ARENA) / COMPLETION_ENTRY_BYTES;
  let entries = RING_ENTRIES_MIN;
  while (entries * 2 <= wanted && entries < RING_ENTRIES_MAX) entries *= 2;
  return entries;
}

function floorTo(bytes: number, unit: number): number {
  return Math.floor(bytes / unit) * unit;
}

function ceilTo(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit;
}

export function heapRegion(arena: ArenaLayout, buffer: SharedArrayBuffer): HeapRegion {
  const spanTable = new Int32Array(buffer, arena.spans, Math.floor(arena.heapBytes / PAGE_BYTES));
  return { base: arena.heap, bytes: arena.heapBytes, spanTable };
}
