/**
 * Streams that are being forgotten: from the call of `forget` until nothing of them is left, in the durable store
 * either. Under a name there may be several, one after the other, and a new stream that is not forgotten.
 */
import { systemClock } from '../clock.ts';
import type { RoutedStream } from './router.ts';

interface Forget {
  readonly stream: RoutedStream;
  /** When it began; undefined once it is no longer waited for. */
  since: number | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Forgets {
  readonly #byName = new Map<string, Forget[]>();

  /** What the durable store has under the name is of a stream that is over. */
  isUnderWay(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Resolves when the stream is forgotten. */
  begin(stream: RoutedStream): Promise<void> {
    return new Promise((resolve, reject) => {
      const forgets = this.#byName.get(stream.name) ?? [];
      forgets.push({ stream, since: systemClock.now(), resolve, reject });
      this.#byName.set(stream.name, forgets);
    });
  }

  settle(stream: RoutedStream): void {
    const forgets = this.#byName.get(stream.name) ?? [];
    const left = forgets.filter((forget) => forget.stream !== stream);
    if (left.length === 0) this.#byName.delete(stream.name);
    else this.#byName.set(stream.name, left);
    for (const forget of forgets) if (forget.stream === stream) forget.resolve();
  }

  /** Nothing will be forgotten any more. `reason` makes an error for each waiter. */
  failAll(reason: () => Error): void {
    const forgets = [...this.#byName.values()].flat();
    this.#byName.clear();
    for (const { reject } of forgets) reject(reason());
  }

  /** Rejects who has waited since `before`, or longer. Their streams are forgotten all the same, when that is possible. */
  failLate(reason: () => Error, before: number): void {
    for (const forget of [...this.#byName.values()].flat()) {
      if (forget.since === undefined || forget.since > before) continue;
      forget.since = undefined;
      forget.reject(reason());
    }
  }
}
