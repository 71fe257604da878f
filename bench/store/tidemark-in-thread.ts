/** The log on the calling thread, which does between commits what the store writer does there. */
import { nodePorts } from '../../src/store/log/node-ports.ts';
import { openLog } from '../../src/store/log/open-log.ts';
import { logOptionsOf } from './log-options.ts';
import type { StoreSubjectModule } from './subject.ts';

export const tidemarkInThread: StoreSubjectModule = {
  isShared: true,
  open({ plan, directory }) {
    const { store, generation } = openLog(nodePorts, directory, logOptionsOf(plan));
    let commits = 0n;
    return Promise.resolve({
      commit(frames) {
        commits += 1n;
        store.commit({ frames, frontiers: new Map([['bench', commits]]), generation });
        store.idleStep(true);
      },
      kept: {
        sequences: (stream) => Promise.resolve(store.list(stream).map(({ sequence }) => sequence)),
        newest: (stream) => Promise.resolve(store.readFrame(stream)),
      },
      close: () => Promise.resolve(store.close()),
    });
  },
  recover({ plan, directory, target }) {
    const { store } = openLog(nodePorts, directory, logOptionsOf(plan));
    const places = Array.from(store.streams(), (stream) => {
      const { segment, position, length, sequence } = store.newest(stream) ?? fail(stream);
      return { stream, segment, position, length, sequence };
    });
    // In the order in which they lie in the log.
    places.sort((a, b) => a.segment - b.segment || a.position - b.position);
    for (const { stream, sequence, length } of places)
      store.copyFrame(stream, sequence, target.place(stream, length));
    return Promise.resolve();
  },
};

function fail(stream: string): never {
  throw new Error(`the log has no checkpoint of ${stream}`);
}
