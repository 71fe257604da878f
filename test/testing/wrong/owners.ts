/** Stores that let the wrong one write, or keep the right one from writing. */
import type { CommitBatch, StoreContents } from '../../../src/store/contract.ts';
import { LOCKING, LockingStore, perPlace, Store, turn, type WrongStore, wrong } from './base.ts';

const lastWriter = perPlace(() => ({ generation: 0n }));
const lease = perPlace(() => ({ isHeld: false }));

export const WRONG_OWNERS: readonly WrongStore[] = [
  wrong(
    'a batch of an earlier generation is refused, and nothing of it is kept',
    'it compares its own generation only, not that of the batch',
    class extends Store {
      override commit(batch: CommitBatch): Promise<void> {
        return super.commit({ ...batch, generation: this['generation'] });
      }
    },
  ),
  wrong(
    'a second opener is refused, and the first one goes on',
    'a refused opening takes the next generation all the same',
    class extends LockingStore {
      override async open(): Promise<StoreContents> {
        if (LockingStore.holders.has(this.place)) this.place.generation += 1n;
        return super.open();
      }
    },
    LOCKING,
  ),
  wrong(
    'a second opener finds what was durable, and fences the first one off',
    'it fences with the first commit of the second one',
    class extends Store {
      override async commit(batch: CommitBatch): Promise<void> {
        const writer = lastWriter(this.place);
        const own = this['generation'];
        if (batch.generation !== own || writer.generation > own) return super.commit(batch);
        this['requireOpen']();
        this.requireRoom(batch);
        writer.generation = own;
        return this.keep(batch);
      }
    },
  ),
  wrong(
    'a writer that wakes after its successors have gone is refused still',
    'it fences as long as the second one has it open',
    class extends Store {
      override async open(): Promise<StoreContents> {
        lease(this.place).isHeld = true;
        return super.open();
      }

      override async close(): Promise<void> {
        lease(this.place).isHeld = false;
        await super.close();
      }

      override async commit(batch: CommitBatch): Promise<void> {
        if (lease(this.place).isHeld) return super.commit(batch);
        this['requireOpen']();
        return this.keep(batch);
      }
    },
  ),
  wrong(
    'a commit that a second opener overtakes is refused, or the opener has seen it',
    'it looks for its fence before it writes, and not again',
    class extends Store {
      override async commit(batch: CommitBatch): Promise<void> {
        this['requireOwner'](batch.generation);
        this.requireRoom(batch);
        const { crashes } = this.place;
        await turn();
        if (this.place.crashes === crashes) await this.keep(batch);
      }
    },
  ),
];
