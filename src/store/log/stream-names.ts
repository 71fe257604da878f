/**
 * The names of streams, by number. There may be hundreds of thousands, of which most are never asked for: each is
 * kept as its UTF-8, is found by its bytes, and becomes a string when somebody asks.
 *
 * Invariants: a number is given to one name at a time. `slots` has every number that is given, in the first place from
 * where its hash points on that was free, and none is free between the two; at least half of all places are free.
 * Owned by the thread that owns the index.
 */
import { writeUtf8 } from '../../codec/utf8.ts';

const INITIAL_NAMES = 256;
const INITIAL_BYTES = 4096;
/** The length of a name that was removed. */
const GONE = -1;
/** What is returned when there is no such name. */
export const NO_NUMBER = -1;

export class StreamNames {
  /** Names that have a number. */
  size = 0;
  /** Secret and odd: whoever names streams must not be able to make their hashes meet. */
  private readonly factor: number;
  /** A number and one; 0 where a place is free. Twice as many as there may be numbers, a power of two. */
  private slots = new Int32Array(2 * INITIAL_NAMES);
  /** By number. */
  private hashes = new Int32Array(INITIAL_NAMES);
  private starts = new Float64Array(INITIAL_NAMES);
  private lengths = new Int32Array(INITIAL_NAMES);
  private readonly freeNumbers: number[] = [];
  private text = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  private textEnd = 0;
  /** The number that was asked for last. */
  private taken = NO_NUMBER;
  /** Of removed names in `text`. */
  private goneBytes = 0;
  /** The UTF-8 of a name that is looked up as a string. */
  private key = new Uint8Array(256);

  constructor(seed = 0) {
    this.factor = Math.imul(seed, 2) + 0x01000193;
  }

  find(name: string): number {
    const length = this.encode(name);
    return this.findBytes(this.key, 0, length);
  }

  /** The number of a name, a new one if need be. */
  take(name: string): number {
    const length = this.encode(name);
    return this.takeBytes(this.key, 0, length);
  }

  findBytes(bytes: Uint8Array, start: number, end: number): number {
    const slot = this.slotOf(bytes, start, end, this.hash(bytes, start, end));
    return (this.slots[slot] as number) - 1;
  }

  takeBytes(bytes: Uint8Array, start: number, end: number): number {
    // Whoever goes through many names mostly does so in the order of their numbers.
    const next = this.taken + 1;
    if (next < this.numbersEnd && this.isName(next, bytes, start, end)) {
      this.taken = next;
      return next;
    }
    this.taken = this.takeHashed(bytes, start, end);
    return this.taken;
  }

  private takeHashed(bytes: Uint8Array, start: number, end: number): number {
    const hash = this.hash(bytes, start, end);
    const slot = this.slotOf(bytes, start, end, hash);
    const known = (this.slots[slot] as number) - 1;
    if (known !== NO_NUMBER) return known;
    const number = this.freeNumbers.pop() ?? this.size;
    this.size += 1;
    this.slots[slot] = number + 1;
    if (number >= this.lengths.length) this.growNumbers();
    const at = this.reserve(end - start);
    const { text } = this;
    for (let from = start, to = at; from < end; from++, to++) text[to] = bytes[from] as number;
    this.textEnd = at + end - start;
    this.hashes[number] = hash;
    this.starts[number] = at;
    this.lengths[number] = end - start;
    if (2 * this.size >= this.slots.length) this.growSlots();
    return number;
  }

  /** Numbers are less than this one. */
  get numbersEnd(): number {
    return this.size + this.freeNumbers.length;
  }

  has(number: number): boolean {
    return number < this.numbersEnd && this.lengths[number] !== GONE;
  }

  name(number: number): string {
    const start = this.starts[number] as number;
    return this.text.toString('utf8', start, start + (this.lengths[number] as number));
  }

  /** Bytes of the UTF-8 of a name. */
  byteLength(number: number): number {
    return this.lengths[number] as number;
  }

  /** Copies the UTF-8 of a name to `at` of `target` and returns where it ends. */
  copy(number: number, target: Uint8Array, at: number): number {
    const start = this.starts[number] as number;
    const end = start + (this.lengths[number] as number);
    let to = at;
    for (let from = start; from < end; from++, to++) target[to] = this.text[from] as number;
    return to;
  }

  /** Bytes that are set aside for names. */
  get roomBytes(): number {
    return this.text.length;
  }

  /** The number may be given to another name. */
  remove(number: number): void {
    this.vacate(number);
    this.goneBytes += this.lengths[number] as number;
    this.lengths[number] = GONE;
    this.freeNumbers.push(number);
    this.size -= 1;
  }

  private hash(bytes: Uint8Array, start: number, end: number): number {
    const { factor } = this;
    let hash = end - start;
    for (let at = start; at < end; at++) {
      hash = Math.imul(hash ^ (bytes[at] as number), factor);
      hash ^= hash >>> 15;
    }
    return hash;
  }

  /** The place of the name, or the free one that it would take. */
  private slotOf(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const mask = this.slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = (this.slots[slot] as number) - 1;
      if (number === NO_NUMBER) return slot;
      if (this.hashes[number] === hash && this.isName(number, bytes, start, end)) return slot;
    }
  }

  private isName(number: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.lengths[number] !== end - start) return false;
    const { text } = this;
    let own = this.starts[number] as number;
    for (let at = start; at < end; at++, own++) if (text[own] !== bytes[at]) return false;
    return true;
  }

  /** Frees the place of a number, and lets those behind it that would not be found any more move up. */
  private vacate(number: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let free = (this.hashes[number] as number) & mask;
    while (slots[free] !== number + 1) free = (free + 1) & mask;
    for (let slot = (free + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = (this.hashes[(slots[slot] as number) - 1] as number) & mask;
      // Reached from its home without passing the free place, it stays.
      if (((slot - home) & mask) < ((slot - free) & mask)) continue;
      slots[free] = slots[slot] as number;
      free = slot;
    }
    slots[free] = 0;
  }

  private growNumbers(): void {
    const { hashes, starts, lengths } = this;
    this.hashes = new Int32Array(2 * hashes.length);
    this.hashes.set(hashes);
    this.starts = new Float64Array(2 * starts.length);
    this.starts.set(starts);
    this.lengths = new Int32Array(2 * lengths.length);
    this.lengths.set(lengths);
  }

  private growSlots(): void {
    this.slots = new Int32Array(2 * this.slots.length);
    const mask = this.slots.length - 1;
    for (let number = 0; number < this.numbersEnd; number++) {
      if (this.lengths[number] === GONE) continue;
      let slot = (this.hashes[number] as number) & mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
      this.slots[slot] = number + 1;
    }
  }

  /** Where there is room for so many bytes of a new name. */
  private reserve(bytes: number): number {
    if (this.textEnd + bytes <= this.text.length) return this.textEnd;
    const kept = this.textEnd - this.goneBytes;
    const text = Buffer.allocUnsafeSlow(Math.max(2 * (kept + bytes), INITIAL_BYTES));
    if (this.goneBytes === 0) {
      text.set(this.text.subarray(0, this.textEnd));
    } else {
      this.packInto(text);
      this.textEnd = kept;
      this.goneBytes = 0;
    }
    this.text = text;
    return this.textEnd;
  }

  private packInto(text: Uint8Array): void {
    let end = 0;
    for (let number = 0; number < this.numbersEnd; number++) {
      if (this.lengths[number] === GONE) continue;
      const next = this.copy(number, text, end);
      this.starts[number] = end;
      end = next;
    }
  }

  private encode(name: string): number {
    if (this.key.length < 3 * name.length) this.key = new Uint8Array(6 * name.length);
    return writeUtf8(this.key, 0, name);
  }
}
