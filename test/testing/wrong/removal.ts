/** Stores that remove wrongly. */
import type { CheckpointState } from '../../../src/checkpoint/state.ts';
import { U64_MAX } from '../../../src/codec/u64.ts';
import { TidemarkError } from '../../../src/error.ts';
import type { CommitBatch } from '../../../src/store/contract.ts';
import { type Place, perPlace, Store, type WrongStore, wrong } from './base.ts';

const deleted = perPlace<CheckpointState[]>(() => []);
const forgotten = perPlace<CheckpointState[]>(() => []);

/** Remembers what it removes. */
export class Archiving extends Store {
  override async deleteBefore(stream: string, sequence: bigint): Promise<void> {
    const { checkpoints } = this.place;
    deleted(this.place).push(...checkpoints.list(stream).filter(({ id }) => id.sequence < sequence));
    await super.deleteBefore(stream, sequence);
  }

  override async forget(stream: string): Promise<void> {
    forgotten(this.place).push(...this.place.checkpoints.list(stream));
    await super.forget(stream);
  }
}

function bringBackDeleted(place: Place): void {
  for (const state of deleted(place).splice(0)) place.checkpoints.save(state);
}

function bringBackForgotten(place: Place): void {
  for (const state of forgotten(place).splice(0)) {
    if (place.checkpoints.checkpointCount(state.id.streamId) === 0) place.checkpoints.save(state);
  }
}

export function bringBack(place: Place): void {
  bringBackDeleted(place);
  bringBackForgotten(place);
}

export const WRONG_REMOVAL: readonly WrongStore[] = [
  wrong(
    'deleteBefore removes the checkpoints below a sequence and leaves the others',
    'it removes the one at the sequence as well',
    class extends Store {
      override deleteBefore(stream: string, sequence: bigint): Promise<void> {
        const isThere = this.place.checkpoints.list(stream).some(({ id }) => id.sequence === sequence);
        return super.deleteBefore(stream, isThere ? sequence + 1n : sequence);
      }
    },
  ),
  wrong(
    'deleteBefore takes a sequence of which there is no checkpoint',
    'it takes sequence 0 for none, and removes everything',
    class extends Store {
      override deleteBefore(stream: string, sequence: bigint): Promise<void> {
        return super.deleteBefore(stream, sequence || U64_MAX);
      }
    },
  ),
  wrong(
    'deleteBefore above the newest checkpoint leaves nothing of the stream',
    'it still names the stream',
    class extends Store {
      readonly emptied: string[] = [];

      override async deleteBefore(stream: string, sequence: bigint): Promise<void> {
        await super.deleteBefore(stream, sequence);
        if (this.place.checkpoints.checkpointCount(stream) === 0) this.emptied.push(stream);
      }

      override async *streams(): AsyncGenerator<string, void> {
        yield* super.streams();
        yield* this.emptied;
      }
    },
  ),
  wrong(
    'what deleteBefore removed stays away when the store is opened again',
    'it removes from its index and not from its files',
    class extends Archiving {
      override async close(): Promise<void> {
        bringBackDeleted(this.place);
        await super.close();
      }
    },
  ),
  wrong(
    'deleteBefore does not reach checkpoints that are saved after it',
    'it keeps a tombstone that covers whatever is below it',
    class extends Store {
      readonly tombstones = new Map<string, bigint>();

      override async deleteBefore(stream: string, sequence: bigint): Promise<void> {
        await super.deleteBefore(stream, sequence);
        this.tombstones.set(stream, sequence);
      }

      override async commit(batch: CommitBatch): Promise<void> {
        const isBuried = (stream: string, sequence: bigint): boolean =>
          sequence < (this.tombstones.get(stream) ?? 0n);
        const frames = batch.frames.filter(({ stream, sequence }) => !isBuried(stream, sequence));
        await super.commit({ ...batch, frames });
      }
    },
  ),
  wrong(
    'forget removes everything about a stream and nothing about others',
    'it removes what is below the greatest sequence',
    class extends Store {
      override forget(stream: string): Promise<void> {
        return super.deleteBefore(stream, U64_MAX);
      }
    },
  ),
  wrong(
    'what was forgotten stays forgotten when the store is opened again',
    'it forgets in its index and not in its files',
    class extends Archiving {
      override async close(): Promise<void> {
        bringBackForgotten(this.place);
        await super.close();
      }
    },
  ),
  wrong(
    'a name that was forgotten is as good as new, for lower sequences too',
    'it remembers how far a forgotten stream was, and takes what is below it for duplicates',
    class extends Store {
      readonly reached = new Map<string, bigint>();

      override async forget(stream: string): Promise<void> {
        this.reached.set(stream, this.place.checkpoints.latest(stream)?.id.sequence ?? 0n);
        await super.forget(stream);
      }

      override async commit(batch: CommitBatch): Promise<void> {
        const frames = batch.frames.filter(
          ({ stream, sequence }) => sequence > (this.reached.get(stream) ?? -1n),
        );
        await super.commit({ ...batch, frames });
      }
    },
  ),
  wrong(
    'removing what is not there is no error',
    'it refuses to forget a stream that it does not have',
    class extends Store {
      override async forget(stream: string): Promise<void> {
        if (this.place.checkpoints.checkpointCount(stream) === 0) {
          throw new TidemarkError('ERR_TIDEMARK_NOT_FOUND', stream);
        }
        await super.forget(stream);
      }
    },
  ),
];
