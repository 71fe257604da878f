/** Stores that read and list wrongly. */
import { CheckpointId } from '../../../src/checkpoint/id.ts';
import type { CheckpointView } from '../../../src/codec/view.ts';
import { TidemarkError } from '../../../src/error.ts';
import type { CommitBatch, FrameRef, StoreContents } from '../../../src/store/contract.ts';
import { perPlace, Store, type WrongStore, wrong } from './base.ts';

const known = perPlace(() => new Set<string>());

export const WRONG_READING: readonly WrongStore[] = [
  wrong(
    'reading a sequence gives the checkpoint at that sequence, byte for byte',
    'its cache knows the newest checkpoint of a stream only',
    class extends Store {
      override async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
        const found = await super.read(stream, sequence);
        return found === undefined ? undefined : super.read(stream);
      }
    },
  ),
  wrong(
    'reading without a sequence gives the greatest one, whatever came last',
    'it takes the one that came last for the newest',
    class extends Store {
      readonly last = new Map<string, bigint>();

      override async commit(batch: CommitBatch): Promise<void> {
        for (const { stream, sequence } of batch.frames) this.last.set(stream, sequence);
        await super.commit(batch);
      }

      override async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
        return super.read(stream, sequence ?? this.last.get(stream));
      }
    },
  ),
  wrong(
    'reading what is not there gives undefined',
    'it takes sequence 0 for none',
    class extends Store {
      override async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
        return super.read(stream, sequence || undefined);
      }
    },
  ),
  wrong(
    'a view tells what the checkpoint is',
    'it gives the bytes without the view',
    class extends Store {
      override async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
        const view = await super.read(stream, sequence);
        return view === undefined ? undefined : ({ bytes: view.bytes } as CheckpointView);
      }
    },
  ),
  wrong(
    'lists ascend by sequence, whatever the order of the commits',
    'it lists in the order of the commits',
    class extends Store {
      readonly order = new Map<string, bigint[]>();

      override async commit(batch: CommitBatch): Promise<void> {
        await super.commit(batch);
        for (const { stream, sequence } of batch.frames) {
          this.order.set(stream, [...(this.order.get(stream) ?? []), sequence]);
        }
      }

      override async list(stream: string): Promise<CheckpointId[]> {
        const place = (id: CheckpointId): number => this.order.get(stream)?.indexOf(id.sequence) ?? 0;
        return (await super.list(stream)).sort((a, b) => place(a) - place(b));
      }
    },
  ),
  wrong(
    'lists tell the stream and the time of each checkpoint',
    'it does not keep the time',
    class extends Store {
      override async list(stream: string): Promise<CheckpointId[]> {
        return (await super.list(stream)).map(({ sequence }) => new CheckpointId(stream, sequence));
      }
    },
  ),
  wrong(
    'the list of a stream that is not there is empty',
    'it refuses to list a stream that it has never seen',
    class extends Store {
      override async commit(batch: CommitBatch): Promise<void> {
        await super.commit(batch);
        for (const { stream } of batch.frames) known(this.place).add(stream);
      }

      override async list(stream: string): Promise<CheckpointId[]> {
        if (known(this.place).has(stream)) return super.list(stream);
        throw new TidemarkError('ERR_TIDEMARK_NOT_FOUND', stream);
      }
    },
  ),
  wrong(
    'streams are named once each, however many checkpoints they have',
    'it names a stream for each of its checkpoints',
    class extends Store {
      override async *streams(): AsyncGenerator<string, void> {
        for await (const stream of super.streams()) {
          for (let n = this.place.checkpoints.checkpointCount(stream); n > 0; n--) yield stream;
        }
      }
    },
  ),
  wrong(
    'a checkpoint that is saved again replaces the one before',
    'it takes the second one for a duplicate',
    class extends Store {
      readonly saved = new Set<string>();

      override async commit(batch: CommitBatch): Promise<void> {
        const keyOf = ({ stream, sequence }: FrameRef): string => `${sequence} ${stream}`;
        await super.commit({
          ...batch,
          frames: batch.frames.filter((frame) => !this.saved.has(keyOf(frame))),
        });
        for (const frame of batch.frames) this.saved.add(keyOf(frame));
      }
    },
  ),
  wrong(
    'a checkpoint that replaced another still does when the store is opened again',
    'it never writes what an earlier generation has written',
    class extends Store {
      before: ReadonlyMap<string, readonly bigint[]> = new Map();

      override async open(): Promise<StoreContents> {
        const { checkpoints } = this.place;
        this.before = new Map(
          checkpoints
            .streamIds()
            .map((stream) => [stream, checkpoints.list(stream).map(({ id }) => id.sequence)]),
        );
        return super.open();
      }

      override async commit(batch: CommitBatch): Promise<void> {
        const isThere = ({ stream, sequence }: FrameRef): boolean =>
          this.before.get(stream)?.includes(sequence) === true;
        await super.commit({ ...batch, frames: batch.frames.filter((frame) => !isThere(frame)) });
      }
    },
  ),
];
