/** A log whose writers are ended from outside, and what may happen between the end of one and the start of the next. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { RestartEvent } from '../../src/engine/metrics.ts';
import { type StoreWriter, SupervisedLog, WRITERS_MAX } from '../../src/engine/supervised-log.ts';
import { LogStoreClient } from '../../src/store/log/log-store-client.ts';
import { frameOf } from '../store/support/frames.ts';
import { type RunningWriter, sharedMemory, writersInTests } from '../store/support/store-writer.ts';
import { failure, failureCode } from './support/engine.ts';

const writers = writersInTests('supervised');
const MEMORY = sharedMemory(1);
const FRONTIERS = new Map([['src', 5n]]);

const logs: SupervisedLog[] = [];
// Before the writers end, which would be replaced: hooks run in the reverse order.
afterEach(async () => {
  for (const log of logs.splice(0)) await log.release();
});

interface Supervised {
  readonly log: SupervisedLog;
  /** Those that were started, the last one alive. */
  readonly started: RunningWriter[];
  readonly restarts: RestartEvent[];
  /** Ends the writer from outside, whatever it is doing. */
  kill(): Promise<void>;
}

interface Between {
  /** Runs when the first writer's thread is gone, before another one is started. */
  readonly gone?: () => Promise<unknown>;
  /** Makes something else of a writer that takes the place of another. */
  readonly change?: (writer: StoreWriter) => StoreWriter;
  readonly timeoutMs?: number;
}

function supervise({ gone, change, timeoutMs = 20_000 }: Between = {}): Supervised {
  const started: RunningWriter[] = [];
  const restarts: RestartEvent[] = [];
  const start = (): StoreWriter => {
    const isFirst = started.length === 0;
    const running = writers.start(writers.directory, MEMORY, { lockWaitMs: 0 });
    started.push(running);
    const { client, ended, terminate } = running;
    let destroyed: Promise<void> | undefined;
    const destroy = (): Promise<void> => {
      destroyed ??= terminate().then(async () => {
        if (isFirst) await gone?.();
      });
      return destroyed;
    };
    const writer = { client, outcome: ended, destroy };
    return isFirst ? writer : (change?.(writer) ?? writer);
  };
  const log = new SupervisedLog({ start, timeoutMs });
  logs.push(log);
  log.onRestart = (restart) => restarts.push(restart);
  const kill = async (): Promise<void> => started.at(-1)?.terminate();
  return { log, started, restarts, kill };
}

function batch(...frames: readonly (readonly [stream: string, sequence: number])[]) {
  return {
    frames: frames.map(([stream, sequence]) => frameOf(stream, sequence)),
    frontiers: FRONTIERS,
    generation: 1n,
  };
}

async function namesOf(log: SupervisedLog): Promise<string[]> {
  const names: string[] = [];
  for await (const name of log.streams()) names.push(name);
  return names.sort();
}

describe('calls that are under way when the writer dies', () => {
  test('are answered by the next one, in their order', async () => {
    const { log, restarts, kill } = supervise();
    await log.open();
    await log.commit(batch(['a', 1], ['a', 2], ['b', 1], ['c', 7]));
    const calls = [
      log.commit(batch(['a', 3])),
      log.forget('b'),
      log.commit(batch(['b', 9])),
      log.deleteBefore('a', 3n),
    ];
    const [view, list, names] = [log.read('b'), log.list('a'), namesOf(log)];
    await kill();
    await Promise.all(calls);
    // They may have been answered before it died: this one was not.
    await log.read('a');
    expect((await view)?.sequence).toBe(9n);
    expect((await list).map(({ sequence }) => sequence)).toEqual([3n]);
    expect(await names).toEqual(['a', 'b', 'c']);
    expect(restarts).toMatchObject([{ shard: undefined, streams: 0 }]);
    await log.close();
    const { client } = writers.start(writers.directory, MEMORY, { lockWaitMs: 0 });
    expect(await client.open()).toMatchObject({ generation: 3n, frontiers: FRONTIERS });
    expect((await client.list('b')).map(({ sequence }) => sequence)).toEqual([9n]);
  });

  test('are asked again though it died before it had opened the directory', async () => {
    const { log, kill } = supervise();
    const contents = log.open();
    await kill();
    expect((await contents).lost).toEqual([]);
    await log.commit({ ...batch(['a', 1]), generation: (await contents).generation });
    expect((await log.read('a'))?.sequence).toBe(1n);
  });

  test('may be copies of what it had found', async () => {
    const first = supervise();
    await first.log.open();
    await first.log.commit(batch(['a', 1], ['b', 2]));
    await first.log.close();
    const { log, kill } = supervise();
    const checkpoints = [...((await log.open()).checkpoints as Iterable<{ byteLength: number }>)] as never[];
    await kill();
    for (const { stream, sequence, byteLength, copyTo } of checkpoints as readonly {
      stream: string;
      sequence: bigint;
      byteLength: number;
      copyTo: (target: Uint8Array) => Promise<void>;
    }[]) {
      const target = new Uint8Array(byteLength);
      await copyTo(target);
      expect(target).toEqual(frameOf(stream, sequence).bytes);
    }
    expect(checkpoints).toHaveLength(2);
  });

  test('wait for a writer that is waited for already', async () => {
    const during: Promise<unknown>[] = [];
    const supervised: Supervised = supervise({
      gone: async () => {
        during.push(supervised.log.commit(batch(['a', 2])), supervised.log.read('a'));
      },
    });
    const { log, started, restarts, kill } = supervised;
    await log.open();
    await log.commit(batch(['a', 1]));
    await kill();
    expect((await log.read('a'))?.sequence).toBe(2n);
    expect(await during[1]).toMatchObject({ sequence: 2n });
    await during[0];
    expect(started).toHaveLength(2);
    // It has only waited.
    expect(restarts).toMatchObject([{ replayed: 0 }]);
  });
});

test('calls that are made while the next writer opens the directory wait until it has', async () => {
  const during = Promise.withResolvers<void>();
  const supervised: Supervised = supervise({
    change: (writer) => {
      writer.client.resume = () => {
        during.resolve(supervised.log.commit(batch(['a', 2])));
        return LogStoreClient.prototype.resume.call(writer.client);
      };
      return writer;
    },
  });
  const { log, kill } = supervised;
  await log.open();
  await kill();
  // With the generation that the writer has only then.
  await during.promise;
  expect((await log.read('a'))?.sequence).toBe(2n);
});

test('a stream that was forgotten is not missed when the next writer opens the directory', async () => {
  const { log, started, kill } = supervise();
  await log.open();
  await log.commit(batch(['a', 1]));
  await log.forget('a');
  await kill();
  await log.commit(batch(['b', 1]));
  expect(await log.read('a')).toBeUndefined();
  expect(started).toHaveLength(2);
});

describe('what the store itself says', () => {
  test('is handed on and replaces no writer', async () => {
    const { log, started } = supervise();
    await log.open();
    const junk = { stream: 'a', sequence: 1n, bytes: new Uint8Array(50) };
    expect(await failureCode(log.commit({ ...batch(), frames: [junk] }))).toBe('ERR_TIDEMARK_DAMAGED_FRAME');
    expect(await failureCode(log.commit({ ...batch(['a', 1]), generation: 9n }))).toBe('ERR_TIDEMARK_FENCED');
    await log.commit(batch(['a', 1]));
    expect(started).toHaveLength(1);
  });

  test('of a generation that never was is handed on after a restart, too', async () => {
    const { log, kill } = supervise();
    await log.open();
    await kill();
    await log.commit(batch(['a', 1]));
    expect(await failureCode(log.commit({ ...batch(['a', 2]), generation: 9n }))).toBe('ERR_TIDEMARK_FENCED');
  });
});

describe('a directory that between two writers', () => {
  /** The log has two commits that are durable; it dies, and `gone` happens before the next writer is started. */
  async function codeAfter(gone: () => Promise<unknown>): Promise<string> {
    const { log, kill, started } = supervise({ gone });
    await log.open();
    await log.commit(batch(['a', 1]));
    await log.commit(batch(['b', 1]));
    await kill();
    const code = await failureCode(log.commit(batch(['a', 2])));
    expect(await failureCode(log.read('a'))).toBe(code);
    await log.close();
    await log.release();
    expect(started).toHaveLength(2);
    return code;
  }

  test('another engine has taken is left to it', async () => {
    const other = async () => {
      const { client } = writers.start(writers.directory, MEMORY);
      const { generation } = await client.open();
      await client.commit({ ...batch(['a', 50]), generation });
      return client;
    };
    let owner: LogStoreClient | undefined;
    const code = await codeAfter(async () => {
      owner = await other();
    });
    expect(code).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
    expect((await owner?.read('a'))?.sequence).toBe(50n);
  });

  test('another engine has had is not written to', async () => {
    const code = await codeAfter(async () => {
      const other = writers.start(writers.directory, MEMORY);
      await other.client.open();
      await other.stop();
    });
    expect(code).toBe('ERR_TIDEMARK_FENCED');
    const { client } = writers.start(writers.directory, MEMORY, { lockWaitMs: 0 });
    await client.open();
    expect((await client.list('a')).map(({ sequence }) => sequence)).toEqual([1n]);
  });

  test.each(['first', 'last'] as const)(
    'has lost the %s of its commits is not gone on with',
    async (which) => {
      const code = await codeAfter(async () => damage(writers.directory, which));
      expect(code).toBe('ERR_TIDEMARK_STORE_FAILED');
    },
  );

  /** The last commit looks, damaged, like one that was never finished. */
  function damage(directory: string, which: 'first' | 'last'): void {
    const footer = Buffer.from('TIDEMARK');
    for (const name of readdirSync(directory).filter((file) => file.endsWith('.log'))) {
      const bytes = readFileSync(join(directory, name));
      const at = which === 'first' ? bytes.indexOf(footer) : bytes.lastIndexOf(footer);
      if (at < 0) continue;
      bytes.writeUInt8(bytes.readUInt8(at - 60) ^ 1, at - 60);
      writeFileSync(join(directory, name), bytes);
    }
  }
});

describe('a log that is closed', () => {
  test('while no writer is there starts none, and rejects what has waited', async () => {
    const waited = Promise.withResolvers<string>();
    const supervised: Supervised = supervise({
      gone: async () => {
        waited.resolve(failureCode(supervised.log.commit(batch(['a', 2]))));
        void supervised.log.close();
      },
    });
    const { log, started, kill } = supervised;
    await log.open();
    await kill();
    expect(await waited.promise).toBe('ERR_TIDEMARK_CLOSED');
    await log.close();
    expect(await failureCode(log.read('a'))).toBe('ERR_TIDEMARK_CLOSED');
    expect(started).toHaveLength(1);
  });

  test('while the next writer opens the directory ends that one', async () => {
    const supervised: Supervised = supervise({
      change: (writer) => {
        writer.client.resume = () => {
          void supervised.log.close();
          return LogStoreClient.prototype.resume.call(writer.client);
        };
        return writer;
      },
    });
    const { log, started, kill } = supervised;
    await log.open();
    const commit = failureCode(log.commit(batch(['a', 1])));
    await kill();
    expect(await commit).toBe('ERR_TIDEMARK_CLOSED');
    await log.close();
    expect(started).toHaveLength(2);
    await started[1]?.ended.catch(() => undefined);
  });

  test('answers what it was asked before', async () => {
    const { log } = supervise();
    await log.open();
    const commit = log.commit(batch(['a', 1]));
    await log.close();
    await commit;
  });

  test('and whose writer dies of it is closed', async () => {
    const { log, started, kill } = supervise();
    await log.open();
    const call = log.read('a').catch(() => undefined);
    const close = log.close();
    await kill();
    await close;
    await call;
    expect(started).toHaveLength(1);
  });
});

describe('the next writer', () => {
  test('that dies in the turn in which it has opened the directory is replaced, too', async () => {
    let deaths = 0;
    const { log, started, kill } = supervise({
      change: (writer) => {
        if (deaths === 1) return writer;
        deaths += 1;
        const died = Promise.withResolvers<void>();
        const { client } = writer;
        client.resume = async () => {
          const resumed = await LogStoreClient.prototype.resume.call(client);
          died.reject(new Error('died at once'));
          return resumed;
        };
        return { ...writer, outcome: died.promise };
      },
    });
    await log.open();
    await kill();
    await log.commit(batch(['a', 1]));
    expect(started).toHaveLength(3);
  });

  test('that never answers makes the log fail', async () => {
    const { log, kill } = supervise({
      timeoutMs: 100,
      change: (writer) => {
        writer.client.resume = () => new Promise(() => {});
        return writer;
      },
    });
    await log.open();
    const commit = failure(log.commit(batch(['a', 1])));
    await kill();
    expect(await commit).toMatchObject({
      code: 'ERR_TIDEMARK_STORE_FAILED',
      message: expect.stringContaining('within 100 ms'),
    });
  });

  test('is not started while the thread of the last one has not gone, and the log fails', async () => {
    const isGone = Promise.withResolvers<void>();
    const { log, started, kill } = supervise({ timeoutMs: 1, gone: () => isGone.promise });
    await log.open();
    const commit = failure(log.commit(batch(['a', 1])));
    await kill();
    expect(await commit).toMatchObject({
      code: 'ERR_TIDEMARK_STORE_FAILED',
      message: expect.stringContaining('within 1 ms'),
    });
    expect(started).toHaveLength(1);
    isGone.resolve();
  });

  test('is one of so many in a row, unless something was answered', async () => {
    const { log, started, kill } = supervise();
    await log.open();
    for (let round = 1; round <= 2 * WRITERS_MAX; round++) {
      await kill();
      await log.commit(batch(['a', round]));
    }
    expect(started).toHaveLength(1 + 2 * WRITERS_MAX);
  });

  test('is not started when so many have died with nothing asked', async () => {
    const { log, started } = supervise({
      change: (writer) => {
        const { client } = writer;
        client.resume = async () => {
          const resumed = await LogStoreClient.prototype.resume.call(client);
          void writer.destroy();
          return resumed;
        };
        return writer;
      },
    });
    await log.open();
    await started[0]?.terminate();
    expect(await failureCode(log.read('a'))).toBe('ERR_TIDEMARK_STORE_FAILED');
    expect(started).toHaveLength(WRITERS_MAX);
  });
});
