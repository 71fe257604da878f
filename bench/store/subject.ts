/**
 * What the store suite asks of a subject, and where each is found. A rival is used as a service would use it
 * that keeps its checkpoints there by hand: the key is stream and sequence, the value is the whole frame, and the
 * save of a checkpoint removes the one that retention no longer keeps.
 */
import type { EngineMemory } from '../../src/memory/engine-memory.ts';
import { isInstalled } from '../compare/packages.ts';
import type { StoreCase } from './cases.ts';
import type { RecoveryTarget } from './recovery-target.ts';

/** The sequences of a stream are 1, 2, 3 and so on, so that a rival need not look up what to remove. */
export interface SavedFrame {
  readonly stream: string;
  readonly sequence: bigint;
  readonly bytes: Uint8Array;
}

export interface StoreSubject {
  /** Everything in `frames` is durable, and retention is applied, when it returns or resolves. */
  commit(frames: readonly SavedFrame[]): Promise<void> | void;
  /** What is kept of a stream. Absent: nothing is, there is only the writing; `close` checks that. */
  readonly kept?: {
    /** Ascending. */
    sequences(stream: string): Promise<readonly bigint[]>;
    newest(stream: string): Promise<Uint8Array | undefined>;
  };
  close(): Promise<void>;
}

export interface OpenRequest {
  readonly plan: StoreCase;
  /** Exists; empty at first. */
  readonly directory: string;
  /** The engine's memory, in which the frames lie that `commit` is given, if the subject is one that writes from there. */
  readonly memory: EngineMemory;
}

export interface RecoverRequest {
  readonly plan: StoreCase;
  readonly directory: string;
  readonly target: RecoveryTarget;
}

export interface StoreSubjectModule {
  readonly open: (request: OpenRequest) => Promise<StoreSubject>;
  /** From the directory to the newest checkpoint of every stream in `target`. Absent: there is nothing to recover. */
  readonly recover?: (request: RecoverRequest) => Promise<void>;
  /** Whether it writes frames from the engine's memory; others get them in buffers of their own. */
  readonly isShared: boolean;
}

interface SubjectEntry {
  readonly packages: readonly string[];
  readonly recovers: boolean;
  readonly load: () => Promise<StoreSubjectModule>;
}

const SUBJECTS: Readonly<Record<string, SubjectEntry>> = {
  tidemark: {
    packages: [],
    recovers: true,
    load: async () => (await import('./tidemark.ts')).tidemark,
  },
  'tidemark-in-thread': {
    packages: [],
    recovers: true,
    load: async () => (await import('./tidemark-in-thread.ts')).tidemarkInThread,
  },
  lmdb: {
    packages: ['lmdb'],
    recovers: true,
    load: async () => (await import('./lmdb.ts')).loadLmdb(),
  },
  'node:sqlite': {
    packages: [],
    recovers: true,
    load: async () => (await import('./sqlite.ts')).sqlite,
  },
  'classic-level': {
    packages: ['classic-level'],
    recovers: true,
    load: async () => (await import('./classic-level.ts')).loadClassicLevel(),
  },
  'limit-preallocated-write': {
    packages: [],
    recovers: false,
    load: async () => (await import('./preallocated-write.ts')).preallocatedWrite,
  },
};

/** Those whose packages are installed and that have the case. */
export function subjectNames(kind: StoreCase['kind']): string[] {
  return Object.entries(SUBJECTS)
    .filter(([, { packages, recovers }]) => packages.every(isInstalled) && (recovers || kind === 'save'))
    .map(([name]) => name);
}

export async function loadSubject(name: string): Promise<StoreSubjectModule> {
  const loaded = await SUBJECTS[name]?.load();
  if (loaded === undefined) throw new Error(`no subject is named '${name}'`);
  return loaded;
}
