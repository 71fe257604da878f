/** A slot operator's bytes within its stream's image; views are made on first use and kept. */
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { Slot } from './operator.ts';

export class StreamSlot implements Slot {
  readonly length: number;
  address = 0;
  readonly #memory: EngineMemory;
  #bytes: Uint8Array | undefined;
  #view: DataView | undefined;

  constructor(memory: EngineMemory, length: number) {
    this.#memory = memory;
    this.length = length;
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
