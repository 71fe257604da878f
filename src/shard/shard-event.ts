/**
 * The event that operators see: one object per shard, pointed at the record of the moment. Values are
 * read from the ring only when asked for, since most operators look at few of them.
 */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT } from '../memory/ingest-ring.ts';
import type { OperatorEvent } from './operator.ts';

export class ShardEvent implements OperatorEvent {
  stream = '';
  source: string | undefined;
  readonly #memory: EngineMemory;
  #address = 0;
  #payloadBytes = 0;
  #payload: Uint8Array | undefined;

  constructor(memory: EngineMemory) {
    this.#memory = memory;
  }

  point(address: number, stream: string, source: string | undefined): void {
    this.#address = address;
    this.#payloadBytes = this.#memory.u32[(address + AT.length) >>> 2] as number;
    this.#payload = undefined;
    this.stream = stream;
    this.source = source;
  }

  get sequence(): bigint {
    return this.#u64(AT.sequence);
  }

  get watermarkNs(): bigint {
    return this.#u64(AT.watermark);
  }

  get offset(): bigint | undefined {
    return this.source === undefined ? undefined : this.#u64(AT.offset);
  }

  get payload(): Uint8Array {
    this.#payload ??= new Uint8Array(this.#memory.buffer, this.#address + AT.payload, this.#payloadBytes);
    return this.#payload;
  }

  text(): string {
    const start = this.#address + AT.payload;
    return this.#memory.text.toString('utf8', start, start + this.#payloadBytes);
  }

  /** Records are multiples of 8 bytes, so their u64 fields are aligned. */
  #u64(field: number): bigint {
    return this.#memory.u64[(this.#address + field) / 8] as bigint;
  }
}
