/**
 * Shards come back. A thread that exits, throws outside of an operator, runs out of memory, or is ended because an
 * operator does not return is followed by another one, which takes over what it left; producers notice a pause.
 *
 * One after the other, each only when the one before is done: wait until the thread is gone, since one that dies may
 * still write; read what it published; put the handover together; start.
 *
 * What the shard itself tells - a state that does not fit, no memory - would come again, and fails the engine. So does
 * a thread that dies `attemptsMax` times without having got further, unless it is at an event: that is poison, and
 * the next thread is told not to try it, and may die as often before it has given the event up: on a machine that is
 * too busy, the watchdog takes a thread that gets no processor for one that is held up. Main thread only.
 */
import { systemClock } from '../clock.ts';
import type { TidemarkError } from '../error.ts';
import { RECORD } from '../memory/ingest-ring.ts';
import type { PoisonPolicy } from '../shard/task.ts';
import type { CompletionReader } from './completion-reader.ts';
import { type LeftBehindPorts, leftBehind } from './handover.ts';
import type { RestartEvent } from './metrics.ts';
import type { ShardHandle, ShardParts, ThreadEnd } from './shard-handle.ts';

/** Entries of a completion ring that are read at a time. */
const COMPLETIONS_MAX = 8_192;

export interface SupervisorPorts extends LeftBehindPorts {
  readonly parts: ShardParts;
  readonly completions: CompletionReader;
  readonly attemptsMax: number;
  readonly onPoison: PoisonPolicy['onPoison'];
  /** The engine is open, or closing. */
  readonly isAlive: () => boolean;
  readonly onRestart: (restart: RestartEvent) => void;
  readonly onError: (error: unknown) => void;
}

interface Restart {
  readonly began: number;
  readonly cause: TidemarkError;
  streams: number;
  replayed: number;
}

/** Where a shard's threads died last, and how many of them in a row did there. */
interface Deaths {
  readonly position: number | undefined;
  readonly count: number;
}

/** A thread that has held out for so many milliseconds did not die of how it began, if no record was under way. */
const HELD_OUT_MS = 1_000;

export class Supervisor {
  readonly #ports: SupervisorPorts;
  readonly #underWay = new Map<ShardHandle, Restart>();
  readonly #deaths = new Map<ShardHandle, Deaths>();
  readonly #readyAt = new Map<ShardHandle, number>();

  constructor(ports: SupervisorPorts) {
    this.#ports = ports;
  }

  onEnd(shard: ShardHandle, { error, isTold }: ThreadEnd): void {
    const { attemptsMax, isAlive, onError } = this.#ports;
    if (!isAlive() || isTold) {
      onError(error);
      return;
    }
    const deaths = this.#countDeath(shard);
    if (deaths < attemptsMax || this.#isPoison(shard, deaths, error)) void this.#restart(shard, error);
    else onError(error);
  }

  /** Whether it is an event that ends threads, which the next one is not to try. */
  #isPoison(shard: ShardHandle, attempts: number, cause: TidemarkError): boolean {
    const position = shard.currentPosition;
    if (this.#ports.onPoison === 'fail' || position === undefined) return false;
    // What one that has not tried it dies of is not the event.
    if (shard.recordAt(position).kind !== RECORD.event || shard.faults.has(position)) return false;
    shard.faults.set(position, { attempts, cause });
    // The threads that give it up have another task, and as many lives for it.
    this.#deaths.set(shard, { position: shard.readPosition, count: 0 });
    return true;
  }

  /** An operator of the shard does not return: its thread is ended. */
  onStuck(shard: ShardHandle, error: TidemarkError): void {
    if (!shard.isReady) return;
    shard.isReady = false;
    this.onEnd(shard, { error, isTold: false });
  }

  /** The shard has taken over, and begins to read. */
  onReady(shard: ShardHandle): void {
    shard.isReady = true;
    shard.hasBeenReady = true;
    this.#readyAt.set(shard, systemClock.now());
    const restart = this.#underWay.get(shard);
    if (restart === undefined) return;
    this.#underWay.delete(shard);
    const { began, cause, streams, replayed } = restart;
    this.#ports.onRestart({ shard: shard.index, cause, streams, replayed, ms: systemClock.now() - began });
  }

  #countDeath(shard: ShardHandle): number {
    const position = shard.readPosition;
    const last = this.#deaths.get(shard);
    const heldOut = systemClock.now() - (this.#readyAt.get(shard) ?? 0) >= HELD_OUT_MS;
    const isAgain = last?.position === position && !(heldOut && shard.currentPosition === undefined);
    const count = isAgain ? (last?.count ?? 0) + 1 : 1;
    this.#deaths.set(shard, { position, count });
    return count;
  }

  async #restart(shard: ShardHandle, cause: TidemarkError): Promise<void> {
    const { completions, isAlive, onError, parts } = this.#ports;
    const began = this.#underWay.get(shard)?.began ?? systemClock.now();
    const restart: Restart = { began, cause, streams: 0, replayed: 0 };
    this.#underWay.set(shard, restart);
    try {
      await shard.endThread();
      while (completions.drain(shard, COMPLETIONS_MAX) > 0);
      completions.takeOver(shard);
      const { handover, replayed } = await leftBehind(shard, this.#ports);
      if (!isAlive() || shard.isStopping) return;
      restart.replayed = replayed;
      restart.streams = handover.streams.names.filter((name) => name !== undefined).length;
      shard.start(parts, handover, (end) => this.onEnd(shard, end));
    } catch (error) {
      onError(error);
    }
  }
}
