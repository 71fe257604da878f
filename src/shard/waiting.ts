/**
 * How a shard waits for the main thread: by sleeping on its bell, never past an order to stop. The main
 * thread never waits for a shard in this way, so the two cannot wait for each other.
 */
import type { ControlWords, ShardBell } from '../memory/doorbells.ts';
import { WORD } from '../memory/layout.ts';

/** Longest single sleep in milliseconds, whatever is awaited: bounds the cost of a bell not heard. */
const SLEEP_MS_MAX = 50;

/** Thrown where a shard waits when the engine has told it to stop; the loop ends with it. */
export class ShardStopped extends Error {}

export class Waiting {
  readonly #words: ControlWords;
  readonly #bell: Pick<ShardBell, 'sleep' | 'ringMain'>;

  /** Called before each wait: main has to see what the shard holds back, or it may have nothing to answer with. */
  onWait: () => void = () => undefined;
  #beats = 0;

  constructor(words: ControlWords, bell: Pick<ShardBell, 'sleep' | 'ringMain'>) {
    this.#words = words;
    this.#bell = bell;
  }

  /** Shows that the thread is not held up by an operator. */
  beat(): void {
    this.#beats = (this.#beats + 1) | 0;
    this.#words.set(WORD.heartbeat, this.#beats);
  }

  get isStopped(): boolean {
    return this.#words.get(WORD.stop) === 1;
  }

  /** Blocks until `isReady`, which looks at what the main thread publishes. @throws ShardStopped */
  until(isReady: () => boolean): void {
    while (!isReady()) {
      if (this.isStopped) throw new ShardStopped();
      this.beat();
      this.onWait();
      this.#bell.ringMain();
      this.#bell.sleep(SLEEP_MS_MAX, () => !isReady() && !this.isStopped);
    }
  }
}
