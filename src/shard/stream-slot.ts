/** A slot operator's bytes within its stream's image; views are made on first use and kept. */
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { Slot, SlotOperator } from './operator.ts';

export class StreamSlot implements Slot {
  readonly length: number;
  readonly operator: SlotOperator;
  address = 0;
  readonly #memory: EngineMemory;
  #bytes: Uint8Array | undefined;
  #view: DataView | undefined;

  constructor(memory: EngineMemory, operator: SlotOperator) {
    this.#memory = memory;
    this.operator = operator;
    this.length = operator.bytes;
  }

  /** Depends on what `view` needs to be in the nearer caches. */
  get fetched(): number {
    return this.#view === undefined ? this.address : this.#view.byteOffset;
  }

  /** The image has moved: views of the old place are not handed out again. */
  moveTo(address: number): void {
    this.address = address;
    this.#bytes = undefined;
    this.#view = undefined;
  }

  get bytes(): Uint8Array {
    this.#bytes ??= this.#memory.u8.subarray(this.address, this.address + this.length);
    return this.#bytes;
  }

  get view(): DataView {
    this.#view ??= new DataView(this.#memory.buffer, this.address, this.length);
    return this.#view;
  }
}
