/** For every clause of the conformance kit a store that breaks it, each the store in memory with one thing wrong. */
import { TidemarkError } from '../../src/error.ts';
import type {
  CheckpointStore,
  CommitBatch,
  RestorableCheckpoint,
  StoreContents,
} from '../../src/store/contract.ts';
import { InMemoryPlace, type StoreFactory, type StorePlace } from '../../src/testing/index.ts';

type Methods = Partial<CheckpointStore>;
/** What is wrong about a store on `place`; `right` does what it should. */
type Wrong = (
  right: CheckpointStore,
  place: InMemoryPlace & { readonly shared: Map<string, unknown> },
) => Methods;

interface WrongStore {
  readonly clause: string;
  readonly factory: StoreFactory;
}

const PER_STREAM = 3;

function wrongStore(clause: string, wrong: Wrong, traits: Partial<StoreFactory> = {}): WrongStore {
  const create = async (): Promise<StorePlace> => {
    const place = Object.assign(new InMemoryPlace({ perStream: PER_STREAM }), { shared: new Map() });
    return {
      store: () => {
        const right = place.store();
        const methods = wrong(right, place);
        return new Proxy(right, {
          get: (target, name) => {
            const method = methods[name as keyof CheckpointStore] ?? target[name as keyof CheckpointStore];
            return typeof method === 'function' ? method.bind(target) : method;
          },
        });
      },
      crash: async () => void (await place.store().open()),
    };
  };
  const factory = {
    perStream: PER_STREAM,
    secondOpener: 'fenced',
    canCrash: true,
    create,
    ...traits,
  } as const;
  return { clause, factory: { createSmall: create, ...factory } };
}

async function checkpointsOf({ checkpoints }: StoreContents): Promise<RestorableCheckpoint[]> {
  const all: RestorableCheckpoint[] = [];
  for await (const checkpoint of checkpoints) all.push(checkpoint);
  return all;
}

/** The batch without the frames that `keep` refuses. */
function only(
  batch: CommitBatch,
  keep: (frame: CommitBatch['frames'][number], at: number) => boolean,
): CommitBatch {
  return { ...batch, frames: batch.frames.filter(keep) };
}

export const WRONG_STORES: readonly WrongStore[] = [
  wrongStore(
    'what a commit saved is there when it has resolved, and after the store was opened again',
    (right) => ({
      commit: (batch) => right.commit(only(batch, (_, at) => at === 0)),
    }),
  ),
  wrongStore('open lists the newest checkpoint of every stream and copies it on request', (right) => ({
    open: async () => {
      const contents = await right.open();
      const checkpoints = (await checkpointsOf(contents)).map((checkpoint) => ({
        ...checkpoint,
        copyTo: async () => undefined,
      }));
      return { ...contents, checkpoints };
    },
  })),
  wrongStore('open has the frontiers of the last commit', (right, { shared }) => ({
    commit: async (batch) => {
      const first = shared.get('frontiers') ?? batch.frontiers;
      shared.set('frontiers', first);
      await right.commit({ ...batch, frontiers: first as CommitBatch['frontiers'] });
    },
  })),
  wrongStore('a commit without checkpoints makes frontiers durable, and may lower them', (right) => ({
    commit: async (batch) => {
      if (batch.frames.length > 0) await right.commit(batch);
    },
  })),
  wrongStore(
    'list ascends by sequence, and read without one gives the newest, in whatever order they were saved',
    (right) => ({
      list: async (stream) =>
        (await right.list(stream)).sort((a, b) => (`${a.sequence}` < `${b.sequence}` ? -1 : 1)),
    }),
  ),
  wrongStore('a checkpoint of the same stream and sequence takes the place of the one before', (right) => ({
    commit: async (batch) => {
      const known = await Promise.all(
        batch.frames.map(({ stream, sequence }) => right.read(stream, sequence)),
      );
      await right.commit(only(batch, (_, at) => known[at] === undefined));
    },
  })),
  wrongStore('the newest checkpoints of each stream are kept, as many as the store says', (right) => ({
    commit: async (batch) => {
      await right.commit(batch);
      for (const { stream, sequence } of batch.frames) await right.deleteBefore(stream, sequence);
    },
  })),
  wrongStore('what is not there is undefined or empty, not an error', (right) => ({
    read: async (stream, sequence) => {
      const view = await right.read(stream, sequence);
      if (view === undefined) throw new TidemarkError('ERR_TIDEMARK_NOT_FOUND', 'there is none');
      return view;
    },
  })),
  wrongStore('any well-formed string is the name of a stream of its own', (right) => ({
    commit: (batch) => right.commit(only(batch, ({ stream }) => stream !== '')),
  })),
  wrongStore('thousands of streams in one commit are all there', (right) => ({
    commit: (batch) => right.commit(only(batch, (_, at) => at < 1_000)),
  })),
  wrongStore('commits that are not waited for are all there in the end', (right, { shared }) => ({
    commit: async (batch) => {
      const isBusy = shared.get('busy') === true;
      shared.set('busy', true);
      await Promise.resolve();
      if (!isBusy) await right.commit(batch);
      shared.set('busy', false);
    },
  })),
  wrongStore('the bytes of a commit may be written over once it has resolved', (right, { shared }) => {
    const late = async (): Promise<void> => {
      const batch = shared.get('batch') as CommitBatch | undefined;
      shared.delete('batch');
      if (batch !== undefined) await right.commit(batch);
    };
    return {
      commit: async (batch) => void shared.set('batch', batch),
      read: async (stream, sequence) => {
        await late();
        return right.read(stream, sequence);
      },
    };
  }),
  wrongStore('deleteBefore removes the lower sequences of one stream, for good', (right) => ({
    deleteBefore: (stream, sequence) => right.deleteBefore(stream, sequence + 1n),
  })),
  wrongStore('forget removes all of one stream, for good', () => ({ forget: async () => undefined })),
  wrongStore('a name that was forgotten begins anew, with lower sequences too', (right, { shared }) => ({
    commit: (batch) => right.commit(only(batch, ({ stream }) => !shared.has(stream))),
    forget: async (stream) => {
      shared.set(stream, 'gone');
      await right.forget(stream);
    },
  })),
  wrongStore('streams lists each stream that has a checkpoint once', (right) => ({
    streams: async function* () {
      for await (const stream of right.streams()) yield* (await right.list(stream)).map(() => stream);
    },
  })),
  wrongStore(
    'a full store refuses with ERR_TIDEMARK_STORE_FULL, loses nothing, and goes on once there is room',
    (right, { streams }) => ({
      commit: async (batch) => {
        await right.commit(batch);
        // It makes room at the cost of somebody else.
        const [first] = streams.keys();
        if (streams.size > 20 && first !== undefined) streams.delete(first);
      },
    }),
  ),
  wrongStore('every opening has a greater generation than all before', (_, place) => ({
    open: async () => {
      const contents = await place.store().open();
      return { ...contents, generation: 1n };
    },
  })),
  wrongStore('a commit of an earlier generation is refused with ERR_TIDEMARK_FENCED', (right, place) => ({
    commit: (batch) => right.commit({ ...batch, generation: place.generation }),
  })),
  wrongStore('a second opener is refused, and the first goes on', () => ({}), { secondOpener: 'refused' }),
  wrongStore('a second opener takes over, and what the first one writes then is refused', (right, place) => ({
    commit: async (batch) => {
      const { generation } = place;
      place.generation = batch.generation;
      await right.commit(batch);
      place.generation = generation;
    },
  })),
  wrongStore('a crash loses nothing that was acknowledged, and leaves nothing half there', (right) => ({
    commit: async (batch) => {
      await right.commit(only(batch, (_, at) => at === 0));
      for (let turn = 0; turn < 3; turn++) await Promise.resolve();
      await right.commit(batch);
    },
  })),
  wrongStore(
    'a writer that wakes after a crash and a later opening changes nothing any more',
    (right, place) => ({
      commit: async (batch) => {
        const { generation } = place;
        place.generation = batch.generation;
        await right.commit(batch);
        place.generation = generation;
      },
    }),
  ),
  wrongStore('a closed store refuses everything, and may be closed again', () => ({
    close: async () => undefined,
  })),
];
