/** The summary of a run: the object that `--json` prints, and its text. */
import type { QuarantinedStream } from '../engine/quarantine.ts';
import { formatBytes, formatCount, printable, withCause } from './output.ts';

export interface RunSummary {
  /** Sum of the streams' final eventCount, over all lives. */
  readonly events: number;
  readonly streams: number;
  readonly shards: number;
  /** Checkpoints taken in this run, and those of them that became durable. */
  readonly checkpoints: number;
  readonly durable: number;
  readonly resumed: boolean;
  /** The position that was read from. */
  readonly resumedFrom: string | null;
  /** Offsets that this run passed over because the source no longer had them; `to` is the first that it read. */
  readonly skipped: { readonly from: string; readonly to: string } | null;
  /** Streams that are set aside at an event that fails each time. */
  readonly quarantined: readonly {
    readonly stream: string;
    readonly sequence: string;
    readonly offset: string | null;
    readonly error: string;
  }[];
  /** Events applied and duplicates dropped in this run. */
  readonly applied: number;
  readonly dropped: number;
  /** Events of this run at offsets that an earlier life is known to have reached. */
  readonly replayed: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  readonly checkpointsPerSecond: number;
  readonly checkpointBytesPerSecond: number;
  readonly eventLoopDelayP99Ms: number;
  readonly stateDigest: string;
}

export interface RunCounts {
  readonly events: bigint;
  readonly streams: number;
  readonly shards: number;
  readonly checkpoints: number;
  readonly checkpointBytes: number;
  readonly durable: number;
  readonly resumed: boolean;
  readonly resumedFrom: bigint | undefined;
  readonly skipped: { readonly from: bigint; readonly to: bigint } | undefined;
  readonly quarantined: readonly QuarantinedStream[];
  readonly applied: number;
  readonly dropped: number;
  readonly replayed: number;
  readonly seconds: number;
  readonly eventLoopDelayP99Ms: number;
  readonly stateDigest: string;
}

export function summarize(counts: RunCounts): RunSummary {
  const { seconds } = counts;
  const perSecond = (value: number): number => (seconds > 0 ? Math.round(value / seconds) : 0);
  return {
    events: Number(counts.events),
    streams: counts.streams,
    shards: counts.shards,
    checkpoints: counts.checkpoints,
    durable: counts.durable,
    resumed: counts.resumed,
    resumedFrom: counts.resumedFrom === undefined ? null : String(counts.resumedFrom),
    skipped:
      counts.skipped === undefined
        ? null
        : { from: String(counts.skipped.from), to: String(counts.skipped.to) },
    quarantined: counts.quarantined.map(({ stream, sequence, offset, error }) => ({
      stream,
      sequence: String(sequence),
      offset: offset === undefined ? null : String(offset),
      error: withCause(error),
    })),
    applied: counts.applied,
    dropped: counts.dropped,
    replayed: counts.replayed,
    seconds: round(seconds, 3),
    eventsPerSecond: perSecond(counts.applied),
    checkpointsPerSecond: perSecond(counts.checkpoints),
    checkpointBytesPerSecond: perSecond(counts.checkpointBytes),
    eventLoopDelayP99Ms: round(counts.eventLoopDelayP99Ms, 2),
    stateDigest: counts.stateDigest,
  };
}

export function formatSummary(summary: RunSummary): string {
  const shards = summary.shards === 1 ? '1 shard' : `${summary.shards} shards`;
  const lines = [
    `events        ${formatCount(summary.events)} in ${formatCount(summary.streams)} streams on ${shards}`,
    `this run      ${formatCount(summary.applied)} applied, ${formatCount(summary.replayed)} replayed, ` +
      `${formatCount(summary.dropped)} duplicates dropped`,
    `checkpoints   ${formatCount(summary.checkpoints)} taken, ${formatCount(summary.durable)} made durable`,
    `speed         ${formatCount(summary.eventsPerSecond)} events/s, ` +
      `${formatCount(summary.checkpointsPerSecond)} checkpoints/s, ` +
      `${formatBytes(summary.checkpointBytesPerSecond)}/s, ${summary.seconds} s`,
    ...summary.quarantined.map(
      ({ stream, sequence, error }) =>
        `set aside     ${printable(stream)} at sequence ${sequence}: ${printable(error)}`,
    ),
    `event loop    p99 delay ${summary.eventLoopDelayP99Ms} ms`,
    `state digest  ${summary.stateDigest}`,
  ];
  return `${lines.join('\n')}\n`;
}

function round(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
