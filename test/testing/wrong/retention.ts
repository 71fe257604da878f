/** Stores that keep too little, and stores that are full in a wrong way. */
import { TidemarkError } from '../../../src/error.ts';
import type { CommitBatch, StoreContents } from '../../../src/store/contract.ts';
import { type Place, perPlace, Store, type WrongStore, wrong } from './base.ts';

const lastCommits = perPlace(() => new Map<string, number>());
const commits = perPlace(() => ({ count: 0 }));
const everCommitted = perPlace(() => new Map<string, number>());

export const WRONG_RETENTION: readonly WrongStore[] = [
  wrong(
    'of each stream at least the newest checkpoints are kept, as many as the store promises',
    'it finds only the newest ones when it is opened',
    class extends Store {
      override async open(): Promise<StoreContents> {
        const { checkpoints } = this.place;
        for (const stream of checkpoints.streamIds()) {
          checkpoints.deleteBefore(stream, checkpoints.latest(stream)?.id.sequence ?? 0n);
        }
        return super.open();
      }
    },
  ),
  wrong(
    'the checkpoint of a quiet stream stays, however many commits go to others',
    'it drops files that no commit has touched for long',
    class extends Store {
      override async commit(batch: CommitBatch): Promise<void> {
        await super.commit(batch);
        const now = ++commits(this.place).count;
        const touched = lastCommits(this.place);
        for (const { stream } of batch.frames) touched.set(stream, now);
        for (const [stream, at] of touched) if (at < now - 290) this.place.checkpoints.forget(stream);
      }
    },
  ),
  wrong(
    'a full store refuses commits, which may be tried again',
    'it says that it has failed',
    class extends Store {
      override requireRoom(batch: CommitBatch): void {
        try {
          super.requireRoom(batch);
        } catch (cause) {
          throw new TidemarkError('ERR_TIDEMARK_STORE_FAILED', 'no space left', { cause });
        }
      }
    },
  ),
  wrong(
    'a full store loses nothing that was durable, and keeps nothing of what it refuses',
    'it makes room at the cost of the oldest stream, and refuses all the same',
    class extends Store {
      override requireRoom(batch: CommitBatch): void {
        try {
          super.requireRoom(batch);
        } catch (error) {
          this.place.checkpoints.forget(this.place.checkpoints.streamIds()[0]!);
          throw error;
        }
      }
    },
  ),
  wrong(
    'the frontiers of a commit that is refused do not count',
    'it takes over the frontiers before it looks for room',
    class extends Store {
      override requireRoom(batch: CommitBatch): void {
        this.place.frontiers = batch.frontiers;
        super.requireRoom(batch);
      }
    },
  ),
  wrong(
    'a full store takes commits again once streams are forgotten',
    'it does not give back the room of a stream that it forgets',
    class extends Store {
      override async forget(stream: string): Promise<void> {
        this.place.leaked += this.place.sizes.get(stream) ?? 0;
        await super.forget(stream);
      }
    },
  ),
  wrong(
    'a full store takes commits again once checkpoints are deleted',
    'it does not give back the room of checkpoints that it deletes',
    class extends Store {
      override async deleteBefore(stream: string, sequence: bigint): Promise<void> {
        const before = this.place.bytesUsed;
        await super.deleteBefore(stream, sequence);
        this.place.leaked += before - this.place.bytesUsed;
      }
    },
  ),
  wrong(
    'older checkpoints give way to newer ones, so what the newest have room for is never refused',
    'it gives back the room of a stream only when it is removed',
    class extends Store {
      override async commit(batch: CommitBatch): Promise<void> {
        await super.commit(batch);
        const bytesOf = everCommitted(this.place);
        for (const { stream, bytes } of batch.frames) {
          bytesOf.set(stream, (bytesOf.get(stream) ?? 0) + bytes.length);
        }
        this.account(this.place);
      }

      override async forget(stream: string): Promise<void> {
        everCommitted(this.place).delete(stream);
        await super.forget(stream);
        this.account(this.place);
      }

      override async deleteBefore(stream: string, sequence: bigint): Promise<void> {
        everCommitted(this.place).delete(stream);
        await super.deleteBefore(stream, sequence);
        this.account(this.place);
      }

      /** All that was ever committed to streams that are there counts as used. */
      private account(place: Place): void {
        place.leaked = 0;
        const used = [...everCommitted(place).values()].reduce((sum, bytes) => sum + bytes, 0);
        place.leaked = used - place.bytesUsed;
      }
    },
  ),
];
