/** Clauses about `close`. */
import assert from 'node:assert/strict';
import { expectRefused } from './expect.ts';
import { type Clause, Opened } from './trial.ts';

export const CLOSING: readonly Clause[] = [
  {
    name: 'a store that is closed refuses every call',
    async check(trial) {
      const store = await trial.connect();
      const opened = new Opened(store, await store.open());
      await opened.save('s', 1);
      await store.close();
      const calls: Record<string, () => Promise<unknown>> = {
        open: () => store.open(),
        commit: () => opened.save('s', 2),
        'commit without frames': () => opened.commit([], [['source', 1n]]),
        read: () => store.read('s'),
        'read of a sequence': () => store.read('s', 1n),
        list: () => store.list('s'),
        streams: () => opened.streams(),
        deleteBefore: () => store.deleteBefore('s', 1n),
        forget: () => store.forget('s'),
      };
      for (const [what, call] of Object.entries(calls)) await expectRefused(`${what} after close`, call);
    },
  },
  {
    name: 'closing a store again is no error',
    async check(trial) {
      const { store } = await trial.open();
      await store.close();
      await store.close();
    },
  },
  {
    name: 'closing a store that was never opened is no error',
    async check(trial) {
      const store = await trial.connect();
      await store.close();
      const { contents } = await trial.open();
      assert.ok(contents.generation >= 0n);
    },
  },
];
