/** Which sources a shard has read since it last told of them, and how far. */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT } from '../memory/ingest-ring.ts';
import type { Completions } from './completions.ts';
import type { ShardSource } from './stream.ts';

export class SourceReports {
  readonly #u32: Uint32Array<SharedArrayBuffer>;
  #touched: ShardSource[] = [];

  constructor(memory: EngineMemory) {
    this.#u32 = memory.u32;
  }

  /** The event at `address` is read. */
  onEvent(source: ShardSource, address: number): void {
    source.readEvents++;
    source.lastLow = this.#u32[(address + AT.offset) >>> 2] as number;
    source.lastHigh = this.#u32[(address + AT.offset + 4) >>> 2] as number;
    this.touch(source);
  }

  touch(source: ShardSource): void {
    if (source.isTouched) return;
    source.isTouched = true;
    this.#touched.push(source);
  }

  tell(completions: Completions): void {
    for (const source of this.#touched) {
      source.isTouched = false;
      completions.source(source);
    }
    this.#touched = [];
  }
}
