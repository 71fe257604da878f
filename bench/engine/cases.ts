/** The cases of the engine suite: what is pushed, and how often a stream is checkpointed. */
import type { LoadPlan } from './load.ts';

export interface EngineCase {
  readonly name: string;
  readonly plan: LoadPlan;
  readonly everyEvents: number;
  /** Without checkpoints, only the engine's own cost of taking them is asked for. */
  readonly hasRivals: boolean;
}

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
    { name: 'ingest/json', plan: json, everyEvents: 100, hasRivals: true },
    { name: 'ingest/large-state', plan: large, everyEvents: 50, hasRivals: true },
  ];
}

export function findCase(name: string, isSmoke: boolean): EngineCase {
  const found = casesOf(isSmoke).find((each) => each.name === name);
  if (found === undefined) throw new Error(`no case is named '${name}'`);
  return found;
}
