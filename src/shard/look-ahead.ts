/**
 * Reads ahead in the ring, so that what the next events need is on its way from memory before they are processed.
 *
 * Of many streams none is in the nearer caches, and an event would wait for its stream, then for what the
 * stream points to, then for what that points to. Here the loads of several events are issued together, one level
 * at a time, and the processor waits for them side by side ("group prefetching": Chen, Ailamaki, Gibbons, Mowry,
 * Improving Hash Join Performance through Prefetching, 2004). Nothing is decided by what is read.
 */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT, type IngestReader, RECORD } from '../memory/ingest-ring.ts';
import type { ShardStream } from './stream.ts';

/** Records to a group: enough to keep the processor's misses overlapping, few enough to stay in its nearest cache. */
export const GROUP_RECORDS = 16;

export class LookAhead {
  readonly #u32: Uint32Array<SharedArrayBuffer>;
  readonly #ring: IngestReader;
  readonly #streams: readonly (ShardStream | undefined)[];
  readonly #addresses: number[] = new Array<number>(GROUP_RECORDS).fill(0);
  readonly #group: ShardStream[] = [];
  /** u32 index of a word that takes what was read: a load whose value goes nowhere may be left out. */
  readonly #sink: number;

  /** `streams` by their index, as records name them. */
  constructor(memory: EngineMemory, ring: IngestReader, streams: readonly (ShardStream | undefined)[]) {
    this.#u32 = memory.u32;
    this.#ring = ring;
    this.#streams = streams;
    this.#sink = memory.scratch >>> 2;
  }

  /** Fetches what the next records of the ring need. */
  fetch(): void {
    const u32 = this.#u32;
    const group = this.#group;
    const records = this.#ring.ahead(this.#addresses);
    let read = 0;
    let size = 0;
    for (let i = 0; i < records; i++) {
      const word = (this.#addresses[i] as number) >>> 2;
      if (((u32[word + AT.kind / 4] as number) & 0xffff) !== RECORD.event) continue;
      const stream = this.#streams[u32[word + AT.index / 4] as number];
      // A new one, which is defined by a record in between.
      if (stream === undefined || stream.image === 0) continue;
      group[size++] = stream;
      read ^= stream.image;
    }
    for (let i = 0; i < size; i++) {
      const { image, onlyPosition, onlyOperator } = group[i] as ShardStream;
      read ^= u32[image >>> 2] as number;
      if (onlyPosition !== undefined)
        read ^= onlyPosition.lowLow ^ (u32[onlyPosition.offsetAddress >>> 2] as number);
      if (onlyOperator?.kind === 'slot') read ^= onlyOperator.slot.address;
      else if (onlyOperator !== undefined) read ^= onlyOperator.version;
    }
    u32[this.#sink] = read;
  }
}
