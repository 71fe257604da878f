/** The rivals as subjects of the codec suite. */
import type { Rival } from './rivals.ts';
import {
  type PlainState,
  readNames,
  requireRead,
  requireSameState,
  type Shape,
  versionAt,
} from './shapes.ts';
import type { Subject } from './suite.ts';

/** A rival with its live states, its destinations, and bytes to decode. */
export class RivalVersions {
  readonly #rival: Rival;
  readonly #states: readonly PlainState[];
  readonly #live: readonly unknown[];
  readonly #destinations: readonly Buffer[];
  readonly #encoded: readonly Uint8Array[];

  constructor(rival: Rival, states: readonly PlainState[], destinations: readonly Buffer[]) {
    this.#rival = rival;
    this.#states = states;
    this.#live = states.map((state) => rival.prepare(state));
    this.#destinations = destinations;
    this.#encoded = this.#live.map((live) => Uint8Array.from(rival.encode(live, versionAt(destinations, 0))));
  }

  encoding(checksum?: (bytes: Uint8Array) => number): Subject {
    const rival = this.#rival;
    const encode = (turn: number): Uint8Array =>
      rival.encode(versionAt(this.#live, turn), versionAt(this.#destinations, turn));
    return {
      name: rival.name,
      bytesPerOp: versionAt(this.#encoded, 0).length,
      operate: checksum === undefined ? encode : (turn) => checksum(encode(turn)),
      check: (turn) =>
        requireSameState(rival.decode(encode(turn)), versionAt(this.#states, turn), rival.name),
    };
  }

  reading(shape: Shape, checksum?: (bytes: Uint8Array) => number): Subject {
    const rival = this.#rival;
    const names = readNames(shape);
    const sums = checksum === undefined ? undefined : this.#encoded.map((bytes) => checksum(bytes));
    const operate = (turn: number) => {
      const bytes = versionAt(this.#encoded, turn);
      if (sums !== undefined && checksum?.(bytes) !== versionAt(sums, turn))
        throw new Error(`${rival.name}: the bytes are damaged`);
      return rival.read(bytes, names);
    };
    return {
      name: rival.name,
      bytesPerOp: versionAt(this.#encoded, 0).length,
      operate,
      check: (turn) => requireRead(operate(turn), versionAt(this.#states, turn), shape, rival.name),
      remarks: [rival.reads === 'everything' ? 'has to decode everything' : 'walks to the parts wanted'],
    };
  }

  decoding(): Subject {
    const rival = this.#rival;
    const operate = (turn: number): PlainState => rival.decode(versionAt(this.#encoded, turn));
    return {
      name: rival.name,
      bytesPerOp: versionAt(this.#encoded, 0).length,
      operate,
      check: (turn) => requireSameState(operate(turn), versionAt(this.#states, turn), rival.name),
    };
  }
}
