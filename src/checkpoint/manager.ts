/**
 * The synchronous driver: told of every event, it saves a checkpoint when one is due and knows where to
 * resume. It holds no operator state; an engine does. Each stream has a schedule of its own, so that a
 * stream far ahead does not keep the others from being checkpointed.
 */
import { u64 } from '../codec/u64.ts';
import { requireText } from '../codec/utf8.ts';
import { TidemarkError } from '../error.ts';
import { CheckpointId } from './id.ts';
import type { InMemoryCheckpointStore } from './in-memory-store.ts';
import { type CheckpointPolicy, dueTrigger } from './schedule.ts';
import { CheckpointState } from './state.ts';

export class CheckpointManager {
  readonly store: InMemoryCheckpointStore;
  private readonly policy: CheckpointPolicy;
  /** Sequence of the last checkpoint of each stream that had one. */
  private readonly lastSequences: Map<string, bigint> = new Map();
  private taken = 0n;

  /**
   * `checkpointInterval`: sequences from one checkpoint of a stream to the next; the first is due at the
   * interval itself.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT unless it is an unsigned 64-bit integer of at least 1
   */
  constructor(store: InMemoryCheckpointStore, checkpointInterval: bigint | number) {
    const everyEvents = u64(checkpointInterval, 'checkpointInterval');
    if (everyEvents === 0n) {
      throw new TidemarkError('ERR_TIDEMARK_INVALID_ARGUMENT', 'checkpointInterval must be at least 1');
    }
    this.store = store;
    this.policy = { everyEvents };
  }

  /** Checkpoints taken by this manager, of all streams. */
  get totalCheckpoints(): bigint {
    return this.taken;
  }

  /**
   * To be called after each event. Returns whether a checkpoint was saved; its event count is the
   * sequence.
   * @throws ERR_TIDEMARK_INVALID_ARGUMENT when `streamId` has an unpaired surrogate or a number is not an
   * unsigned 64-bit integer
   */
  onEvent(streamId: string, sequence: bigint | number, watermarkNs: bigint | number): boolean {
    requireText(streamId, 'stream id');
    const at = u64(sequence, 'sequence');
    const watermark = u64(watermarkNs, 'watermarkNs');
    const uncoveredEvents = at - (this.lastSequences.get(streamId) ?? 0n);
    if (dueTrigger(this.policy, { ...COUNT_ONLY, uncoveredEvents }, 0) === undefined) return false;
    const state = new CheckpointState(new CheckpointId(streamId, at));
    state.watermarkNs = watermark;
    state.eventCount = at;
    this.store.save(state);
    this.lastSequences.set(streamId, at);
    this.taken += 1n;
    return true;
  }

  /** The sequence after which to resume `streamId`, or undefined if it has no checkpoint. */
  recover(streamId: string): bigint | undefined {
    return this.store.latest(streamId)?.id.sequence;
  }
}

/** The interval counts events; time and bytes play no part in it. */
const COUNT_ONLY = {
  uncoveredBytes: 0,
  firstUncoveredAt: 0,
  lastEventAt: 0,
  lastCheckpointAt: Number.NEGATIVE_INFINITY,
  limitShare: 1,
} as const;
