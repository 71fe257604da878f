/** The payload of a COMMIT record: what the commit holds and what it says about the log. See FORMAT.md. */
import { ByteCursor } from '../../codec/cursor.ts';
import { compareUtf8, decodeUtf8, writeUtf8 } from '../../codec/utf8.ts';
import { getCounter, putCounter, viewOf } from './layout.ts';

export type Frontiers = ReadonlyMap<string, bigint>;

/** Which checkpoint a FRAME record of the commit holds, in the order of the records. */
export interface CommitFrame {
  readonly stream: string;
  readonly sequence: bigint;
}

/** The frontiers of an earlier commit from which frames were carried into this one. */
export interface Origin {
  readonly commit: number;
  readonly frontiers: Frontiers;
}

/** Removes checkpoints of `stream` that were first saved in commits up to `through`. */
export interface Tombstone {
  readonly stream: string;
  /** Only those with a lower sequence; undefined: all. */
  readonly below: bigint | undefined;
  readonly through: number;
}

export interface CommitRecord {
  /** Milliseconds since the Unix epoch. */
  readonly createdAtMs: number;
  /** The least lap that is still in use; segments of lesser laps are free. */
  readonly tailLap: number;
  /** Damage in commits up to this one has been taken into the frontiers. */
  readonly settledCommit: number;
  /** The last commit before this one in which compaction carried frames; 0: none. */
  readonly previousCarry: number;
  /** XXH64 over the header checksums of the commit's FRAME records. */
  readonly framesChecksum: bigint;
  readonly frames: readonly CommitFrame[];
  readonly frontiers: Frontiers;
  readonly origins: readonly Origin[];
  readonly tombstones: readonly Tombstone[];
}

/** A record that was read; which checkpoints it names is decoded when somebody asks. */
export interface FoundCommitRecord extends Omit<CommitRecord, 'frames'> {
  readonly frames: CommitFrames;
}

const AT = {
  createdAt: 0,
  tailLap: 8,
  settledCommit: 16,
  previousCarry: 24,
  framesChecksum: 32,
  frames: 40,
  frontiers: 44,
  origins: 48,
  tombstones: 52,
} as const;
const FIXED_BYTES = 56;
const TOMBSTONE_BELOW = 0;
const TOMBSTONE_ALL = 1;

/** At least as many bytes as `writeCommitRecord` will write. A UTF-16 unit takes at most three of UTF-8. */
export function commitRecordBytesMax(record: Omit<CommitRecord, 'framesChecksum'>): number {
  let bytes = FIXED_BYTES;
  for (const frame of record.frames) bytes += commitFrameBytesMax(frame.stream);
  bytes += frontiersBytesMax(record.frontiers);
  for (const origin of record.origins) bytes += originBytesMax(origin);
  for (const tombstone of record.tombstones) bytes += tombstoneBytesMax(tombstone);
  return bytes;
}

/** Its share for one frame of `stream`. */
export function commitFrameBytesMax(stream: string): number {
  return 12 + 3 * stream.length;
}

/** Its share for one origin. */
export function originBytesMax({ frontiers }: Origin): number {
  return 12 + frontiersBytesMax(frontiers);
}

/** The share of one tombstone. */
export function tombstoneBytesMax({ stream }: Tombstone): number {
  return 24 + 3 * stream.length;
}

export function frontiersBytesMax(frontiers: Frontiers): number {
  let bytes = 0;
  for (const source of frontiers.keys()) bytes += 12 + 3 * source.length;
  return bytes;
}

/** Writes `record` at `start` and returns where it ends. `view` spans the same bytes as `target`. */
export function writeCommitRecord(
  target: Uint8Array,
  view: DataView,
  start: number,
  record: CommitRecord,
): number {
  view.setBigUint64(start + AT.createdAt, BigInt(record.createdAtMs) * 1_000_000n, true);
  putCounter(view, start + AT.tailLap, record.tailLap);
  putCounter(view, start + AT.settledCommit, record.settledCommit);
  putCounter(view, start + AT.previousCarry, record.previousCarry);
  view.setBigUint64(start + AT.framesChecksum, record.framesChecksum, true);
  view.setUint32(start + AT.frames, record.frames.length, true);
  view.setUint32(start + AT.frontiers, record.frontiers.size, true);
  view.setUint32(start + AT.origins, record.origins.length, true);
  view.setUint32(start + AT.tombstones, record.tombstones.length, true);
  let at = start + FIXED_BYTES;
  for (const frame of record.frames) {
    view.setBigUint64(at, frame.sequence, true);
    at = writeText(target, view, at + 8, frame.stream);
  }
  at = writeFrontiers(target, view, at, record.frontiers);
  for (const origin of record.origins) {
    putCounter(view, at, origin.commit);
    view.setUint32(at + 8, origin.frontiers.size, true);
    at = writeFrontiers(target, view, at + 12, origin.frontiers);
  }
  return writeTombstones(target, view, at, record.tombstones);
}

export function writeTombstones(
  target: Uint8Array,
  view: DataView,
  start: number,
  tombstones: readonly Tombstone[],
): number {
  let at = start;
  for (const tombstone of tombstones) {
    putCounter(view, at, tombstone.through);
    view.setBigUint64(at + 8, tombstone.below ?? 0n, true);
    view.setUint32(at + 16, tombstone.below === undefined ? TOMBSTONE_ALL : TOMBSTONE_BELOW, true);
    at = writeText(target, view, at + 20, tombstone.stream);
  }
  return at;
}

export function writeFrontiers(
  target: Uint8Array,
  view: DataView,
  start: number,
  frontiers: Frontiers,
): number {
  let at = start;
  for (const source of [...frontiers.keys()].sort(compareUtf8)) {
    view.setBigUint64(at, frontiers.get(source) as bigint, true);
    at = writeText(target, view, at + 8, source);
  }
  return at;
}

export function writeText(target: Uint8Array, view: DataView, at: number, text: string): number {
  const end = writeUtf8(target, at + 4, text);
  view.setUint32(at, end - at - 4, true);
  return end;
}

/**
 * Reads the payload that fills `bytes`, whose checksum was right.
 * @throws ERR_TIDEMARK_DESERIALIZATION when it is not of this format all the same
 */
export function readCommitRecord(bytes: Uint8Array): FoundCommitRecord {
  const cursor = new ByteCursor({
    bytes,
    start: 0,
    end: bytes.length,
    code: 'ERR_TIDEMARK_DESERIALIZATION',
  });
  cursor.take(FIXED_BYTES, 'the start of a commit record');
  const view = viewOf(bytes);
  const frames = new CommitFrames(bytes, view, { start: cursor.at, count: view.getUint32(AT.frames, true) });
  for (let i = 0; i < frames.count; i++) {
    cursor.take(8, 'a sequence');
    cursor.text('a name');
  }
  const frontiers = readFrontiers(cursor, view.getUint32(AT.frontiers, true));
  const origins = repeat(view.getUint32(AT.origins, true), () => {
    const commit = getCounter(view, cursor.take(8, 'an origin'));
    return { commit, frontiers: readFrontiers(cursor, cursor.u32('a count')) };
  });
  const tombstones = readTombstones(cursor, view, view.getUint32(AT.tombstones, true));
  if (cursor.at !== bytes.length) throw cursor.wrong(`${cursor.left()} bytes follow`, cursor.at);
  return {
    createdAtMs: Number(view.getBigUint64(AT.createdAt, true) / 1_000_000n),
    tailLap: getCounter(view, AT.tailLap),
    settledCommit: getCounter(view, AT.settledCommit),
    previousCarry: getCounter(view, AT.previousCarry),
    framesChecksum: view.getBigUint64(AT.framesChecksum, true),
    frames,
    frontiers,
    origins,
    tombstones,
  };
}

/** Which checkpoints a COMMIT record names, in the order of the records of their frames. Well formed. */
export class CommitFrames {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly count: number;
  private readonly start: number;

  constructor(bytes: Uint8Array, view: DataView, { start, count }: { start: number; count: number }) {
    this.bytes = bytes;
    this.view = view;
    this.start = start;
    this.count = count;
  }

  /** Where in `bytes` the sequence of the first one is; its name follows, with its length in front. */
  first(): number {
    return this.start;
  }

  /** The same of the next one. */
  after(at: number): number {
    return at + 12 + this.view.getUint32(at + 8, true);
  }

  decode(): CommitFrame[] {
    let at = this.start;
    return repeat(this.count, () => {
      const end = this.after(at);
      const sequence = this.view.getBigUint64(at, true);
      const stream = decodeUtf8(this.bytes, at + 12, end) ?? '';
      at = end;
      return { stream, sequence };
    });
  }
}

/** `view` spans the bytes of `cursor`. */
export function readTombstones(cursor: ByteCursor, view: DataView, count: number): Tombstone[] {
  return repeat(count, () => {
    const through = getCounter(view, cursor.take(8, 'a tombstone'));
    const below = cursor.u64('a sequence');
    const kind = cursor.u32('a kind');
    return { through, below: kind === TOMBSTONE_ALL ? undefined : below, stream: readText(cursor) };
  });
}

export function readFrontiers(cursor: ByteCursor, count: number): Map<string, bigint> {
  const frontiers = new Map<string, bigint>();
  for (let i = 0; i < count; i++) {
    const offset = cursor.u64('an offset');
    frontiers.set(readText(cursor), offset);
  }
  return frontiers;
}

export function readText(cursor: ByteCursor): string {
  return cursor.decode(cursor.text('a name'));
}

/** Calls `read` `count` times; a count that lies ends with the bytes, since every item takes some. */
function repeat<T>(count: number, read: () => T): T[] {
  const items: T[] = [];
  for (let i = 0; i < count; i++) items.push(read());
  return items;
}
