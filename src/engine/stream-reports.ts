/**
 * What the shards and the store report of streams: a checkpoint is stored, is durable, a stream is forgotten. It is
 * noted in the central store, counted, and told to whoever waits for it or listens. Main thread only.
 */
import type { EventEmitter } from 'node:events';
import type { CentralStore } from '../store/central-store.ts';
import type { IndexedStream, SourceLow, StoredFrame } from '../store/stored-frame.ts';
import type { Durability } from './durability.ts';
import type { Forgets } from './forgets.ts';
import { type EngineEvents, emitSafely } from './metrics.ts';
import type { Quarantine } from './quarantine.ts';
import type { RoutedStream } from './router.ts';

export interface ReportPorts {
  readonly engine: EventEmitter<EngineEvents>;
  readonly central: CentralStore;
  readonly durability: Durability;
  readonly forgets: Forgets;
  readonly quarantine: Quarantine;
  /** Without a durable store, what is stored is as safe as it gets. */
  readonly hasStore: boolean;
}

export class StreamReports {
  readonly stored = { count: 0, bytes: 0 };
  readonly durable = { count: 0, bytes: 0 };
  readonly #ports: ReportPorts;

  constructor(ports: ReportPorts) {
    this.#ports = ports;
  }

  onStored(frame: StoredFrame, stream: RoutedStream): void {
    const { engine, central, durability, hasStore } = this.#ports;
    this.stored.count++;
    this.stored.bytes += frame.bytes;
    central.add(frame);
    if (!hasStore) durability.settle(stream, frame.seen);
    if (engine.listenerCount('checkpoint') > 0) emitSafely(engine, 'checkpoint', toldOf(frame));
  }

  /**
   * The first `seen` events of the stream are in frames that were published before; those of a stream that is given up
   * will not be durable, but forgotten.
   */
  onCovered(stream: RoutedStream, seen: number): void {
    if (stream.isGivenUp) return;
    const pending = stream.waiting ?? stream.writing;
    if (pending === undefined) this.#ports.durability.settle(stream, seen);
    else pending.seen = Math.max(pending.seen, seen);
  }

  onDurable(frames: readonly StoredFrame[], through: number): void {
    const { engine, durability } = this.#ports;
    const isHeard = engine.listenerCount('durable') > 0;
    for (const frame of frames) {
      this.durable.count++;
      this.durable.bytes += frame.bytes;
      durability.settle(frame.stream as RoutedStream, frame.seen);
      if (isHeard) emitSafely(engine, 'durable', toldOf(frame));
    }
    durability.settleThrough(through);
  }

  /** The shard has given up the stream; `lows` are those of its events that are in no frame. */
  onForgotten(stream: RoutedStream, lows: readonly SourceLow[]): void {
    const { central, hasStore } = this.#ports;
    central.forget(stream, lows);
    if (!hasStore) this.#settleForgotten(stream);
  }

  /** The store has forgotten the streams, too. */
  onForgottenInStore(streams: readonly IndexedStream[]): void {
    const { central, durability } = this.#ports;
    for (const stream of streams) this.#settleForgotten(stream as RoutedStream);
    durability.settleThrough(central.settledThrough);
  }

  #settleForgotten(stream: RoutedStream): void {
    this.#ports.durability.settleAll(stream);
    this.#ports.quarantine.onForgotten(stream);
    this.#ports.forgets.settle(stream);
  }
}

function toldOf({ stream, sequence, bytes }: StoredFrame): EngineEvents['durable'][0] {
  return { stream: stream.name, sequence, bytes };
}
