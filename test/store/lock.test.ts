/**
 * One owner at a time, by a lock that the kernel takes back. Crash: the owner is killed. Lost would be the directory if
 * the lock stayed behind; it does not, since it is not a file that says so but a lock of the operating system.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inspectDirectory } from '../../src/store/log/inspect.ts';
import { lockDirectory } from '../../src/store/log/lock.ts';
import { nodePorts } from '../../src/store/log/node-ports.ts';
import { openLog } from '../../src/store/log/open-log.ts';
import { frameOf } from './support/frames.ts';
import { codeOf, MIB } from './support/log.ts';

const OPTIONS = { diskBytes: 4 * MIB, perStream: 3, lockWaitMs: 0 };
const OPENER = new URL('support/opener.ts', import.meta.url);

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-lock-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function open(lockWaitMs = 0): ReturnType<typeof openLog> {
  return openLog(nodePorts, directory, { ...OPTIONS, lockWaitMs });
}

/** What `--expose-gc` gives, in a process that was started without it. */
function makeCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/** A process that opens the directory, says so, and holds it until it is killed. */
async function startOwner(): Promise<ChildProcess> {
  const owner = spawn(process.execPath, [OPENER.pathname, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: owner.stdout }), 'line')) as [string];
  expect(line).toBe('opened');
  return owner;
}

describe('a directory that is open', () => {
  test('is refused to a second opener in the same process, and unharmed by it', () => {
    const first = open();
    first.store.commit({ frames: [frameOf('a', 1)], frontiers: new Map(), generation: 1n });
    for (let i = 0; i < 3; i++) expect(codeOf(() => open())).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
    first.store.commit({ frames: [frameOf('a', 2)], frontiers: new Map(), generation: 1n });
    first.store.close();
    const second = open();
    expect(second.generation).toBe(2n);
    second.store.close();
  });

  test('is refused even when its owner has forgotten it without closing it', () => {
    const collect = makeCollector();
    open();
    for (let i = 0; i < 3; i++) collect();
    expect(codeOf(() => open())).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
  });

  test('is refused to another thread of the process', async () => {
    const first = open();
    const worker = new Worker(OPENER, { argv: [directory], stdout: true, execArgv: [] });
    // Waited for together: the last message and the exit may be emitted in one turn.
    const [[message]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    expect(message).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
    // The other thread's attempt did not take the lock off this one.
    expect(codeOf(() => open())).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
    first.store.close();
    open().store.close();
  });

  test('is refused while its owner is another process, and free at once when that is killed', async () => {
    const owner = await startOwner();
    expect(codeOf(() => open())).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
    const verify = () => inspectDirectory(nodePorts.fileSystem, directory, { verify: true });
    expect(codeOf(verify)).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
    // Listing needs no lock.
    expect(inspectDirectory(nodePorts.fileSystem, directory, { verify: false }).streams).toHaveLength(1);
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    const { store, generation } = open();
    expect(generation).toBe(2n);
    expect([...store.streams()]).toEqual(['from the owner']);
    store.close();
  });

  test('is waited for when its owner is about to go', async () => {
    const owner = await startOwner();
    owner.kill('SIGKILL');
    open(5000).store.close();
    if (owner.exitCode === null && owner.signalCode === null) await once(owner, 'exit');
  });
});

describe('the lock file', () => {
  test('is empty and alone', () => {
    const { store } = open();
    expect(statSync(join(directory, 'LOCK')).size).toBe(0);
    store.close();
  });

  test('with something in it is found by verify and mended by the next opening', () => {
    open().store.close();
    writeFileSync(join(directory, 'LOCK'), 'damaged '.repeat(100));
    const { damage } = inspectDirectory(nodePorts.fileSystem, directory, { verify: true });
    expect(damage.map(({ kind }) => kind)).toEqual(['lock']);
    const { store } = open();
    expect(codeOf(() => open())).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
    expect(readFileSync(join(directory, 'LOCK'))).toHaveLength(0);
    store.close();
    expect(inspectDirectory(nodePorts.fileSystem, directory, { verify: true }).damage).toEqual([]);
  });

  test('is shared by those who verify, and keeps engines out meanwhile', () => {
    open().store.close();
    const request = { directory, mode: 'shared', waitMs: 0 } as const;
    const [one, two] = [lockDirectory(request), lockDirectory(request)];
    expect(codeOf(() => open())).toBe('ERR_TIDEMARK_DIRECTORY_LOCKED');
    one.release();
    two.release();
    open().store.close();
  });
});
