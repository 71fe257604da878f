/**
 * Waking the other side. Both doorbells follow one protocol against lost wake-ups:
 *
 *   waiter:  flag = 1;  look again;  if nothing, wait while bell is unchanged;  flag = 0
 *   ringer:  publish;   if flag:  bell += 1, notify
 *
 * Those who ring the main thread lower its flag first, so that only one of them rings for each wait.
 * All four are sequentially consistent, so either the ringer sees the flag or the waiter's second look
 * sees what was published. The bell value that the waiter waits on is read before the flag is raised: a
 * ring in between changes it, and the wait returns at once.
 */
import type { EngineMemory } from './engine-memory.ts';
import { type ArenaLayout, MAIN_DOORBELL, MAIN_WAITING, WORD, type Word, wordIndex } from './layout.ts';

/** The shard's side: sleeps on its own bell, rings the main thread's. */
export class ShardBell {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  readonly #wake: number;
  readonly #sleeping: number;

  constructor(memory: EngineMemory, arena: ArenaLayout) {
    this.#i32 = memory.i32;
    this.#wake = wordIndex(arena, WORD.wake);
    this.#sleeping = wordIndex(arena, WORD.sleeping);
  }

  /** Blocks the thread until rung, but no longer than `ms`, unless `isIdle` says that there is work. */
  sleep(ms: number, isIdle: () => boolean): void {
    const bell = Atomics.load(this.#i32, this.#wake);
    Atomics.store(this.#i32, this.#sleeping, 1);
    if (isIdle()) Atomics.wait(this.#i32, this.#wake, bell, ms);
    Atomics.store(this.#i32, this.#sleeping, 0);
  }

  ringMain(): void {
    // The first ringer lowers the flag: one ring is enough, and each costs what a message costs.
    if (Atomics.load(this.#i32, MAIN_WAITING >>> 2) === 0) return;
    if (Atomics.exchange(this.#i32, MAIN_WAITING >>> 2, 0) === 0) return;
    Atomics.add(this.#i32, MAIN_DOORBELL >>> 2, 1);
    Atomics.notify(this.#i32, MAIN_DOORBELL >>> 2);
  }
}

/** The main thread's side: awaits its own bell without blocking, rings a shard's. */
export class MainBell {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  #armed = false;

  constructor(memory: EngineMemory) {
    this.#i32 = memory.i32;
  }

  /**
   * Calls `onRing` once, in a later turn, after the next ring; at most one call is outstanding. The
   * caller looks for work after arming, since what was published before does not ring.
   */
  arm(onRing: () => void): void {
    if (this.#armed) return;
    this.#armed = true;
    const bell = Atomics.load(this.#i32, MAIN_DOORBELL >>> 2);
    Atomics.store(this.#i32, MAIN_WAITING >>> 2, 1);
    const wait = Atomics.waitAsync(this.#i32, MAIN_DOORBELL >>> 2, bell);
    const rung = (): void => {
      this.#armed = false;
      Atomics.store(this.#i32, MAIN_WAITING >>> 2, 0);
      onRing();
    };
    if (wait.async) void wait.value.then(rung);
    else queueMicrotask(rung);
  }

  /** Rings itself, so that a wait which nothing will end any more ends. */
  disarm(): void {
    Atomics.add(this.#i32, MAIN_DOORBELL >>> 2, 1);
    Atomics.notify(this.#i32, MAIN_DOORBELL >>> 2);
  }
}

/** Rings a shard (main thread). */
export function ringShard(memory: EngineMemory, arena: ArenaLayout): void {
  if (Atomics.load(memory.i32, wordIndex(arena, WORD.sleeping)) === 0) return;
  const wake = wordIndex(arena, WORD.wake);
  Atomics.add(memory.i32, wake, 1);
  Atomics.notify(memory.i32, wake);
}

/** One word of an arena, read and written atomically. Who may write which is said in `layout.ts`. */
export class ControlWords {
  readonly #i32: Int32Array<SharedArrayBuffer>;
  readonly #arena: ArenaLayout;

  constructor(memory: EngineMemory, arena: ArenaLayout) {
    this.#i32 = memory.i32;
    this.#arena = arena;
  }

  get(word: Word): number {
    return Atomics.load(this.#i32, wordIndex(this.#arena, word));
  }

  set(word: Word, value: number): void {
    Atomics.store(this.#i32, wordIndex(this.#arena, word), value);
  }
}
