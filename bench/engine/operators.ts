/**
 * The operators of the engine suite; runs on the shards. The part of a stream's name before the dash
 * says which case it belongs to. What they do to a state is shared with the subjects written by hand.
 */
import type { HeapOperator, Operator, SlotOperator } from '../../src/index.ts';

export const LARGE_SLOT_BYTES = 65_536;
/** A large slot is written to in this many places in turn. */
const LARGE_STEP_BYTES = 64;

/** u32 events, u32 sum of the payloads' first bytes. */
const counter: SlotOperator = {
  kind: 'slot',
  name: 'counter',
  version: 1,
  bytes: 8,
  process(event, slot) {
    slot.view.setUint32(0, slot.view.getUint32(0, true) + 1, true);
    slot.view.setUint32(4, slot.view.getUint32(4, true) + (event.payload[0] as number), true);
  },
};

/** As the counter, and every event leaves its number somewhere else in the slot. */
const large: SlotOperator = {
  kind: 'slot',
  name: 'large',
  version: 1,
  bytes: LARGE_SLOT_BYTES,
  process(event, slot) {
    stepLarge(slot.view, event.payload[0] as number);
  },
};

export function stepLarge(view: DataView, first: number): void {
  const count = view.getUint32(0, true) + 1;
  view.setUint32(0, count, true);
  view.setUint32(4, view.getUint32(4, true) + first, true);
  view.setUint32(8 + ((count * LARGE_STEP_BYTES) % (LARGE_SLOT_BYTES - 16)), count, true);
}

/** What the payloads of `ingest/json` say. */
export interface Reading {
  readonly sensor: string;
  readonly kind: string;
  readonly value: number;
  readonly place: { readonly latitude: number; readonly longitude: number };
  readonly note: string;
}

/** Its stream is set aside at its first event. */
const poison: SlotOperator = {
  kind: 'slot',
  name: 'poison',
  version: 1,
  bytes: 8,
  process() {
    throw new Error('on purpose');
  },
};

export interface Aggregate {
  count: number;
  total: number;
  greatest: number;
  byKind: Record<string, number>;
}

const aggregate: HeapOperator<Aggregate> = {
  kind: 'heap',
  name: 'aggregate',
  version: 1,
  create: newAggregate,
  process: (event, state) => addReading(state, JSON.parse(event.text()) as Reading),
  snapshot(state) {
    // Kinds in the order of their names: equal states are to give equal bytes.
    const byKind = Object.entries(state.byKind).sort(([a], [b]) => (a < b ? -1 : 1));
    return Buffer.from(JSON.stringify({ ...state, byKind: Object.fromEntries(byKind) }));
  },
  restore: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as Aggregate,
};

export function newAggregate(): Aggregate {
  return { count: 0, total: 0, greatest: 0, byKind: {} };
}

export function addReading(state: Aggregate, reading: Reading): void {
  state.count++;
  state.total += reading.value;
  state.greatest = Math.max(state.greatest, reading.value);
  state.byKind[reading.kind] = (state.byKind[reading.kind] ?? 0) + 1;
}

const OPERATORS: Readonly<Record<string, readonly Operator[]>> = {
  slots: [counter],
  large: [large],
  json: [aggregate],
  poison: [poison],
};

export default function operatorsOf(stream: string): readonly Operator[] {
  return OPERATORS[stream.slice(0, stream.indexOf('-'))] ?? [];
}
