/**
 * The event that operators see: one object per shard, pointed at the record of the moment. Values are
 * read from the ring only when asked for, since most operators look at few of them.
 *
 * A payload is copied to one place, over which there is a view for each length that has come up: to make a view takes
 * longer than to copy a short payload, and leaves garbage. And what operators do to the copy, the record does not
 * show when the event is tried again. Payloads of more than a page are seen where the ring has them.
 */
import type { EngineMemory } from '../memory/engine-memory.ts';
import { AT } from '../memory/ingest-ring.ts';
import { type ArenaLayout, PAYLOAD_BYTES, payloadAddress } from '../memory/layout.ts';
import type { OperatorEvent } from './operator.ts';
import type { ShardSource, ShardStream } from './stream.ts';

export class ShardEvent implements OperatorEvent {
  readonly #memory: EngineMemory;
  readonly #streams: readonly (ShardStream | undefined)[];
  #address = 0;
  #index = 0;
  #source: ShardSource | undefined;
  #payloadBytes = 0;
  #payload: Uint8Array | undefined;
  /** Address of the place for payloads of up to `PAYLOAD_BYTES`. */
  readonly #place: number;
  /** Views of it, by their lengths. */
  readonly #views: (Uint8Array | undefined)[] = new Array<undefined>(PAYLOAD_BYTES + 1).fill(undefined);
  readonly #copy: EngineMemory['kernel']['copy'];

  constructor(memory: EngineMemory, arena: ArenaLayout, streams: readonly (ShardStream | undefined)[]) {
    this.#streams = streams;
    this.#memory = memory;
    this.#place = payloadAddress(arena);
    this.#copy = memory.kernel.copy;
  }

  /** `index` is the number of its stream. */
  point(address: number, index: number, source: ShardSource | undefined): void {
    this.#address = address;
    this.#payloadBytes = this.#memory.u32[(address + AT.length) >>> 2] as number;
    this.#payload = undefined;
    this.#index = index;
    this.#source = source;
  }

  get stream(): string {
    return (this.#streams[this.#index] as ShardStream).name;
  }

  get source(): string | undefined {
    return this.#source?.name;
  }

  get sequence(): bigint {
    return this.#u64(AT.sequence);
  }

  get watermarkNs(): bigint {
    return this.#u64(AT.watermark);
  }

  get offset(): bigint | undefined {
    return this.#source === undefined ? undefined : this.#u64(AT.offset);
  }

  get payload(): Uint8Array {
    this.#payload ??= this.#payloadBytes > PAYLOAD_BYTES ? this.#longPayload() : this.#shortPayload();
    return this.#payload;
  }

  #shortPayload(): Uint8Array {
    const bytes = this.#payloadBytes;
    this.#copy(this.#place, this.#address + AT.payload, bytes);
    const view = this.#views[bytes];
    return view ?? this.#newView(bytes);
  }

  #newView(bytes: number): Uint8Array {
    const view = new Uint8Array(this.#memory.buffer, this.#place, bytes);
    this.#views[bytes] = view;
    return view;
  }

  #longPayload(): Uint8Array {
    return new Uint8Array(this.#memory.buffer, this.#address + AT.payload, this.#payloadBytes);
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
