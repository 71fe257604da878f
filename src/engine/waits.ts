/**
 * What callers of the engine wait for: that events are accepted or durable, that checkpoints are taken, that streams are
 * forgotten. All of it settles: when it has happened, when the engine fails, or when the store has been full for too
 * long. What takes several steps is one wait: each step counts from when the call began, or a full store could keep
 * a caller waiting once for each of them. Main thread only.
 */
import { type Clock, systemClock } from '../clock.ts';
import { TidemarkError } from '../error.ts';
import type { CentralStore } from '../store/central-store.ts';
import type { Aside } from './aside.ts';
import type { CheckpointRequests } from './checkpoint-requests.ts';
import type { CommitPipeline } from './commit-pipeline.ts';
import type { Durability } from './durability.ts';
import type { EngineState } from './engine-state.ts';
import type { Event } from './event.ts';
import type { Forgets } from './forgets.ts';
import type { CheckedBatch, Ingest } from './ingest.ts';
import { quarantined } from './quarantine.ts';
import { HELD_OUT, type Marks } from './queued-push.ts';
import type { RoutedStream } from './router.ts';

export interface WaitsPorts {
  readonly state: EngineState;
  readonly ingest: Ingest;
  readonly requests: CheckpointRequests;
  readonly durability: Durability;
  readonly forgets: Forgets;
  readonly central: CentralStore;
  readonly commits: CommitPipeline | undefined;
  readonly clock?: Clock;
}

export class Waits {
  readonly #ports: WaitsPorts;
  readonly #clock: Clock;

  constructor(ports: WaitsPorts) {
    this.#ports = ports;
    this.#clock = ports.clock ?? systemClock;
  }

  async untilAccepted(batch: CheckedBatch, isDurable: boolean): Promise<void> {
    const { ingest, state } = this.#ports;
    const marks: Marks | undefined = isDurable ? new Map() : undefined;
    const count = batch.events.length;
    const since = this.#clock.now();
    await ingest.accept(batch, marks, (accepted) => state.rejection(accepted));
    if (marks === undefined) return;
    try {
      await this.#untilSettled(marks, since);
    } catch (error) {
      if (error instanceof TidemarkError) error.accepted = count;
      throw error;
    }
  }

  async untilCheckpointed(stream: RoutedStream): Promise<void> {
    const { commits, durability, ingest, state } = this.#ports;
    const since = this.#clock.now();
    if (stream.aside === undefined) {
      const marks: Marks = new Map();
      await ingest.requestCheckpoint(stream, marks, () => state.rejection());
      try {
        await this.#untilSettled(marks, since);
      } catch (error) {
        // Then what it was before that is to be durable.
        if ((error as TidemarkError).code !== 'ERR_TIDEMARK_QUARANTINED') throw error;
      }
    }
    if (stream.aside !== undefined) await durability.untilSettled(stream, stream.aside.seen, since);
    await commits?.commitFrontiers(since);
    state.requireAlive();
  }

  async untilAllCheckpointed(): Promise<void> {
    const { central, commits, durability, ingest, requests, state } = this.#ports;
    const since = this.#clock.now();
    // Behind whatever still waits for room.
    await ingest.accept({ events: [], streams: [] }, undefined, () => state.rejection());
    // What fails between these steps has rejected who waited then; nobody would reject who waits later.
    state.requireAlive();
    await requests.request(since);
    state.requireAlive();
    if (commits === undefined) return;
    const settled = durability.untilThrough(central.enqueued, since);
    commits.kick();
    await settled;
    await commits.commitFrontiers(since);
    state.requireAlive();
  }

  /** To be called in the turn in which the stream was detached. */
  async untilForgotten(stream: RoutedStream): Promise<void> {
    const { forgets, ingest, state } = this.#ports;
    const forgotten = forgets.begin(stream);
    const isWritten = ingest.requestForget(stream, () => state.rejection());
    await Promise.all([isWritten, forgotten]);
  }

  /**
   * A stream that was set aside goes on without what is `givenUp`, and with what `take` returns when it does. Resolves
   * when that is durable; calls `onDurable` when it is, also if the store has been full for too long before. If the stream
   * is set aside anew, that is once what came before is durable; what is held out then has pins of its own.
   */
  async untilResumed(
    stream: RoutedStream,
    take: () => readonly Event[],
    givenUp: readonly string[],
    onDurable: () => void,
  ): Promise<void> {
    const { commits, ingest, state } = this.#ports;
    const marks: Marks = new Map();
    const since = this.#clock.now();
    await ingest.requestResume(stream, take, givenUp, marks, () => state.rejection());
    const released = this.#untilReleased(stream, marks.get(stream) as number);
    // It is rejected only when nothing counts any more.
    released.then(onDurable, onDurable);
    await this.#untilSettled(marks, since);
    await released;
    await commits?.commitFrontiers(since);
    state.requireAlive();
  }

  /** Nobody waits for it: a shard that never knows says once more what is delivered, which is at least once. */
  tellDelivered(stream: RoutedStream, sequence: string): void {
    const { ingest, state } = this.#ports;
    if (state.phase === 'closed' || state.phase === 'failed') return;
    ingest.requestDelivered(stream, sequence, () => state.rejection()).catch(() => undefined);
  }

  /** The engine has failed. */
  failAll(): void {
    const { durability, forgets, ingest, requests, state } = this.#ports;
    const reason = (): Error => state.rejection();
    ingest.failAll();
    durability.failAll(reason);
    requests.failAll(reason);
    forgets.failAll(reason);
  }

  /** The store has been full for too long: rejects who has waited since `before`, or longer. */
  failLate(reason: () => TidemarkError, before: number): void {
    const { commits, durability, forgets, ingest, requests } = this.#ports;
    ingest.failLate(reason, before);
    durability.failLate(reason, before);
    requests.failLate(reason, before);
    forgets.failLate(reason, before);
    commits?.failLate(reason, before);
  }

  /** As `untilResumed` says of `onDurable`; not limited in time. */
  async #untilReleased(stream: RoutedStream, pushed: number): Promise<void> {
    const { durability } = this.#ports;
    if (pushed !== HELD_OUT) {
      try {
        await durability.untilSettled(stream, pushed, Number.POSITIVE_INFINITY);
        return;
      } catch (error) {
        if ((error as TidemarkError).code !== 'ERR_TIDEMARK_QUARANTINED') throw error;
      }
    }
    // Of its events before that, which were out of the order of their source, a shard that was taken over may have told
    // too high lows.
    const { seen } = stream.lastAside as Aside;
    await durability.untilSettled(stream, seen, Number.POSITIVE_INFINITY);
  }

  async #untilSettled(marks: Marks, since: number): Promise<void> {
    const { commits, durability, state } = this.#ports;
    state.requireAlive();
    const settled = [...marks].map(([stream, pushed]) => {
      // It may have gone on since, with what was held out among what is pushed to it: that has other numbers now.
      const aside = stream.aside ?? (pushed === HELD_OUT ? stream.lastAside : undefined);
      if (aside !== undefined && pushed > aside.seen) return Promise.reject(quarantined(stream.name, aside));
      return durability.untilSettled(stream, pushed, since);
    });
    commits?.kick();
    await Promise.all(settled);
  }
}
