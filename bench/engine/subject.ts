/** What the engine suite asks of a subject, and where each is found. Each run has a process of its own. */
import { isInstalled } from '../compare/packages.ts';
import type { EngineCase } from './cases.ts';
import type { LoadEvent } from './load.ts';

export interface EngineSubject {
  /** Takes a batch, which is used again once this resolves. */
  push(batch: readonly LoadEvent[]): Promise<void>;
  /** Resolves when every event is applied and every stream's newest checkpoint is durable. */
  finish(): Promise<void>;
  totals(): Promise<Totals>;
  /** The newest durable checkpoint of a stream. */
  stateOf(stream: string): Promise<FoundState | undefined>;
  close(): Promise<void>;
}

export interface Totals {
  readonly events: number;
  readonly checkpoints: number;
  /** Bytes of checkpoints that became durable, of a subject that counts them. */
  readonly durableBytes?: number;
}

export interface FoundState {
  /** Events that the checkpoint includes, and where the stream's source goes on. */
  readonly events: number;
  readonly nextOffset: number;
  /** What the operator made of them. */
  readonly count: number;
  readonly total: number;
}

type Opener = (each: EngineCase, directory: string) => Promise<EngineSubject>;

interface SubjectEntry {
  readonly packages: readonly string[];
  readonly load: () => Promise<Opener>;
}

const SUBJECTS: Readonly<Record<string, SubjectEntry>> = {
  tidemark: { packages: [], load: async () => (await import('./tidemark.ts')).openTidemark },
  'diy-piscina': {
    packages: ['lmdb'],
    load: async () => (await import('./diy-piscina.ts')).openDiyPiscina,
  },
  'diy-single': {
    packages: ['lmdb', 'msgpackr'],
    load: async () => (await import('./diy-single.ts')).openDiySingle,
  },
};

/** Those whose packages are installed. */
export function subjectNames(): string[] {
  return Object.keys(SUBJECTS).filter((name) => SUBJECTS[name]?.packages.every(isInstalled));
}

export async function openSubject(name: string, each: EngineCase, directory: string): Promise<EngineSubject> {
  const open = await SUBJECTS[name]?.load();
  if (open === undefined) throw new Error(`no subject is named '${name}'`);
  return open(each, directory);
}
