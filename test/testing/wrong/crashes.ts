/** Stores that lose by a crash what they must not. */
import type { CommitBatch } from '../../../src/store/contract.ts';
import { Store, turn, type WrongStore, wrong } from './base.ts';
import { dropFrontiersWithoutFrames, FramelessForgetter } from './opening.ts';
import { Archiving, bringBack } from './removal.ts';

export const WRONG_CRASHES: readonly WrongStore[] = [
  wrong(
    'checkpoints that were acknowledged outlive crashes',
    'it puts large checkpoints into files of their own and does not sync them',
    Store,
    {
      crash({ checkpoints, sizes }) {
        for (const [stream, bytes] of sizes) if (bytes > 2048) checkpoints.forget(stream);
      },
    },
  ),
  wrong(
    'frontiers that were acknowledged outlive a crash',
    'it does not sync a commit without frames',
    FramelessForgetter,
    { crash: dropFrontiersWithoutFrames },
  ),
  wrong('removals that were acknowledged outlive a crash', 'it does not sync removals', Archiving, {
    crash: bringBack,
  }),
  wrong(
    'a crash amid commits leaves whole checkpoints, and no frontier ahead of them',
    'it writes the frontiers before the frames',
    class extends Store {
      override async commit(batch: CommitBatch): Promise<void> {
        this['requireOwner'](batch.generation);
        this.requireRoom(batch);
        await this.keep({ ...batch, frames: [] });
        const { crashes } = this.place;
        await turn();
        if (this.place.crashes === crashes) await super.commit(batch);
      }
    },
  ),
];
