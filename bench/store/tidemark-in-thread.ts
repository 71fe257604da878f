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
    const wanted = Array.from(store.streams(), (stream) => {
      const place = store.newest(stream) ?? fail(stream);
      return { place, target: target.place(stream, place.length) };
    });
    store.copyFrames(wanted, (_, error) => {
      throw error;
    });
    return Promise.resolve();
  },
};

function fail(stream: string): never {
  throw new Error(`the log has no checkpoint of ${stream}`);
}
