/**
 * The store suite: checkpoints made durable, and a directory brought back to memory, by the log and by what a
 * service would keep its checkpoints in instead.
 *
 *   save      group commits                   save-one   a commit for each checkpoint
 *   recover   from a directory that a killed process left behind to every newest checkpoint in memory, verified
 *
 * A subject has a process of its own for all that it saves, and one for each recovery. The subjects take turns sample by
 * sample, since they share a disk that others may use too.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { casesOf, type StoreCase } from './store/cases.ts';
import { allocatedBytes, isInMemory, warm } from './store/disk.ts';
import { Peer } from './store/peer.ts';
import type { RunRequest } from './store/run.ts';
import type { SaveSample } from './store/save-run.ts';
import { subjectNames } from './store/subject.ts';
import { type DiskUse, type Result, type Suite, summarizeByMedian } from './suite.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface Entry {
  readonly subject: string;
  readonly peer: Peer<RunRequest>;
  /** What the subject has on disk for the case that is measured. */
  readonly directory: string;
  readonly place: { readonly subject: string; readonly case: string; readonly isSmoke: boolean };
  readonly samplesNs: number[];
  writtenBytes: number;
  allocatedBytes: number;
}

export const suite: Suite = {
  name: 'store',
  async *run({ isSmoke }) {
    const start = performance.now();
    const root = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
    // Ended early, it must leave neither data nor processes that are paused.
    const onExit = (): void => rmSync(root, { recursive: true, force: true, maxRetries: 3 });
    const onSignal = (): void => process.exit(1);
    process.once('exit', onExit);
    for (const signal of SIGNALS) process.once(signal, onSignal);
    const peers = new Map(subjectNames('save').map((subject) => [subject, startPeer()]));
    try {
      if (!isSmoke && isInMemory(root))
        throw new Error(`${tmpdir()} is not on a disk; set TMPDIR to a directory that is`);
      for (const plan of casesOf(isSmoke)) {
        const measure = plan.kind === 'save' ? measureSaves : measureRecoveries;
        const entries = await openAll(plan, peers, { root, isSmoke });
        await measure(plan, entries, start);
        yield entries.map((entry) => resultOf(plan, entry));
        await rm(join(root, folderOf(plan)), { recursive: true });
      }
    } finally {
      await Promise.all([...peers.values()].map((peer) => peer.kill()));
      await rm(root, { recursive: true, force: true });
      process.off('exit', onExit);
      for (const signal of SIGNALS) process.off(signal, onSignal);
    }
  },
};

function startPeer(): Peer<RunRequest> {
  return new Peer(new URL('./store/run.ts', import.meta.url));
}

/** One after the other: each opens its store and saves every stream. */
async function openAll(
  plan: StoreCase,
  peers: ReadonlyMap<string, Peer<RunRequest>>,
  { root, isSmoke }: { readonly root: string; readonly isSmoke: boolean },
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const subject of subjectNames(plan.kind)) {
    // The store is to be found as a crash leaves it, so the process that made it ends like that.
    const peer = plan.kind === 'save' ? (peers.get(subject) as Peer<RunRequest>) : startPeer();
    const directory = join(root, folderOf(plan), subject.replace(':', '-'));
    mkdirSync(directory, { recursive: true });
    const place = { subject, case: plan.name, isSmoke };
    try {
      peer.resume();
      await peer.ask({ kind: 'open', ...place, directory });
      peer.pause();
    } finally {
      if (plan.kind === 'recover') await peer.kill();
    }
    entries.push({ subject, peer, directory, place, samplesNs: [], writtenBytes: 0, allocatedBytes: 0 });
  }
  return entries;
}

async function measureSaves(plan: StoreCase, entries: readonly Entry[], start: number): Promise<void> {
  // The first sample of a process is not like the others: memory is used that it has not had before.
  for (const { peer } of entries) await takeSample(peer);
  await takeTurns(plan, { entries, start }, async (entry) => {
    const { ns, writtenBytes } = await takeSample(entry.peer);
    entry.samplesNs.push(ns / (plan.commits * plan.framesPerCommit));
    entry.writtenBytes += writtenBytes ?? Number.NaN;
  });
  for (const entry of entries) {
    entry.allocatedBytes = allocatedBytes(entry.directory);
    entry.peer.resume();
    await entry.peer.ask({ kind: 'finish' });
  }
}

/** Of a process that is stopped until then, and again after it. */
async function takeSample(peer: Peer<RunRequest>): Promise<SaveSample> {
  peer.resume();
  const sample = await peer.ask<SaveSample>({ kind: 'sample' });
  peer.pause();
  return sample;
}

async function measureRecoveries(plan: StoreCase, entries: readonly Entry[], start: number): Promise<void> {
  for (const entry of entries) {
    entry.allocatedBytes = allocatedBytes(entry.directory);
    entry.writtenBytes = Number.NaN;
    warm(entry.directory);
  }
  await takeTurns(plan, { entries, start }, async ({ directory, place, samplesNs }) => {
    const peer = startPeer();
    try {
      samplesNs.push(await peer.ask<number>({ kind: 'recover', ...place, directory }));
    } finally {
      // The next one finds the directory as a crash leaves it.
      await peer.kill();
    }
  });
}

async function takeTurns(
  { rounds, untilMs }: StoreCase,
  { entries, start }: { readonly entries: readonly Entry[]; readonly start: number },
  sample: (entry: Entry) => Promise<void>,
): Promise<void> {
  const begin = performance.now();
  for (let round = 0; round < rounds; round++) {
    const now = performance.now();
    if (round > 0 && now - start + (now - begin) / round > untilMs) break;
    for (const entry of entries) await sample(entry);
  }
}

function resultOf(plan: StoreCase, { subject, samplesNs, writtenBytes, allocatedBytes }: Entry): Result {
  const { streams, frameBytes, perStream, framesPerCommit, commits } = plan;
  const savedBytes = samplesNs.length * commits * framesPerCommit * frameBytes;
  const disk: DiskUse = {
    takenToKept: allocatedBytes / (streams * perStream * frameBytes),
    ...(Number.isFinite(writtenBytes) ? { writtenToSaved: writtenBytes / savedBytes } : {}),
  };
  return {
    suite: 'store',
    case: plan.name,
    subject,
    bytesPerOp: plan.kind === 'save' ? frameBytes : streams * frameBytes,
    ...summarizeByMedian(samplesNs),
    remarks: [],
    // What only writes keeps nothing.
    ...(subject.startsWith('limit-') ? {} : { disk }),
  };
}

/** Of a case's directories, in that of the suite. */
function folderOf({ name }: StoreCase): string {
  return name.replace('/', '-');
}
