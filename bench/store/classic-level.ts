/**
 * LevelDB with one synced batch for each commit. A write buffer of 64 MiB was fastest over all cases; the states
 * cannot be compressed, so it does not try to.
 */
import { load } from '../compare/packages.ts';
import { keyOf, keyRange, newestKeys, sequenceOf, streamOf } from './keys.ts';
import type { RecoveryTarget } from './recovery-target.ts';
import type { StoreSubjectModule } from './subject.ts';

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

interface Iterator<Item> {
  /** The next `size` at most; none at the end. */
  nextv(size: number): Promise<Item[]>;
  all(): Promise<Item[]>;
}

interface ReadAhead {
  readonly highWaterMarkBytes: number;
}

interface Database {
  open(): Promise<void>;
  batch(operations: readonly Operation[], options: { readonly sync: boolean }): Promise<void>;
  get(key: string): Promise<Uint8Array | undefined>;
  getSync(key: string): Uint8Array | undefined;
  keys(options: ReadAhead | { readonly gte: string; readonly lt: string }): Iterator<string>;
  iterator(options: ReadAhead): Iterator<[key: string, value: Uint8Array]>;
  close(): Promise<void>;
}

interface ClassicLevel {
  readonly ClassicLevel: new (
    directory: string,
    options: {
      readonly keyEncoding: 'utf8';
      readonly valueEncoding: 'view';
      readonly compression: boolean;
      readonly writeBufferSize: number;
    },
  ) => Database;
}

const WRITE_BUFFER_BYTES = 2 ** 26;
/** What an iterator fetches at a time. */
const READ_AHEAD: ReadAhead = { highWaterMarkBytes: 2 ** 24 };
const ENTRIES_AT_ONCE = 10_000;
/** Up to here it is faster to read all values in order than to look up those that are wanted. */
const SMALL_BYTES = 4_096;

export async function loadClassicLevel(): Promise<StoreSubjectModule> {
  const { ClassicLevel } = await load<ClassicLevel>('classic-level');
  const openAt = async (directory: string): Promise<Database> => {
    const database = new ClassicLevel(directory, {
      keyEncoding: 'utf8',
      valueEncoding: 'view',
      compression: false,
      writeBufferSize: WRITE_BUFFER_BYTES,
    });
    await database.open();
    return database;
  };
  return {
    isShared: false,
    async open({ plan, directory }) {
      const database = await openAt(directory);
      const retained = BigInt(plan.perStream);
      const keysOf = (stream: string): Promise<string[]> => {
        const { start, end } = keyRange(stream);
        return database.keys({ gte: start, lt: end }).all();
      };
      return {
        commit(frames) {
          const operations: Operation[] = [];
          for (const { stream, sequence, bytes } of frames) {
            operations.push({ type: 'put', key: keyOf(stream, sequence), value: bytes });
            if (sequence > retained)
              operations.push({ type: 'del', key: keyOf(stream, sequence - retained) });
          }
          return database.batch(operations, { sync: true });
        },
        kept: {
          sequences: async (stream) => (await keysOf(stream)).map(sequenceOf),
          async newest(stream) {
            const key = (await keysOf(stream)).at(-1);
            return key === undefined ? undefined : database.get(key);
          },
        },
        close: () => database.close(),
      };
    },
    async recover({ plan, directory, target }) {
      const database = await openAt(directory);
      if (plan.frameBytes <= SMALL_BYTES) await readAll(database, target);
      else await lookUp(database, target);
    },
  };
}

async function readAll(database: Database, target: RecoveryTarget): Promise<void> {
  const entries = database.iterator(READ_AHEAD);
  let previous: [key: string, value: Uint8Array] | undefined;
  for (;;) {
    const some = await entries.nextv(ENTRIES_AT_ONCE);
    for (const entry of some) {
      if (previous !== undefined && streamOf(previous[0]) !== streamOf(entry[0]))
        target.take(streamOf(previous[0]), previous[1]);
      previous = entry;
    }
    if (some.length === 0) break;
  }
  if (previous !== undefined) target.take(streamOf(previous[0]), previous[1]);
}

async function lookUp(database: Database, target: RecoveryTarget): Promise<void> {
  for (const key of newestKeys(await database.keys(READ_AHEAD).all())) {
    const bytes = database.getSync(key);
    if (bytes === undefined) throw new Error(`classic-level has no value of ${key}`);
    target.take(streamOf(key), bytes);
  }
}
