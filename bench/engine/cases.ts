/** The cases of the engine suite: what is pushed, and how often a stream is checkpointed. */
import type { LoadPlan } from './load.ts';
import { LARGE_SLOT_BYTES } from './operators.ts';

export interface EngineCase {
  readonly name: string;
  readonly plan: LoadPlan;
  readonly everyEvents: number;
  /** Without checkpoints, only the engine's own cost of taking them is asked for. */
  readonly hasRivals: boolean;
  /** Events are pushed at this rate; undefined: as fast as they are taken. */
  readonly eventsPerSecond?: number;
  /** What comes before the measurement, of a case that is about the time after the start. */
  readonly warmUpEvents?: number;
  /** Of a subject that has rings, where the default is not the best. */
  readonly ringBytes?: number;
  /** One more stream is set aside before the measurement, at an event that fails. */
  readonly hasQuarantined?: boolean;
}

const SAVED_BYTES_PER_SECOND = 200e6;
/** More events than any stream gets. */
const NEVER = Number.MAX_SAFE_INTEGER;

export function casesOf(isSmoke: boolean): EngineCase[] {
  const streams = isSmoke ? 100 : 10_000;
  const slots: LoadPlan = { kind: 'slots', streams, events: streams * 1_100, payloadBytes: 100 };
  const json: LoadPlan = { kind: 'json', streams, events: streams * 200, payloadBytes: 200 };
  const large: LoadPlan = isSmoke
    ? { kind: 'large', streams: 20, events: 4_000, payloadBytes: 100 }
    : { kind: 'large', streams: 1_000, events: 400_000, payloadBytes: 100 };
  return [
    { name: 'ingest/slots', plan: slots, everyEvents: 1_000, hasRivals: true },
    { name: 'ingest/no-checkpoints', plan: slots, everyEvents: NEVER, hasRivals: false },
    { name: 'ingest/quarantined', plan: slots, everyEvents: 1_000, hasRivals: false, hasQuarantined: true },
    { name: 'ingest/json', plan: json, everyEvents: 100, hasRivals: true, ringBytes: 2 ** 26 },
    { name: 'ingest/large-state', plan: large, everyEvents: 50, hasRivals: true },
    savesAt(SAVED_BYTES_PER_SECOND, large),
  ];
}

/** Slots of 64 KiB at a pace at which so many bytes a second are to become durable, for a few seconds. */
function savesAt(bytesPerSecond: number, { kind, payloadBytes, ...large }: LoadPlan): EngineCase {
  const everyEvents = 50;
  const eventsPerSecond = Math.round((bytesPerSecond / LARGE_SLOT_BYTES) * everyEvents);
  const streams = large.streams;
  const events = large.streams < 1_000 ? large.events : 4 * eventsPerSecond;
  return {
    name: `saves/${bytesPerSecond / 1e6}MBps`,
    plan: { kind, streams, events, payloadBytes },
    everyEvents,
    hasRivals: false,
    eventsPerSecond,
    // Every stream is known by then, and most are about to be saved for the first time.
    warmUpEvents: streams * (everyEvents - 10),
  };
}

export function findCase(name: string, isSmoke: boolean): EngineCase {
  const found = casesOf(isSmoke).find((each) => each.name === name);
  if (found === undefined) throw new Error(`no case is named '${name}'`);
  return found;
}
