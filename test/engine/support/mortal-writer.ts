/**
 * A supervised log whose writers run on this thread, on a simulated disk, and die when a test says so: from then on
 * nothing that they do happens and nobody hears of them, and once they are gone their files and locks are free. The disk,
 * and what is unsynced on it, stays as it is: only a thread has died.
 */
import { MessageChannel } from 'node:worker_threads';
import type { Clock } from '../../../src/clock.ts';
import type { RestartEvent } from '../../../src/engine/metrics.ts';
import { type StoreWriter, SupervisedLog } from '../../../src/engine/supervised-log.ts';
import type { FileHandle, FileSystem } from '../../../src/store/file-system.ts';
import { LogStoreClient } from '../../../src/store/log/log-store-client.ts';
import type { LogOptions } from '../../../src/store/log/options.ts';
import type { WriterReply } from '../../../src/store/log/writer-protocol.ts';
import { serveStore } from '../../../src/store/log/writer-server.ts';
import { DIRECTORY, portsOn } from '../../store/support/log.ts';
import type { SimulatedDisk } from '../../store/support/simulated-disk.ts';
import { sharedMemory } from '../../store/support/store-writer.ts';

export const MORTAL_OPTIONS: LogOptions = { diskBytes: 2 ** 20, perStream: 2 };

/** Operations that change the disk, or make it durable. */
type Change = 'create' | 'writev' | 'sync' | 'datasync' | 'syncDirectory' | 'rename' | 'unlink';

export interface Fate {
  /** Before a writer's operation, and after it: whether the writer dies there. */
  onChange?(change: Change, moment: 'before' | 'after'): boolean;
  /** Before a reply is sent, and after it. */
  onReply?(reply: WriterReply, moment: 'before' | 'after'): boolean;
}

export interface MortalLog {
  readonly log: SupervisedLog;
  readonly restarts: readonly RestartEvent[];
  /** How many writers were started, how many of them have died. */
  readonly counts: { started: number; deaths: number };
  /** The writer dies now, between requests. */
  kill(): void;
}

const DEAD = new Error('the thread has died');

export function mortalLog(disk: SimulatedDisk, fate: Fate): MortalLog {
  const memory = sharedMemory(1);
  const restarts: RestartEvent[] = [];
  const counts = { started: 0, deaths: 0 };
  let kill = (): void => {};
  const start = (): StoreWriter => {
    counts.started += 1;
    const { port1, port2 } = new MessageChannel();
    let isDead = false;
    const die = (): void => {
      isDead = true;
      counts.deaths += 1;
      port2.close();
    };
    kill = die;
    const answer = port2.postMessage.bind(port2);
    port2.postMessage = (...parameters: Parameters<typeof answer>) => {
      const reply = parameters[0] as WriterReply;
      if (!isDead && fate.onReply?.(reply, 'before')) die();
      if (isDead) return;
      answer(...parameters);
      if (fate.onReply?.(reply, 'after')) die();
    };
    const handles = new Set<FileHandle>();
    const fileSystem = mortalFileSystem(disk, handles, (change, moment) => {
      if (!isDead && change !== undefined && fate.onChange?.(change, moment)) die();
      if (isDead) throw DEAD;
    });
    const ports = { ...portsOn(disk), fileSystem, clock: restlessClock() };
    const served = serveStore({ port: port2, memory, directory: DIRECTORY, options: MORTAL_OPTIONS, ports });
    const outcome = served.then(() => {
      // As the system does with what a thread has left open.
      if (isDead) for (const handle of handles) disk.close(handle);
    });
    const client = new LogStoreClient({ port: port1, memory });
    const destroy = (): Promise<void> => {
      isDead = true;
      port2.close();
      return outcome;
    };
    return { client, outcome, destroy };
  };
  const log = new SupervisedLog({ start, timeoutMs: 20_000 });
  log.onRestart = (restart) => restarts.push(restart);
  return { log, restarts, counts, kill: () => kill() };
}

/** `pass` throws once the writer is dead; without a change it only looks. */
function mortalFileSystem(
  disk: SimulatedDisk,
  handles: Set<FileHandle>,
  pass: (change: Change | undefined, moment: 'before' | 'after') => void,
): FileSystem {
  function around<Value>(change: Change | undefined, work: () => Value): Value {
    pass(change, 'before');
    const value = work();
    pass(change, 'after');
    return value;
  }
  return {
    open: (path, mode) =>
      around(mode === 'create' ? 'create' : undefined, () => {
        const handle = disk.open(path, mode);
        handles.add(handle);
        return handle;
      }),
    close: (handle) => {
      handles.delete(handle);
      disk.close(handle);
    },
    read: (handle, target, position) => around(undefined, () => disk.read(handle, target, position)),
    writev: (handle, buffers, position) => around('writev', () => disk.writev(handle, buffers, position)),
    size: (handle) => around(undefined, () => disk.size(handle)),
    allocatedBytes: (handle) => around(undefined, () => disk.allocatedBytes(handle)),
    sync: (handle) => around('sync', () => disk.sync(handle)),
    datasync: (handle) => around('datasync', () => disk.datasync(handle)),
    syncDirectory: (path) => around('syncDirectory', () => disk.syncDirectory(path)),
    rename: (from, to) => around('rename', () => disk.rename(from, to)),
    unlink: (path) => around('unlink', () => disk.unlink(path)),
    list: (path) => around(undefined, () => disk.list(path)),
    freeBytes: () => around(undefined, () => disk.freeBytes()),
    makeDirectory: (path) => around(undefined, () => disk.makeDirectory(path)),
  };
}

/** Time passes at every look, so that the log is never busy and does its background work whenever it is not asked. */
function restlessClock(): Clock {
  let ms = 0;
  return {
    now: () => {
      ms += 20;
      return ms;
    },
    wallMs: () => 1_700_000_000_000,
  };
}
