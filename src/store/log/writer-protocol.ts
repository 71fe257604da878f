/**
 * What the engine's thread and the store writer say to each other. Frames cross as numbers: where in the engine's
 * memory they lie.
 */
import type { MessagePort } from 'node:worker_threads';
import type { ErrorRecord } from '../../error.ts';
import type { CommitTable } from './commit-table.ts';
import type { NewestColumns } from './newest-frames.ts';
import type { LogOptions } from './options.ts';

/** What the store writer's thread is started with. */
export interface StoreWriterTask {
  /** The other end belongs to a `LogStoreClient`. It is transferred. */
  readonly port: MessagePort;
  /** The engine's memory, in which the frames lie. */
  readonly memory: WebAssembly.Memory | SharedArrayBuffer;
  readonly directory: string;
  readonly options: LogOptions;
}

/** Many names as one text: cheaper to clone than as many strings. */
export interface NameList {
  readonly text: string;
  /** Of each name in UTF-16 units. */
  readonly lengths: Uint32Array;
}

export interface FrontierList {
  readonly sources: NameList;
  readonly offsets: BigUint64Array;
}

export interface CommitRequest extends CommitTable {
  readonly type: 'commit';
  readonly request: number;
  readonly generation: bigint;
  /** Was asked of a writer before, whose answer was never heard: the log may have it, or a beginning of it. */
  readonly isRepeated: boolean;
}

export interface CopyRequest {
  readonly type: 'copy';
  readonly request: number;
  /** Positions in the list of checkpoints that `found` brought. */
  readonly checkpoints: Uint32Array;
  /** Byte offsets in the engine's memory of where to copy them; below zero: send them back. */
  readonly offsets: Float64Array;
}

export interface ForgetRequest {
  readonly type: 'forget';
  readonly request: number;
  readonly stream: string;
  /** The number that the stream had, if any; it is not used again. */
  readonly number?: number;
}

/**
 * Locks and reads the directory, and changes nothing of it yet. What it finds is verified as it is filled in. Asked for
 * again, because something was not good, it reads everything.
 */
export interface FindRequest {
  readonly type: 'find';
  readonly request: number;
}

/** Copies what was found, from number `from` on, to these byte addresses in the engine's memory, verified. */
export interface FillRequest {
  readonly type: 'fill';
  readonly request: number;
  readonly from: number;
  readonly addresses: Float64Array;
}

export type WriterRequest =
  | FindRequest
  | FillRequest
  /** Opens what was found and has been filled in; or finds, verifies and opens, and says what it has found. */
  | { readonly type: 'open'; readonly request: number; readonly isFilled: boolean }
  /** Finds, verifies and opens, for who has what is in it. */
  | { readonly type: 'resume'; readonly request: number }
  | CommitRequest
  | CopyRequest
  | { readonly type: 'read'; readonly request: number; readonly stream: string; readonly sequence?: bigint }
  | { readonly type: 'list'; readonly request: number; readonly stream: string }
  | { readonly type: 'streams'; readonly request: number }
  | {
      readonly type: 'deleteBefore';
      readonly request: number;
      readonly stream: string;
      readonly sequence: bigint;
    }
  | ForgetRequest
  | { readonly type: 'close'; readonly request: number };

/** The newest checkpoint of each stream, in the order in which they lie in the log. */
export interface FoundCheckpoints extends NewestColumns {
  /** Streams that fell back, by their position in the list. */
  readonly fellBack: ReadonlyMap<number, { readonly count: number; readonly reason: string }>;
}

export interface OpenedContents {
  readonly generation: bigint;
  readonly frontiers: FrontierList;
  /** Number of the last commit in the log; each has the next one. */
  readonly lastCommit: number;
  /** Damage was found that no opening before had found, and the frontiers are lowered for it. */
  readonly lowered: boolean;
  readonly lost: readonly { readonly stream: string; readonly reason: string }[];
  /** Absent where it was said before. */
  readonly found?: FoundCheckpoints;
}

export interface CopyFailure {
  /** Position in the request. */
  readonly at: number;
  readonly error: ErrorRecord;
}

export type WriterReply =
  | { readonly type: 'found'; readonly request: number; readonly found: FoundCheckpoints }
  /** `isGood`: all of them are; otherwise what was found is void. */
  | { readonly type: 'filled'; readonly request: number; readonly isGood: boolean }
  | { readonly type: 'opened'; readonly request: number; readonly contents: OpenedContents }
  /** `lastCommit`: as in `OpenedContents`, durable like all before it; 0 for a store that was never open. */
  | { readonly type: 'done'; readonly request: number; readonly lastCommit: number }
  | { readonly type: 'failed'; readonly request: number; readonly error: ErrorRecord }
  /** Answers nothing: a write or a sync has failed, and nothing is written any more. */
  | { readonly type: 'broken'; readonly error: ErrorRecord }
  | {
      readonly type: 'copied';
      readonly request: number;
      readonly failures: readonly CopyFailure[];
      /** Those that were to be sent back, by their position in the request. */
      readonly bytes: ReadonlyMap<number, Uint8Array>;
    }
  | { readonly type: 'frame'; readonly request: number; readonly bytes?: Uint8Array }
  | {
      readonly type: 'checkpoints';
      readonly request: number;
      readonly sequences: BigUint64Array;
      readonly createdAtMs: Float64Array;
    }
  | { readonly type: 'streams'; readonly request: number; readonly names: NameList };

export function toNameList(names: readonly string[]): NameList {
  const lengths = new Uint32Array(names.length);
  for (const [i, name] of names.entries()) lengths[i] = name.length;
  return { text: names.join(''), lengths };
}

export function* fromNameList({ text, lengths }: NameList): Generator<string, void> {
  let at = 0;
  for (const length of lengths) {
    yield text.slice(at, at + length);
    at += length;
  }
}

export function toFrontierList(frontiers: ReadonlyMap<string, bigint>): FrontierList {
  return {
    sources: toNameList([...frontiers.keys()]),
    offsets: BigUint64Array.from(frontiers.values()),
  };
}

export function fromFrontierList({ sources, offsets }: FrontierList): Map<string, bigint> {
  const frontiers = new Map<string, bigint>();
  let at = 0;
  for (const source of fromNameList(sources)) {
    frontiers.set(source, offsets[at] as bigint);
    at += 1;
  }
  return frontiers;
}
