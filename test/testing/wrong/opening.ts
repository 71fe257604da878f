/** Stores that open wrongly. */
import { encodeFrame } from '../../../src/codec/frame.ts';
import type { CommitBatch, RestorableCheckpoint, StoreContents } from '../../../src/store/contract.ts';
import { type Place, perPlace, Store, type WrongStore, wrong } from './base.ts';

/** Each checkpoint that is given when a store opens becomes what `change` makes of it. */
function changed(
  { checkpoints }: StoreContents,
  change: (checkpoint: RestorableCheckpoint) => Partial<RestorableCheckpoint>,
): AsyncIterable<RestorableCheckpoint> {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const checkpoint of checkpoints) yield { ...checkpoint, ...change(checkpoint) };
    },
  };
}

const frontiersWithFrames = perPlace(() => ({ value: new Map() as ReadonlyMap<string, bigint> }));
const wasClosed = perPlace(() => ({ value: false }));

export class FramelessForgetter extends Store {
  override async commit(batch: CommitBatch): Promise<void> {
    await super.commit(batch);
    if (batch.frames.length > 0) frontiersWithFrames(this.place).value = this.place.frontiers;
  }
}

/** As a crash or an end finds them: the frontiers that came with frames. */
export function dropFrontiersWithoutFrames(place: Place): void {
  place.frontiers = frontiersWithFrames(place).value;
}

export const WRONG_OPENING: readonly WrongStore[] = [
  wrong(
    'a new place holds nothing',
    'it begins with a frontier of its own',
    class extends Store {
      override async open(): Promise<StoreContents> {
        return this.openWith(({ generation, frontiers }) =>
          generation === 1n ? { frontiers: new Map([['default', 0n]]) } : { frontiers },
        );
      }
    },
  ),
  wrong(
    'every opening has a generation greater than all before',
    'it keeps the generation in two bits',
    class extends Store {
      override async open(): Promise<StoreContents> {
        if (this.place.generation === 4n) this.place.generation = 0n;
        return super.open();
      }
    },
  ),
  wrong(
    'a generation counts although its engine crashed before it wrote anything',
    'it writes the generation with the first commit',
    Store,
    {
      crash(place) {
        if (place.checkpoints.streamIds().length === 0) place.generation = 0n;
      },
    },
  ),
  wrong(
    'a store that is opened again gives the newest checkpoint of each stream, once',
    'it says that it fell back where it did not',
    class extends Store {
      override async open(): Promise<StoreContents> {
        return this.openWith((contents) => ({ checkpoints: changed(contents, () => ({ fellBack: 1 })) }));
      }
    },
  ),
  wrong(
    'a store that is opened again gives the newest checkpoint of each stream, once',
    'it gives the oldest one that it kept, after an orderly end',
    class extends Store {
      override async close(): Promise<void> {
        wasClosed(this.place).value = true;
        await super.close();
      }

      override async open(): Promise<StoreContents> {
        const { place } = this;
        if (!wasClosed(place).value) return super.open();
        return this.openWith((contents) => ({
          checkpoints: changed(contents, ({ stream }) => {
            const [oldest] = place.checkpoints.list(stream);
            const bytes = encodeFrame(oldest!, { generation: place.generations.get(oldest!) ?? 0n });
            const copyTo = async (target: Uint8Array): Promise<void> => target.set(bytes);
            return { sequence: oldest!.id.sequence, byteLength: bytes.length, copyTo };
          }),
        }));
      }
    },
  ),
  wrong(
    'checkpoints are copied when they are asked for, all at once and into shared memory too',
    'it copies shared memory before it writes to it',
    class extends Store {
      override async open(): Promise<StoreContents> {
        return this.openWith((contents) => ({
          checkpoints: changed(contents, (checkpoint) => ({
            copyTo: (target) =>
              checkpoint.copyTo(target.buffer instanceof SharedArrayBuffer ? new Uint8Array(target) : target),
          })),
        }));
      }
    },
  ),
  wrong(
    'a checkpoint keeps the generation of the engine that took it',
    'it gives every checkpoint the generation of the opening',
    class extends Store {
      override async open(): Promise<StoreContents> {
        return this.openWith((contents) => {
          const { generation } = contents;
          return { checkpoints: changed(contents, () => ({ generation })) };
        });
      }
    },
  ),
  wrong(
    'a store that is opened again gives the frontiers of the last commit, lower ones too',
    'its frontiers never fall',
    class extends Store {
      override async commit(batch: CommitBatch): Promise<void> {
        const before = this.place.frontiers;
        const frontiers = new Map(
          Array.from(batch.frontiers, ([source, offset]) => {
            const reached = before.get(source) ?? 0n;
            return [source, offset > reached ? offset : reached];
          }),
        );
        await super.commit({ ...batch, frontiers });
      }
    },
  ),
  wrong(
    'a commit without frames keeps its frontiers',
    'it writes them with the next frame, and has forgotten them by the time it is closed',
    class extends FramelessForgetter {
      override async close(): Promise<void> {
        dropFrontiersWithoutFrames(this.place);
        await super.close();
      }
    },
  ),
];
