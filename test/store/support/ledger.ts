/**
 * What was promised to the user of a log, and what may be found of it after a crash. It knows nothing of how a log
 * works: only what was committed and removed, what was acknowledged, and what was being done when the power failed.
 *
 * Found must be exactly what was acknowledged, or what the call under way would have come to, never a mixture. Older
 * checkpoints may be given up for newer ones when the disk is short, so those that the open log still had must be there;
 * of every stream the newest one must. Nothing is found that was not saved, or that was removed.
 */
import { strict as assert } from 'node:assert';
import type { OpenedLog } from '../../../src/store/log/open-log.ts';

/** Of each stream its checkpoints, by sequence. */
type Checkpoints = ReadonlyMap<string, ReadonlyMap<bigint, Uint8Array>>;

/** All that was saved and not removed, also what retention has given up since; and the frontier of the one source. */
export interface Promised {
  readonly checkpoints: Checkpoints;
  readonly frontier: bigint | undefined;
}

export interface Found extends Promised {
  readonly generation: bigint;
}

export const NOTHING: Promised = { checkpoints: new Map(), frontier: undefined };
export const SOURCE = 's';

export interface Expectation {
  /** The first one was acknowledged; the others are what the call under way may have come to. */
  readonly states: readonly Promised[];
  /** What the open log had when the machine stopped. */
  readonly held: ReadonlyMap<string, ReadonlySet<bigint>>;
  readonly perStream: number;
  /** The greatest generation that anybody was told. */
  readonly generation: bigint;
}

/** Everything in an open log, read and verified. */
export function findAll({ store, frontiers, generation }: OpenedLog): Found {
  const checkpoints = new Map<string, Map<bigint, Uint8Array>>();
  for (const stream of store.streams()) {
    const bySequence = new Map<bigint, Uint8Array>();
    for (const { sequence } of store.list(stream)) {
      const bytes = store.readFrame(stream, sequence);
      assert(bytes !== undefined);
      bySequence.set(sequence, bytes);
    }
    checkpoints.set(stream, bySequence);
  }
  return { checkpoints, frontier: frontiers.get(SOURCE), generation };
}

/** Which of the states was found; throws an error that says why it is none. */
export function expectFound(found: Found, expectation: Expectation): Promised {
  const { states, generation } = expectation;
  assert(found.generation > generation, `generation ${found.generation} was given before: ${generation}`);
  const differences = states.map((state) => differenceFrom(found, state, expectation));
  const match = states[differences.indexOf(undefined)];
  if (match !== undefined) return match;
  assert.fail(['what is found is no state that may be:', ...differences].join('\n  '));
}

function differenceFrom(found: Found, state: Promised, expectation: Expectation): string | undefined {
  if (found.frontier !== state.frontier) return `frontier ${found.frontier}, not ${state.frontier}`;
  for (const stream of found.checkpoints.keys()) {
    if (!state.checkpoints.has(stream)) return `${stream} was never saved, or was forgotten`;
  }
  for (const [stream, promised] of state.checkpoints) {
    const difference = differenceOf(stream, promised, found, expectation);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function differenceOf(
  stream: string,
  promised: ReadonlyMap<bigint, Uint8Array>,
  { checkpoints }: Found,
  { states, held, perStream }: Expectation,
): string | undefined {
  const found = checkpoints.get(stream) ?? new Map<bigint, Uint8Array>();
  if (found.size > perStream) return `${found.size} checkpoints of ${stream}`;
  for (const [sequence, bytes] of found) {
    const saved = promised.get(sequence);
    if (saved === undefined) return `${stream} at ${sequence} was never saved, or was removed`;
    if (Buffer.compare(saved, bytes) !== 0) return `${stream} at ${sequence} is not what was saved last`;
  }
  const before = states[0]?.checkpoints.get(stream);
  for (const sequence of held.get(stream) ?? []) {
    const isNew = before?.has(sequence) !== true;
    if (isNew && !promised.has(sequence)) return `${stream} at ${sequence} was durable already`;
  }
  const kept = [...promised.keys()].sort(descending).slice(0, perStream);
  for (const [place, sequence] of kept.entries()) {
    const isNew = before?.has(sequence) !== true;
    const isDue = place === 0 || isNew || held.get(stream)?.has(sequence) === true;
    if (isDue && !found.has(sequence)) return `${stream} at ${sequence} is not there`;
  }
  return undefined;
}

function descending(a: bigint, b: bigint): number {
  return a < b ? 1 : -Number(a > b);
}

/** `promised` with a commit: all of its frames, or the first ones of a batch that goes out in several commits. */
export function withFrames(
  promised: Promised,
  frames: readonly { readonly stream: string; readonly sequence: bigint; readonly bytes: Uint8Array }[],
  frontier: bigint | undefined,
): Promised {
  const checkpoints = new Map(promised.checkpoints);
  for (const { stream, sequence, bytes } of frames) {
    checkpoints.set(stream, new Map(checkpoints.get(stream)).set(sequence, bytes));
  }
  return { checkpoints, frontier: frontier ?? promised.frontier };
}

/** `promised` without the checkpoints of `stream` below a sequence, or without all of them. */
export function without(promised: Promised, stream: string, below: bigint | undefined): Promised {
  const checkpoints = new Map(promised.checkpoints);
  const left = [...(checkpoints.get(stream) ?? [])].filter(
    ([sequence]) => below !== undefined && sequence >= below,
  );
  if (left.length === 0) checkpoints.delete(stream);
  else checkpoints.set(stream, new Map(left));
  return { ...promised, checkpoints };
}
