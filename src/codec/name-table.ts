/**
 * Names that were read before, found again by their bytes: checkpoints of a job hold the same few names
 * over and over, in the same order, and making a string of bytes costs more than recognising them.
 *
 * - A name is found only if all of its bytes are equal; the hash and the order only say where to look.
 * - A name is kept with the bytes that its text was made of, never with those of another reading: another
 *   thread may write to them in between.
 * - The memory is bounded: a name for which there is no room takes the place of another.
 */
import { decodeUtf8 } from './utf8.ts';

/** Longer names are not kept. */
export const NAME_BYTES_MAX = 64;
const NAME_WORDS = NAME_BYTES_MAX / 4;
/** A name lies in one of so many slots, from the one that its hash says. */
const PROBES = 4;
/** The length of no name. */
const NO_NAME = 0xff;

export class NameTable {
  readonly #slots: number;
  readonly #texts: string[];
  readonly #lengths: Uint8Array;
  /** UTF-8 of the names in little-endian words, the last one filled up with zeros. */
  readonly #words: Int32Array;
  /** Of each slot the one whose name followed it the last time. */
  readonly #followers: Uint16Array;
  #last = 0;
  /** The name that is looked for, as `#words` would hold it. */
  readonly #wanted = new Int32Array(NAME_WORDS + 1);
  readonly #wantedBytes = new Uint8Array(this.#wanted.buffer);

  /** `slots` is a power of two up to 65,536. */
  constructor(slots: number) {
    this.#slots = slots;
    this.#texts = new Array<string>(slots).fill('');
    this.#lengths = new Uint8Array(slots).fill(NO_NAME);
    this.#words = new Int32Array(slots * NAME_WORDS);
    this.#followers = new Uint16Array(slots);
  }

  /**
   * The text of the `length` bytes at `start`, at most `NAME_BYTES_MAX`; undefined when they are not strict
   * UTF-8. The word in which the name ends is read whole, so `view` has three more bytes.
   */
  read(view: DataView, start: number, length: number): string | undefined {
    const slot = this.#followers[this.#last] as number;
    if (this.#lengths[slot] !== length || !this.#isAt(slot, view, start, length)) {
      return this.#find(view, start, length);
    }
    this.#last = slot;
    return this.#texts[slot];
  }

  #isAt(slot: number, view: DataView, start: number, length: number): boolean {
    const wholeEnd = start + (length & ~3);
    let word = slot * NAME_WORDS;
    let at = start;
    for (; at < wholeEnd; at += 4, word++) if (view.getInt32(at, true) !== this.#words[word]) return false;
    return (length & 3) === 0 || (view.getInt32(at, true) & tailMask(length)) === this.#words[word];
  }

  #find(view: DataView, start: number, length: number): string | undefined {
    const wanted = this.#wanted;
    const whole = length >>> 2;
    let hash = length;
    for (let i = 0; i < whole; i++) {
      const word = view.getInt32(start + 4 * i, true);
      wanted[i] = word;
      hash = mix(hash, word);
    }
    const tail = (length & 3) === 0 ? 0 : view.getInt32(start + 4 * whole, true) & tailMask(length);
    wanted[whole] = tail;
    hash = mix(hash, tail);
    const first = hash >>> 16;
    for (let probe = 0; probe < PROBES; probe++) {
      const slot = (first + probe) & (this.#slots - 1);
      if (this.#lengths[slot] === length && this.#isWanted(slot, length)) return this.#follow(slot);
    }
    return this.#keep(first, length);
  }

  #isWanted(slot: number, length: number): boolean {
    const start = slot * NAME_WORDS;
    for (let i = 0; 4 * i < length; i++) if (this.#words[start + i] !== this.#wanted[i]) return false;
    return true;
  }

  #keep(first: number, length: number): string | undefined {
    const text = decodeUtf8(this.#wantedBytes, 0, length);
    if (text === undefined) return undefined;
    let slot = first & (this.#slots - 1);
    for (let probe = PROBES - 1; probe >= 0; probe--) {
      const candidate = (first + probe) & (this.#slots - 1);
      if (this.#lengths[candidate] === NO_NAME) slot = candidate;
    }
    this.#texts[slot] = text;
    this.#lengths[slot] = length;
    this.#words.set(this.#wanted.subarray(0, NAME_WORDS), slot * NAME_WORDS);
    return this.#follow(slot);
  }

  #follow(slot: number): string | undefined {
    this.#followers[this.#last] = slot;
    this.#last = slot;
    return this.#texts[slot];
  }
}

/** Covers what belongs to a name of `length` bytes in the word in which it ends. */
function tailMask(length: number): number {
  return (1 << (8 * (length & 3))) - 1;
}

function mix(hash: number, word: number): number {
  return Math.imul(((hash << 5) | (hash >>> 27)) ^ word, 0x9e3779b1);
}
