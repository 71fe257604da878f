/** Stores that commit wrongly. */
import { type CheckpointView, viewFrame } from '../../../src/codec/view.ts';
import type { CommitBatch } from '../../../src/store/contract.ts';
import { Store, turn, type WrongStore, wrong } from './base.ts';

export const WRONG_COMMITS: readonly WrongStore[] = [
  wrong(
    'the bytes of a frame may be used for something else once its commit has settled',
    'its cache keeps the bytes that it was given',
    class extends Store {
      readonly cache = new Map<string, Uint8Array>();

      override async commit(batch: CommitBatch): Promise<void> {
        await super.commit(batch);
        for (const { stream, sequence, bytes } of batch.frames) {
          if (bytes.buffer instanceof ArrayBuffer) this.cache.set(`${sequence} ${stream}`, bytes);
        }
      }

      override async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
        const view = await super.read(stream, sequence);
        const cached = this.cache.get(`${sequence} ${stream}`);
        return view === undefined || cached === undefined ? view : viewFrame(cached);
      }
    },
  ),
  wrong(
    'frames may be parts of a larger piece of shared memory',
    'it writes the whole buffer that a frame lies in',
    class extends Store {
      override async commit(batch: CommitBatch): Promise<void> {
        const frames = batch.frames.map((frame) => ({ ...frame, bytes: new Uint8Array(frame.bytes.buffer) }));
        await super.commit({ ...batch, frames });
      }
    },
  ),
  wrong(
    'many commits may be under way at once, and all of them are kept',
    'it loses the frames of those that do not fit its queue',
    class extends Store {
      underWay = 0;

      override async commit(batch: CommitBatch): Promise<void> {
        const isFull = this.underWay >= 64;
        this.underWay += 1;
        await super.commit(isFull ? { ...batch, frames: [] } : batch);
        await turn();
        this.underWay -= 1;
      }
    },
  ),
  wrong(
    'commits that are under way at once count in the order in which they were made',
    'it takes the last of a long queue first',
    class extends Store {
      underWay = 0;
      readonly stack: CommitBatch[] = [];

      override async commit(batch: CommitBatch): Promise<void> {
        this.underWay += 1;
        if (this.underWay > 50) {
          this.stack.push(batch);
          await turn();
          await super.commit(this.stack.pop()!);
        } else {
          await super.commit(batch);
          await turn();
        }
        this.underWay -= 1;
      }
    },
  ),
  wrong(
    'a read beside commits gives one of the checkpoints, whole',
    'it removes the old checkpoint before it writes the new one',
    class extends Store {
      underWay = 0;

      override async commit(batch: CommitBatch): Promise<void> {
        this.underWay += 1;
        await turn();
        this.underWay -= 1;
        await super.commit(batch);
      }

      override async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
        return this.underWay > 0 ? undefined : super.read(stream, sequence);
      }
    },
  ),
];
