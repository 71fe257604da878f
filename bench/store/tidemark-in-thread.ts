/** The log on the calling thread, which does between commits what the store writer does there. */
import { TargetMemory } from '../../src/store/log/frame-copies.ts';
import { nodePorts } from '../../src/store/log/node-ports.ts';
import { findLog, openLog } from '../../src/store/log/open-log.ts';
import { NameReader } from '../../src/store/log/packed-names.ts';
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
    const log = findLog(nodePorts, directory, logOptionsOf(plan));
    const { names, byteLengths } = log.newest.columns();
    const reader = new NameReader(names);
    const addresses = byteLengths.map((bytes) => target.place(reader.next(), bytes).byteOffset);
    if (!log.copy(0, { memory: new TargetMemory(target.memory.memory), addresses }))
      throw new Error('a checkpoint is damaged');
    log.finish();
    return Promise.resolve();
  },
};
