/** Streams whose checkpoint somebody awaits, in the order in which it was asked for: taken at the end of a turn. */
import type { ShardStream } from './stream.ts';

const NONE: readonly ShardStream[] = [];

export class WantedStreams {
  #streams: ShardStream[] = [];

  /** Not one that is set aside: who waits for it is told otherwise. */
  add(stream: ShardStream): void {
    if (stream.isWanted || stream.isAside) return;
    stream.isWanted = true;
    this.#streams.push(stream);
  }

  /** The stream is over: nobody is to take its checkpoint. */
  remove(stream: ShardStream): void {
    if (!stream.isWanted) return;
    stream.isWanted = false;
    this.#streams = this.#streams.filter((wanted) => wanted !== stream);
  }

  /** All of them, which are not wanted any more then. */
  take(): readonly ShardStream[] {
    if (this.#streams.length === 0) return NONE;
    const streams = this.#streams;
    this.#streams = [];
    for (const stream of streams) stream.isWanted = false;
    return streams;
  }
}
