/**
 * The synchronous checkpoint store: for tests, and for programs that only need to survive an error, not
 * an exit. Each stream keeps its newest checkpoints, ascending by sequence, at most `maxPerStream`.
 */
import { u64 } from '../codec/u64.ts';
import { TidemarkError } from '../error.ts';
import { CheckpointState } from './state.ts';

export class InMemoryCheckpointStore {
  readonly maxPerStream: number;
  private readonly streams: Map<string, CheckpointState[]> = new Map();

  /** @throws ERR_TIDEMARK_INVALID_ARGUMENT unless `maxPerStream` is a safe integer of at least 1 */
  constructor(maxPerStream: number) {
    if (!Number.isSafeInteger(maxPerStream) || maxPerStream < 1) {
      throw new TidemarkError(
        'ERR_TIDEMARK_INVALID_ARGUMENT',
        `maxPerStream must be an integer of at least 1, got ${String(maxPerStream)}`,
      );
    }
    this.maxPerStream = maxPerStream;
  }

  /**
   * Keeps `state` itself, not a copy. It replaces the checkpoint of the same stream and sequence; beyond
   * `maxPerStream` the one with the lowest sequence goes, which can be `state`.
   */
  save(state: CheckpointState): void {
    if (!(state instanceof CheckpointState)) {
      throw new TidemarkError('ERR_TIDEMARK_INVALID_ARGUMENT', 'state must be a CheckpointState');
    }
    const { streamId, sequence } = state.id;
    const kept = this.streams.get(streamId) ?? [];
    const position = firstAtOrAfter(kept, sequence);
    const replaced = kept[position]?.id.sequence === sequence ? 1 : 0;
    kept.splice(position, replaced, state);
    if (kept.length > this.maxPerStream) kept.shift();
    this.streams.set(streamId, kept);
  }

  /** The checkpoint of `streamId` with the greatest sequence. */
  latest(streamId: string): CheckpointState | undefined {
    return this.streams.get(streamId)?.at(-1);
  }

  /** The checkpoints of `streamId`, ascending by sequence. */
  list(streamId: string): CheckpointState[] {
    return [...(this.streams.get(streamId) ?? [])];
  }

  /**
   * Removes the checkpoints of `streamId` whose sequence is less than `sequence`.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT unless `sequence` is an unsigned 64-bit integer
   */
  deleteBefore(streamId: string, sequence: bigint | number): void {
    const least = u64(sequence, 'sequence');
    const kept = this.streams.get(streamId);
    if (kept === undefined) return;
    kept.splice(0, firstAtOrAfter(kept, least));
    if (kept.length === 0) this.streams.delete(streamId);
  }

  /** Removes all checkpoints of `streamId`. */
  forget(streamId: string): void {
    this.streams.delete(streamId);
  }

  /** The streams that have checkpoints, in no particular order. */
  streamIds(): string[] {
    return [...this.streams.keys()];
  }

  /** How many checkpoints of `streamId` are kept. */
  checkpointCount(streamId: string): number {
    return this.streams.get(streamId)?.length ?? 0;
  }
}

/** Checkpoints nearly always arrive in order, so the search begins at the end. */
function firstAtOrAfter(ascending: readonly CheckpointState[], sequence: bigint): number {
  let position = ascending.length;
  while (position > 0 && (ascending[position - 1] as CheckpointState).id.sequence >= sequence) position--;
  return position;
}
