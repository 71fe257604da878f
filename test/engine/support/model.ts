/** What the operators of `operators/tally.ts` and the engine's own counting come to, in plain maps. */
import { CheckpointId, CheckpointState, type Event } from '../../../src/index.ts';

interface Applied {
  sequence: bigint;
  eventCount: bigint;
  watermarkNs: bigint;
  readonly sourceOffsets: Map<string, bigint>;
  count: bigint;
  sum: bigint;
  hash: number;
  readonly words: Map<string, number>;
}

export class Model {
  readonly #streams = new Map<string, Applied>();

  get streams(): string[] {
    return [...this.#streams.keys()].sort();
  }

  /** Applies an event that is not a duplicate. */
  apply(event: Event): void {
    let stream = this.#streams.get(event.stream);
    if (stream === undefined) {
      stream = {
        sequence: 0n,
        eventCount: 0n,
        watermarkNs: 0n,
        sourceOffsets: new Map(),
        count: 0n,
        sum: 0n,
        hash: 0,
        words: new Map(),
      };
      this.#streams.set(event.stream, stream);
    }
    stream.sequence = event.sequence === undefined ? stream.sequence + 1n : BigInt(event.sequence);
    stream.eventCount += 1n;
    const watermarkNs = BigInt(event.watermarkNs ?? 0);
    if (watermarkNs > stream.watermarkNs) stream.watermarkNs = watermarkNs;
    if (event.source !== undefined) {
      const offset = BigInt(event.offset ?? 0);
      stream.sourceOffsets.set(event.source, BigInt(event.nextOffset ?? offset + 1n));
    }
    const payload = Buffer.from(event.payload);
    stream.count += 1n;
    for (const byte of payload) {
      stream.sum += BigInt(byte);
      stream.hash = Number((BigInt(stream.hash) * 31n + BigInt(byte)) % 2n ** 32n);
    }
    const word = payload.toString();
    stream.words.set(word, (stream.words.get(word) ?? 0) + 1);
  }

  state(name: string): CheckpointState {
    const stream = this.#streams.get(name);
    if (stream === undefined) throw new Error(`the model has no stream ${name}`);
    const state = new CheckpointState(new CheckpointId(name, stream.sequence));
    state.watermarkNs = stream.watermarkNs;
    state.eventCount = stream.eventCount;
    for (const [source, offset] of stream.sourceOffsets) state.setSourceOffset(source, offset);
    const tally = Buffer.alloc(16);
    tally.writeBigUInt64LE(stream.count, 0);
    tally.writeBigUInt64LE(stream.sum, 8);
    state.setOperatorState('tally', tally);
    const words = [...stream.words.keys()].sort().map((word) => [word, stream.words.get(word)]);
    state.setOperatorState('words', Buffer.from(JSON.stringify(words)));
    if (name.startsWith('bag')) return state;
    const fold = Buffer.alloc(4);
    fold.writeUInt32LE(stream.hash);
    state.setOperatorState('fold', fold);
    return state;
  }
}

/** Everything about a state that its events decide, readable where it differs. */
export function readable(state: CheckpointState | undefined): unknown {
  if (state === undefined) return undefined;
  return {
    stream: state.id.streamId,
    sequence: state.id.sequence,
    eventCount: state.eventCount,
    watermarkNs: state.watermarkNs,
    sources: Object.fromEntries([...state.sourceOffsets].sort()),
    operators: Object.fromEntries(
      [...state.operatorStates].map(([name, bytes]) => [name, Buffer.from(bytes).toString('latin1')]).sort(),
    ),
    body: Buffer.from(state.serialize()).toString('hex'),
  };
}
