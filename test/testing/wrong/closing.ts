/** Stores that close wrongly. */

import { encodeFrame } from '../../../src/codec/frame.ts';
import { type CheckpointView, viewFrame } from '../../../src/codec/view.ts';
import { TidemarkError } from '../../../src/error.ts';
import { Store, type WrongStore, wrong } from './base.ts';

export const WRONG_CLOSING: readonly WrongStore[] = [
  wrong(
    'a store that is closed refuses every call',
    'it still reads',
    class extends Store {
      isClosed = false;

      override async close(): Promise<void> {
        this.isClosed = true;
        await super.close();
      }

      override async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
        if (!this.isClosed) return super.read(stream, sequence);
        const state = this.place.checkpoints.latest(stream);
        return state === undefined ? undefined : viewFrame(encodeFrame(state));
      }
    },
  ),
  wrong(
    'closing a store again is no error',
    'it takes its second end for a mistake of the caller',
    class extends Store {
      isClosed = false;

      override async close(): Promise<void> {
        if (this.isClosed) throw new TidemarkError('ERR_TIDEMARK_CLOSED', 'it is closed already');
        this.isClosed = true;
        await super.close();
      }
    },
  ),
  wrong(
    'closing a store that was never opened is no error',
    'it has nothing to close',
    class extends Store {
      override async close(): Promise<void> {
        if (this['state'] === 'new') throw new TidemarkError('ERR_TIDEMARK_CLOSED', 'it is not open');
        await super.close();
      }
    },
  ),
];
