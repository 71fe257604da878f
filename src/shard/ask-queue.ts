/**
 * Streams, each with the time at which to ask about it, the earliest at the head: a binary heap. The times lie in an
 * array of their own, so that finding a place touches no stream but those that move; each stream knows its place.
 */
import type { ShardStream } from './stream.ts';

export class AskQueue {
  readonly #times: number[] = [];
  readonly #streams: ShardStream[] = [];

  get head(): ShardStream | undefined {
    return this.#streams[0];
  }

  /** Infinity if it is empty. */
  get headTime(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  /** Infinity if the stream is not in it. */
  timeOf(stream: ShardStream): number {
    return stream.askPlace === -1 ? Number.POSITIVE_INFINITY : (this.#times[stream.askPlace] as number);
  }

  /** Puts a stream in, or where it belongs by another time. O(log n); at the end of all, O(1). */
  put(stream: ShardStream, time: number): void {
    let place = stream.askPlace;
    if (place === -1) {
      place = this.#streams.push(stream) - 1;
      this.#times.push(time);
    }
    this.#settle(place, stream, time);
  }

  /** Takes a stream out, if it is in. O(log n) */
  remove(stream: ShardStream): void {
    const place = stream.askPlace;
    if (place === -1) return;
    stream.askPlace = -1;
    const last = this.#streams.pop() as ShardStream;
    const time = this.#times.pop() as number;
    if (last !== stream) this.#settle(place, last, time);
  }

  /** `place` is free, or the stream's own: finds where it belongs, from there on up or down. */
  #settle(from: number, stream: ShardStream, time: number): void {
    const times = this.#times;
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >>> 1;
      if ((times[parent] as number) <= time) break;
      this.#set(place, this.#streams[parent] as ShardStream, times[parent] as number);
      place = parent;
    }
    for (;;) {
      let child = 2 * place + 1;
      if (child + 1 < times.length && (times[child + 1] as number) < (times[child] as number)) child++;
      if (child >= times.length || (times[child] as number) >= time) break;
      this.#set(place, this.#streams[child] as ShardStream, times[child] as number);
      place = child;
    }
    this.#set(place, stream, time);
  }

  #set(place: number, stream: ShardStream, time: number): void {
    this.#streams[place] = stream;
    this.#times[place] = time;
    stream.askPlace = place;
  }
}
