/** What the store suite saves and recovers, and how much of it a sample takes. */

export interface StoreCase {
  readonly name: string;
  /** `save`: the operation is one checkpoint; `recover`: it is the whole directory. */
  readonly kind: 'save' | 'recover';
  readonly streams: number;
  /** Bytes of every frame, footer included. */
  readonly frameBytes: number;
  /** Checkpoints kept of each stream. */
  readonly perStream: number;
  readonly framesPerCommit: number;
  /** As many checkpoints as there are streams, so many times, are saved before anything is measured: the first of every stream in order. */
  readonly passes: number;
  /** In a sample; none where recovery is measured. */
  readonly commits: number;
  /** Samples of each subject at most. */
  readonly rounds: number;
  /** No further round begins that could not end by then, in milliseconds since the suite began. */
  readonly untilMs: number;
}

const KIB = 1024;

interface SaveSize {
  readonly frameBytes: number;
  readonly framesPerCommit: number;
  readonly passes: number;
  readonly commits: number;
  readonly untilMs: number;
}

/** A sample is so long that what a subject does only now and then, to its log or its tables, is in each. */
function save(name: string, size: SaveSize): StoreCase {
  return { name, kind: 'save', streams: 1_000, perStream: 3, rounds: 9, ...size };
}

/** A suite takes three minutes at most; what one case leaves of its time is for the next ones. */
const CASES: readonly StoreCase[] = [
  save('save/1KiB', {
    frameBytes: KIB,
    framesPerCommit: 64,
    passes: 96,
    commits: 256,
    untilMs: 26_000,
  }),
  save('save/8KiB', {
    frameBytes: 8 * KIB,
    framesPerCommit: 64,
    passes: 16,
    commits: 64,
    untilMs: 38_000,
  }),
  save('save/64KiB', {
    frameBytes: 64 * KIB,
    framesPerCommit: 16,
    passes: 10,
    commits: 64,
    untilMs: 60_000,
  }),
  save('save/256KiB', {
    frameBytes: 256 * KIB,
    framesPerCommit: 16,
    passes: 9,
    commits: 16,
    untilMs: 98_000,
  }),
  save('save-one/1KiB', {
    frameBytes: KIB,
    framesPerCommit: 1,
    passes: 4,
    commits: 256,
    untilMs: 106_000,
  }),
  {
    name: 'recover/100k-streams',
    kind: 'recover',
    streams: 100_000,
    frameBytes: 256,
    perStream: 3,
    framesPerCommit: 1_000,
    passes: 3,
    commits: 0,
    rounds: 7,
    untilMs: 126_000,
  },
  {
    name: 'recover/1GiB',
    kind: 'recover',
    streams: 1_024,
    frameBytes: KIB * KIB,
    perStream: 1,
    framesPerCommit: 16,
    passes: 1,
    commits: 0,
    rounds: 7,
    untilMs: 174_000,
  },
];

/** The same with few streams and one short sample. */
function smokeOf(each: StoreCase): StoreCase {
  const streams = each.frameBytes >= 64 * KIB ? 12 : 100;
  const framesPerCommit = Math.min(each.framesPerCommit, streams / 4);
  return { ...each, streams, framesPerCommit, passes: 3, commits: Math.min(each.commits, 4), rounds: 1 };
}

export function casesOf(isSmoke: boolean): readonly StoreCase[] {
  return isSmoke ? CASES.map(smokeOf) : CASES;
}

export function findCase(name: string, isSmoke: boolean): StoreCase {
  const found = casesOf(isSmoke).find((each) => each.name === name);
  if (found === undefined) throw new Error(`no case is named '${name}'`);
  return found;
}
