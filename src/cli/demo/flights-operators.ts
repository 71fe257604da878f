/** The operators of the demo; runs on the shards. */
import type { HeapOperator, Operator, OperatorEvent, Slot, SlotOperator } from '../../shard/operator.ts';
import { readDelay, readDestinationKey } from './flight.ts';

export const DELAY_STATS = 'delay-stats';
export const DESTINATIONS = 'destinations';

/** f64 sum of the delays (whole minutes, so exact) | u32 flights | i32 greatest delay | i32 least delay */
const STATS_BYTES = 20;
const SUM = 0;
const FLIGHTS = 8;
const GREATEST = 12;
const LEAST = 16;

const delayStats: SlotOperator = {
  kind: 'slot',
  name: DELAY_STATS,
  version: 1,
  bytes: STATS_BYTES,
  process(event: OperatorEvent, { view }: Slot): void {
    const delay = readDelay(event.payload);
    const flights = view.getUint32(FLIGHTS, true);
    view.setFloat64(SUM, view.getFloat64(SUM, true) + delay, true);
    view.setUint32(FLIGHTS, flights + 1, true);
    if (flights === 0 || delay > view.getInt32(GREATEST, true)) view.setInt32(GREATEST, delay, true);
    if (flights === 0 || delay < view.getInt32(LEAST, true)) view.setInt32(LEAST, delay, true);
  },
};

/** Flights by destination; a snapshot is u24 key and u32 count of each, ascending by key. */
const ENTRY_BYTES = 7;

const destinations: HeapOperator<Map<number, number>> = {
  kind: 'heap',
  name: DESTINATIONS,
  version: 1,
  create: () => new Map(),
  process(event: OperatorEvent, counts: Map<number, number>): void {
    const key = readDestinationKey(event.payload);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  },
  // Sorted, because a Map remembers the order of first flights and a restored one would not.
  snapshot(counts: Map<number, number>): Uint8Array {
    const bytes = new Uint8Array(counts.size * ENTRY_BYTES);
    const view = new DataView(bytes.buffer);
    let offset = 0;
    for (const key of Uint32Array.from(counts.keys()).sort()) {
      view.setUint8(offset, key >>> 16);
      view.setUint16(offset + 1, key & 0xffff);
      view.setUint32(offset + 3, counts.get(key)!, true);
      offset += ENTRY_BYTES;
    }
    return bytes;
  },
  restore: (bytes: Uint8Array) => readDestinations(bytes),
};

export interface DelayStats {
  readonly flights: number;
  readonly sum: number;
  readonly greatest: number;
  readonly least: number;
}

export function readDelayStats(bytes: Uint8Array): DelayStats {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    flights: view.getUint32(FLIGHTS, true),
    sum: view.getFloat64(SUM, true),
    greatest: view.getInt32(GREATEST, true),
    least: view.getInt32(LEAST, true),
  };
}

/** Flights by the key of their destination. */
export function readDestinations(bytes: Uint8Array): Map<number, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const counts = new Map<number, number>();
  for (let offset = 0; offset < bytes.byteLength; offset += ENTRY_BYTES) {
    const key = (view.getUint8(offset) << 16) | view.getUint16(offset + 1);
    counts.set(key, view.getUint32(offset + 3, true));
  }
  return counts;
}

const operators: readonly Operator[] = [delayStats, destinations];

export default function flightsOperators(): readonly Operator[] {
  return operators;
}
