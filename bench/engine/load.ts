/**
 * What the engine suite pushes: a fixed sequence of events over many streams, and what the state of each
 * stream must be afterwards. The stream of each event is drawn at random with a fixed seed, so that
 * checkpoints are spread over time as in a service, not bunched.
 */
import type { Aggregate, Reading } from './operators.ts';
import type { FoundState } from './subject.ts';

export type LoadKind = 'slots' | 'large' | 'json';

export interface LoadPlan {
  readonly kind: LoadKind;
  readonly streams: number;
  readonly events: number;
  readonly payloadBytes: number;
}

/** An event that is used again for another one; the engine copies what it accepts. */
interface ReusedEvent {
  stream: string;
  payload: Uint8Array | string;
  readonly source: string;
  offset: number;
}

export type LoadEvent = Readonly<ReusedEvent>;

/** A stream's events: the numbers of their payloads, in order, and where its source goes on. */
interface StreamHistory {
  readonly payloads: number[];
  nextOffset: number;
}

const SEED = 0x7469_6465;
const BATCH_EVENTS = 1_000;
/** Different payloads; each stream's events go through them. */
const PAYLOADS = 64;
/**
 * Objects with these payloads, a multiple of their number. No two events of a batch share one: a clone of
 * a batch would copy the shared one once.
 */
const PAYLOAD_OBJECTS = 128 * PAYLOADS;
const KINDS = ['temperature', 'pressure', 'humidity', 'vibration'] as const;

export class Load {
  readonly plan: LoadPlan;
  readonly names: readonly string[];
  readonly #payloads: readonly (Uint8Array | string)[];
  /** Stream of each event, in push order. */
  readonly #order: Uint32Array;
  /** Events of each stream. */
  readonly #counts: Uint32Array;

  constructor(plan: LoadPlan) {
    this.plan = plan;
    this.names = Array.from({ length: plan.streams }, (_, i) => `${plan.kind}-${String(i).padStart(6, '0')}`);
    this.#payloads = Array.from({ length: PAYLOAD_OBJECTS }, (_, i) => makePayload(plan, i % PAYLOADS));
    this.#order = new Uint32Array(plan.events);
    this.#counts = new Uint32Array(plan.streams);
    let random = SEED;
    for (let i = 0; i < plan.events; i++) {
      // Xorshift: fast, and any order without a pattern will do.
      random ^= random << 13;
      random ^= random >>> 17;
      random ^= random << 5;
      const stream = (random >>> 0) % plan.streams;
      this.#order[i] = stream;
      this.#counts[stream]! += 1;
    }
  }

  /** The events in batches. The array and its events are used again for the next batch. */
  *batches(): Generator<readonly LoadEvent[], undefined> {
    const { events } = this.plan;
    const batch: ReusedEvent[] = Array.from({ length: BATCH_EVENTS }, () => ({
      stream: '',
      payload: '',
      source: 'bench',
      offset: 0,
    }));
    for (let first = 0; first < events; first += BATCH_EVENTS) {
      const count = Math.min(BATCH_EVENTS, events - first);
      for (let i = 0; i < count; i++) {
        const event = batch[i] as ReusedEvent;
        event.stream = this.names[this.#order[first + i] as number] as string;
        event.payload = this.#payloads[(first + i) % PAYLOAD_OBJECTS] as Uint8Array | string;
        event.offset = first + i;
      }
      yield count === BATCH_EVENTS ? batch : batch.slice(0, count);
    }
    return undefined;
  }

  /** Checkpoints that a cadence of `everyEvents` takes, and those left to be taken at the end. */
  checkpoints(everyEvents: number): { readonly due: number; readonly final: number } {
    let due = 0;
    let final = 0;
    for (const count of this.#counts) {
      due += Math.floor(count / everyEvents);
      if (count % everyEvents !== 0) final++;
    }
    return { due, final };
  }

  /** What has happened to the first `streams` streams. */
  historyOf(streams: number): StreamHistory[] {
    const histories = Array.from({ length: streams }, (): StreamHistory => ({ payloads: [], nextOffset: 0 }));
    for (const [i, stream] of this.#order.entries()) {
      const history = histories[stream];
      history?.payloads.push(i % PAYLOADS);
      if (history !== undefined) history.nextOffset = i + 1;
    }
    return histories;
  }
}

function makePayload(plan: LoadPlan, number: number): Uint8Array | string {
  if (plan.kind !== 'json') return new Uint8Array(plan.payloadBytes).fill(number);
  const reading: Reading = {
    sensor: `sensor-${number}`,
    kind: KINDS[number % KINDS.length] as string,
    value: number * 10,
    place: { latitude: 52.5 + number / 100, longitude: 13.4 },
    note: '',
  };
  const padding = plan.payloadBytes - JSON.stringify(reading).length;
  return JSON.stringify({ ...reading, note: 'n'.repeat(Math.max(0, padding)) });
}

/** What the operator of a case has made of its events, from the bytes that the engine keeps. */
export function readState(kind: LoadKind, bytes: Uint8Array): Pick<FoundState, 'count' | 'total'> {
  if (kind === 'json') return JSON.parse(Buffer.from(bytes).toString()) as Aggregate;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { count: view.getUint32(0, true), total: view.getUint32(4, true) };
}

/** @throws Error unless `found` is the state of a stream with this history */
export function requireState(kind: LoadKind, found: FoundState | undefined, history: StreamHistory): void {
  // The values of a JSON payload are ten times its number.
  const factor = kind === 'json' ? 10 : 1;
  const expected: FoundState = {
    events: history.payloads.length,
    nextOffset: history.nextOffset,
    count: history.payloads.length,
    total: history.payloads.reduce((sum, number) => sum + number * factor, 0),
  };
  for (const field of ['events', 'nextOffset', 'count', 'total'] as const) {
    if (found?.[field] === expected[field]) continue;
    throw new Error(`${field} of a stream is ${found?.[field]}, not ${expected[field]}`);
  }
}
