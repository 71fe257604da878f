/**
 * lmdb with a synchronous transaction for each commit, which returns when it is synced. The settings are those
 * that were fastest over all cases: pages of 8 KiB, and no memory cleared for nothing.
 */
import { load } from '../compare/packages.ts';
import { keyOf, keyRange, newestKeys, sequenceOf, streamOf } from './keys.ts';
import type { StoreSubjectModule } from './subject.ts';

interface Database {
  put(key: string, value: Uint8Array): unknown;
  remove(key: string): unknown;
  getBinary(key: string): Buffer | undefined;
  /** Good until the next call. */
  getBinaryFast(key: string): Buffer | undefined;
  getKeys(range?: { readonly start: string; readonly end: string }): Iterable<string>;
  transactionSync(action: () => void): void;
  close(): Promise<void>;
}

interface Lmdb {
  open(options: {
    path: string;
    encoding: 'binary';
    mapSize: number;
    pageSize: number;
    noMemInit: boolean;
  }): Database;
}

const MAP_BYTES = 2 ** 34;
const PAGE_BYTES = 8_192;

export async function loadLmdb(): Promise<StoreSubjectModule> {
  const lmdb = await load<Lmdb>('lmdb');
  const openAt = (path: string): Database =>
    lmdb.open({ path, encoding: 'binary', mapSize: MAP_BYTES, pageSize: PAGE_BYTES, noMemInit: true });
  return {
    isShared: false,
    open({ plan, directory }) {
      const database = openAt(directory);
      const retained = BigInt(plan.perStream);
      return Promise.resolve({
        commit(frames) {
          database.transactionSync(() => {
            for (const { stream, sequence, bytes } of frames) {
              database.put(keyOf(stream, sequence), bytes);
              if (sequence > retained) database.remove(keyOf(stream, sequence - retained));
            }
          });
        },
        kept: {
          sequences: (stream) => Promise.resolve(Array.from(database.getKeys(keyRange(stream)), sequenceOf)),
          newest(stream) {
            const key = newestKeys(database.getKeys(keyRange(stream)))[0];
            return Promise.resolve(key === undefined ? undefined : database.getBinary(key));
          },
        },
        close: () => database.close(),
      });
    },
    recover({ directory, target }) {
      const database = openAt(directory);
      for (const key of newestKeys(database.getKeys())) {
        const bytes = database.getBinaryFast(key);
        if (bytes === undefined) throw new Error(`lmdb has no value of ${key}`);
        // A buffer that lmdb uses again: its length is that of the value, but there is more in it.
        target.take(streamOf(key), bytes.subarray(0, bytes.length));
      }
      return Promise.resolve();
    },
  };
}
