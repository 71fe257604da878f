/** Stores that do not take every name, number and size. */
import type { CheckpointId } from '../../../src/checkpoint/id.ts';
import type { CheckpointView } from '../../../src/codec/view.ts';
import { TidemarkError } from '../../../src/error.ts';
import type { CommitBatch } from '../../../src/store/contract.ts';
import { Store, type WrongStore, wrong } from './base.ts';

/** Changes each frontier on its way into the store. */
abstract class FrontierChanging extends Store {
  abstract change(source: string, offset: bigint): [string, bigint];

  override async commit(batch: CommitBatch): Promise<void> {
    const frontiers = new Map(Array.from(batch.frontiers, ([source, offset]) => this.change(source, offset)));
    await super.commit({ ...batch, frontiers });
  }
}

export const WRONG_VALUES: readonly WrongStore[] = [
  wrong(
    'names of streams may be any text and are kept apart',
    'it normalises names',
    class extends Store {
      override read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
        return super.read(stream.normalize(), sequence);
      }
    },
  ),
  wrong(
    'names of sources may be any text and are kept apart',
    'it trims names',
    class extends FrontierChanging {
      override change(source: string, offset: bigint): [string, bigint] {
        return [source.trim(), offset];
      }
    },
  ),
  wrong(
    'sequences reach from 0 to 2^64 - 1',
    'it finds them by floating-point numbers',
    class extends Store {
      override read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
        return super.read(stream, sequence === undefined ? undefined : BigInt(Number(sequence)));
      }
    },
  ),
  wrong(
    'sequences are ordered as numbers up to 2^64 - 1',
    'its column of sequences is signed',
    class extends Store {
      override async list(stream: string): Promise<CheckpointId[]> {
        const signed = ({ sequence }: CheckpointId): bigint => BigInt.asIntN(64, sequence);
        return (await super.list(stream)).sort((a, b) => (signed(a) < signed(b) ? -1 : 1));
      }
    },
  ),
  wrong(
    'frontiers reach from 0 to 2^64 - 1',
    'it writes offsets as floating-point numbers',
    class extends FrontierChanging {
      override change(source: string, offset: bigint): [string, bigint] {
        return [source, BigInt(Number(offset))];
      }
    },
  ),
  wrong(
    'checkpoints may be small and large',
    'its rows have at most 128 KiB',
    class extends Store {
      override async commit(batch: CommitBatch): Promise<void> {
        if (batch.frames.some(({ bytes }) => bytes.length > 131_072)) {
          throw new TidemarkError('ERR_TIDEMARK_STORE_FAILED', 'the row is too long');
        }
        await super.commit(batch);
      }
    },
  ),
  wrong(
    'a thousand streams are kept, also when few commits bring them',
    'it asks for 500 streams and takes them for all',
    class extends Store {
      override async *streams(): AsyncGenerator<string, void> {
        let left = 500;
        for await (const stream of super.streams()) {
          if (left > 0) yield stream;
          left -= 1;
        }
      }
    },
  ),
];
