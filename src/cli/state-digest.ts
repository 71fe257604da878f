/**
 * The final states of a run, and their digest: SHA-256 over all streams ascending by the UTF-8 bytes of their
 * ids, of each u32 little-endian length and bytes of the id, then the body of its newest checkpoint. It depends
 * on the events alone: neither on the number of shards nor on how often the run was interrupted.
 */
import { createHash } from 'node:crypto';
import type { CheckpointState } from '../checkpoint/state.ts';

/** Reads under way at once: they go to the store and back, so one at a time would mostly wait. */
const READS_AHEAD = 64;

export interface StateReader {
  streams(): Iterable<string>;
  latest(stream: string): Promise<CheckpointState | undefined>;
}

export interface FinalState {
  readonly stream: string;
  readonly state: CheckpointState;
}

/** Every stream's newest checkpoint, ascending by the UTF-8 bytes of the stream's id. */
export async function* finalStates(reader: StateReader): AsyncGenerator<FinalState> {
  const ids = [...reader.streams()].map((stream) => ({ stream, utf8: Buffer.from(stream) }));
  ids.sort((a, b) => Buffer.compare(a.utf8, b.utf8));
  const ahead: Promise<CheckpointState | undefined>[] = [];
  for (let index = 0; index < ids.length; index += 1) {
    while (ahead.length < READS_AHEAD && index + ahead.length < ids.length) {
      const read = reader.latest(ids[index + ahead.length]!.stream);
      // It is awaited in its turn; a failure before that must not count as unhandled.
      read.catch(() => {});
      ahead.push(read);
    }
    const state = await ahead.shift()!;
    if (state !== undefined) yield { stream: ids[index]!.stream, state };
  }
}

export class StateDigest {
  readonly #hash = createHash('sha256');

  add({ stream, state }: FinalState): void {
    const id = Buffer.from(stream);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(id.length);
    this.#hash.update(length).update(id).update(state.serialize());
  }

  hex(): string {
    return this.#hash.digest('hex');
  }
}
