/**
 * From what lies in a directory to what may be believed of it: the index of good checkpoints, the frontiers
 * to replay from, and everything that is damaged. Reads only; opening, inspecting and verifying share it.
 *
 * Frontiers are lowered so that every event that a lost frame covered is read again:
 * - A stream whose newest frames are damaged falls back to its newest good one, and every frontier to that
 *   of the commit that first saved it. A stream without a good frame lowers all of them to the start.
 * - Where commits are gone and nothing says what was in them, every frontier falls back to that of the last
 *   commit before them: no stream has lost a newer checkpoint than those. If compaction may have carried
 *   frames in them, which can be a stream's only ones, or if frontiers were lowered within them, that
 *   argument fails, and the frontiers go to the start.
 * - Damage in commits up to `settledCommit` was taken into the frontiers by an earlier opening.
 */
import type { FileSystem } from '../file-system.ts';
import type { CheckpointIndex } from './checkpoint-index.ts';
import type { FoundCommitRecord, Frontiers, Tombstone } from './commit-record.ts';
import { type Damage, damageOfCommit } from './damage.ts';
import type { DirectoryOnDisk, SegmentOnDisk } from './directory.ts';
import { type DamagedFrame, FallBacks, type FallBackVerdict } from './fall-back.ts';
import { takeKernelBuffer } from './kernel-buffer.ts';
import { HEADER_REGION_BYTES, SUPERBLOCK_FILE } from './layout.ts';
import { type ScanDepth, type ScannedCommit, type ScannedFrame, scanSegment } from './scan.ts';
import type { FoundSegmentIndex } from './segment-index.ts';
import { SegmentIndexes } from './segment-indexes.ts';
import { SCAN_WINDOW_BYTES, SegmentReader, SKIM_WINDOW_BYTES } from './segment-reader.ts';
import { findTailLap, tailLapOf } from './tail.ts';

/**
 * `indexed`: sealed segments are known by their INDEX records, and what these list has yet to be verified (see
 * `NewestFrames`). Whatever else is not as it should be, all is read as with `verify`.
 */
export type RecoverDepth = ScanDepth | 'indexed';

export interface RecoverRequest {
  readonly fileSystem: FileSystem;
  readonly onDisk: DirectoryOnDisk;
  readonly newIndex: () => CheckpointIndex;
  readonly depth: RecoverDepth;
}

export interface RecoveredLog {
  readonly index: CheckpointIndex;
  readonly frontiers: Map<string, bigint>;
  /** Frontiers were lowered, and no commit says so yet. */
  readonly lowered: boolean;
  readonly fellBack: FallBackVerdict['fellBack'];
  readonly lost: FallBackVerdict['lost'];
  readonly damagedFrames: readonly DamagedFrame[];
  readonly damage: readonly Damage[];
  /** The greatest number of a believed or acknowledged commit. */
  readonly lastCommit: number;
  readonly carryCommit: number;
  readonly settledCommit: number;
  readonly generation: number;
  /** In use, ascending by lap; the others are free. */
  readonly live: readonly SegmentOnDisk[];
  readonly tailLap: number;
  readonly headLap: number;
  /** Of the commits in the segment of the greatest lap. */
  readonly headTombstones: readonly Tombstone[];
  /** Where the next commit can go in the segment of the greatest lap; undefined: nowhere. */
  readonly appendAt: number | undefined;
  /** A last commit that was never acknowledged and is not whole. */
  readonly torn: { readonly file: string; readonly position: number } | undefined;
  /** Numbers of the segments of which only the index was read. */
  readonly unread: ReadonlySet<number>;
}

/** A run of numbers of acknowledged commits of which nothing says what was in them. */
interface Gap {
  readonly through: number;
  readonly limit: Frontiers;
}

interface Readable {
  readonly number: number;
  readonly settledCommit: number;
  readonly frontiers: Frontiers;
}

const NO_FRONTIERS: Frontiers = new Map();

export function recoverLog(request: RecoverRequest): RecoveredLog {
  const recovered = new Recovery(request).run();
  const isSound = request.depth !== 'indexed' || recovered.damage.length === 0;
  return isSound ? recovered : recoverLog({ ...request, depth: 'verify' });
}

class Recovery {
  private readonly unread = new Set<number>();
  private readonly request: RecoverRequest;
  private readonly index: CheckpointIndex;
  private readonly fallBacks = new FallBacks();
  private readonly damage: Damage[];
  private readonly gaps: Gap[] = [];
  private readonly live: readonly SegmentOnDisk[];
  private readonly tailLap: number;
  private readonly durableCommit: number;
  private lastReadable: Readable | undefined;
  /** The number that must come next; 0: any. */
  private expected = 0;
  /** Commits before `expected` are missing, from the first of these numbers on; 0: none. */
  private missingFrom = 0;
  private lastCommit = 0;
  private carryCommit: number;
  private generation: number;
  private appendAt: number | undefined;
  private torn: RecoveredLog['torn'];
  private readonly used: readonly SegmentOnDisk[];
  /** What was read of the segment that was looked at last: the newest one is looked at twice. */
  private lastRead:
    | { readonly segment: SegmentOnDisk; readonly commits: readonly ScannedCommit[] }
    | undefined;
  private readonly indexes: SegmentIndexes;
  private headTombstones: Tombstone[] = [];
  /** Files of segments whose index does not verify. */
  private readonly damagedIndexes = new Set<string>();

  constructor(request: RecoverRequest) {
    const { onDisk } = request;
    this.request = request;
    this.index = request.newIndex();
    this.damage = [...onDisk.damage];
    this.durableCommit = onDisk.superblock?.durableCommit ?? 0;
    this.carryCommit = onDisk.superblock?.carryCommit ?? 0;
    this.generation = onDisk.superblock?.generation ?? 0;
    this.used = onDisk.segments.filter(({ lap }) => lap > 0).sort((a, b) => a.lap - b.lap);
    this.indexes = new SegmentIndexes({ ...request, used: this.used });
    const told = findTailLap(
      this.used,
      (segment) => this.indexOf(segment)?.tailLap ?? tailLapOf(this.read(segment)),
    );
    this.tailLap = told ?? this.used[0]?.lap ?? 0;
    this.live = this.used.filter(({ lap }) => lap >= this.tailLap);
  }

  run(): RecoveredLog {
    const { live, index } = this;
    this.checkTail();
    for (const [position, segment] of live.entries()) {
      this.checkLap(segment, live[position - 1]);
      this.appendAt = segment.header?.size === segment.fileBytes ? HEADER_REGION_BYTES : undefined;
      this.headTombstones = [];
      const found = this.indexOf(segment);
      if (found !== undefined && this.followsOn(segment)) {
        this.applyIndex(segment, found);
        continue;
      }
      // The last commit is believed only if its bytes are there, so the newest segment is always read whole.
      const isLast = position === live.length - 1;
      const commits = isLast ? this.read(segment) : this.scan(segment, this.depth);
      for (const commit of commits) this.apply(segment, commit);
    }
    this.closeTrailingGap();
    const detail = 'the index of the segment does not verify; the segment is read instead';
    for (const file of this.damagedIndexes) this.damage.push({ kind: 'index', file, detail });
    const settledCommit = this.lastReadable?.settledCommit ?? 0;
    const frontiers = new Map(this.lastReadable?.frontiers);
    const verdict = this.fallBacks.decide(index, settledCommit);
    const limits = this.gaps.filter(({ through }) => through > settledCommit).map(({ limit }) => limit);
    if (verdict.toStart) limits.push(NO_FRONTIERS);
    limits.push(...this.originFrontiers(verdict.origins));
    for (const limit of limits) lower(frontiers, limit);
    return {
      index,
      frontiers,
      lowered: limits.length > 0,
      fellBack: verdict.fellBack,
      lost: verdict.lost,
      damagedFrames: this.fallBacks.frames(),
      damage: this.damage,
      lastCommit: this.lastCommit,
      carryCommit: this.carryCommit,
      settledCommit,
      generation: this.generation,
      live,
      tailLap: this.tailLap,
      headLap: live.at(-1)?.lap ?? 0,
      headTombstones: this.headTombstones,
      appendAt: this.appendAt,
      torn: this.torn,
      unread: this.unread,
    };
  }

  private get depth(): ScanDepth {
    return this.request.depth === 'skim' ? 'skim' : 'verify';
  }

  /** All of a segment, every byte of it read. */
  private read(segment: SegmentOnDisk): readonly ScannedCommit[] {
    if (this.lastRead?.segment !== segment) {
      this.lastRead = { segment, commits: [...this.scan(segment, 'verify')] };
    }
    return this.lastRead.commits;
  }

  private *scan(segment: SegmentOnDisk, depth: ScanDepth): Generator<ScannedCommit, void> {
    const { lap, header, handle, size } = segment;
    const file = { fileSystem: this.request.fileSystem, handle, size };
    // What goes through the kernel's buffer is read to its end before anything else is.
    const reader =
      depth === 'verify'
        ? new SegmentReader(file, SCAN_WINDOW_BYTES, takeKernelBuffer)
        : new SegmentReader(file, SKIM_WINDOW_BYTES);
    // Where a later segment goes on, this one ends: what is in it from that number on was torn.
    const later = this.used.filter((other) => other.lap > lap && other.header !== undefined);
    const firstCommits = later.map((other) => other.header?.firstCommit ?? 0);
    const acknowledged = later.length > 0 ? Math.min(...firstCommits) - 1 : this.durableCommit;
    yield* scanSegment(reader, { lap, firstCommit: header?.firstCommit ?? 0, acknowledged }, depth);
  }

  private indexOf(segment: SegmentOnDisk): FoundSegmentIndex | undefined {
    const { depth } = this.request;
    const index = depth === 'skim' ? undefined : this.indexes.of(segment);
    if (index === 'damaged') this.damagedIndexes.add(segment.file);
    // What is to be verified is read, whatever the index says.
    return index === 'damaged' || depth === 'verify' ? undefined : index;
  }

  /** Nothing is missing before the first commit of the segment. */
  private followsOn({ header }: SegmentOnDisk): boolean {
    return this.missingFrom === 0 && (this.expected === 0 || header?.firstCommit === this.expected);
  }

  private applyIndex(segment: SegmentOnDisk, found: FoundSegmentIndex): void {
    const { lastCommit, settledCommit, frontiers, tombstones } = found;
    this.unread.add(segment.id);
    this.expected = lastCommit + 1;
    this.lastCommit = Math.max(this.lastCommit, lastCommit);
    this.carryCommit = Math.max(this.carryCommit, found.carryCommit);
    this.generation = Math.max(this.generation, found.generation);
    this.lastReadable = { number: lastCommit, settledCommit, frontiers };
    this.appendAt = this.appendAt === undefined ? undefined : found.end;
    // What lives in the segment came after them, and would be pushed out by what they remove.
    for (const tombstone of tombstones) this.remove(tombstone);
    this.index.load(segment.id, found.streams);
  }

  private remove(tombstone: Tombstone): void {
    this.index.remove(tombstone.stream, tombstone);
    this.fallBacks.remove(tombstone);
    this.headTombstones.push(tombstone);
  }

  /** Numbers are counted from the first commit of the oldest lap in use. */
  private checkTail(): void {
    const tail = this.live[0];
    if (tail !== undefined && tail.lap <= this.tailLap) {
      this.expected = tail.header?.firstCommit ?? 0;
    } else if (tail !== undefined) {
      this.missingFrom = 1;
      this.reportMissing(tail.file, `laps ${this.tailLap} to ${tail.lap - 1} are not there`);
    } else if (this.durableCommit > 0) {
      this.missingFrom = 1;
      this.reportMissing(SUPERBLOCK_FILE, 'no segment is there');
    }
  }

  private checkLap(segment: SegmentOnDisk, previous: SegmentOnDisk | undefined): void {
    if (segment.header !== undefined) this.generation = Math.max(this.generation, segment.header.generation);
    if (previous === undefined || segment.lap === previous.lap + 1) return;
    this.reportMissing(segment.file, `laps ${previous.lap + 1} to ${segment.lap - 1} are not there`);
  }

  private reportMissing(file: string, what: string): void {
    const detail = `segments that held durable commits are missing: ${what}`;
    this.damage.push({ kind: 'segment-missing', file, detail });
  }

  private apply(segment: SegmentOnDisk, commit: ScannedCommit): void {
    const { number, record } = commit;
    if (commit.state === 'torn') {
      this.torn = { file: segment.file, position: commit.start };
      return;
    }
    if (this.expected > 0 && number > this.expected && this.missingFrom === 0) {
      this.missingFrom = this.expected;
      const detail = `the commits from ${this.expected} to ${number - 1} cannot be read`;
      this.damage.push({ kind: 'commits-missing', file: segment.file, position: commit.start, detail });
    }
    if (record !== undefined) this.closeGap(commit, record);
    else if (!commit.framesComplete && this.missingFrom === 0) this.missingFrom = number;
    this.damage.push(...damageOfCommit(segment.file, commit));
    this.expected = number + 1;
    this.lastCommit = Math.max(this.lastCommit, number);
    this.generation = Math.max(this.generation, commit.generation);
    this.appendAt = this.appendAt === undefined || commit.state === 'damaged' ? undefined : commit.end;
    let carried = false;
    if (commit.state === 'good' && record !== undefined) {
      carried = this.index.addCommit({
        segment: segment.id,
        number,
        rows: commit.rows,
        names: record.frames,
      });
    } else {
      for (const frame of commit.frames) {
        carried ||= frame.origin !== number;
        this.applyFrame(segment, commit, frame);
      }
    }
    if (carried) this.carryCommit = Math.max(this.carryCommit, number);
    for (const tombstone of record?.tombstones ?? []) this.remove(tombstone);
  }

  private applyFrame(segment: SegmentOnDisk, commit: ScannedCommit, frame: ScannedFrame): void {
    const { stream, sequence, position, length, generation, damage } = frame;
    const origin = frame.origin < 0 ? commit.number : frame.origin;
    if (stream === undefined || sequence === undefined) return;
    if (damage === undefined) {
      this.index.add(stream, { sequence, origin, segment: segment.id, position, length, generation });
    } else {
      const place = { commit: commit.number, segment: segment.id, position, length };
      this.fallBacks.add({ stream, sequence, origin, ...place, reason: damage });
    }
  }

  /** A readable commit ends a run of unreadable ones and says whether frames were carried in them. */
  private closeGap(commit: ScannedCommit, record: FoundCommitRecord): void {
    const { number } = commit;
    this.endGap(number - 1, record);
    this.carryCommit = Math.max(this.carryCommit, record.previousCarry);
    this.lastReadable = { number, settledCommit: record.settledCommit, frontiers: record.frontiers };
  }

  private closeTrailingGap(): void {
    const { superblock } = this.request.onDisk;
    const through = Math.max(this.durableCommit, this.lastCommit);
    if (this.durableCommit > this.lastCommit) {
      const from = this.lastCommit + 1;
      const detail = `the commits from ${from} to ${through} cannot be read`;
      const file = this.live.at(-1)?.file ?? SUPERBLOCK_FILE;
      this.damage.push({ kind: 'commits-missing', file, detail });
      if (this.missingFrom === 0) this.missingFrom = from;
      // What is left of them must not be overwritten by a commit that takes their place.
      this.appendAt = undefined;
    }
    const told = superblock !== undefined && superblock.durableCommit >= through;
    this.endGap(through, {
      previousCarry: told ? superblock.carryCommit : Number.POSITIVE_INFINITY,
      settledCommit: told ? superblock.settledCommit : 0,
    });
    this.lastCommit = through;
  }

  private endGap(through: number, after: { previousCarry: number; settledCommit: number }): void {
    if (this.missingFrom === 0) return;
    const before = this.lastReadable;
    const sound =
      before !== undefined &&
      after.previousCarry <= before.number &&
      after.settledCommit === before.settledCommit;
    this.gaps.push({ through, limit: sound ? before.frontiers : NO_FRONTIERS });
    this.missingFrom = 0;
  }

  /** The frontiers of the given commits, from their own records or from those that carried their frames. */
  private originFrontiers(origins: ReadonlySet<number>): Frontiers[] {
    if (origins.size === 0) return [];
    const found = new Map<number, Frontiers>();
    for (const segment of this.live) {
      for (const { number, record, state } of this.scan(segment, 'skim')) {
        if (record === undefined || state === 'torn') continue;
        if (origins.has(number)) found.set(number, record.frontiers);
        for (const { commit, frontiers } of record.origins) {
          if (origins.has(commit)) found.set(commit, frontiers);
        }
      }
    }
    return [...origins].map((origin) => found.get(origin) ?? NO_FRONTIERS);
  }
}

/** Takes every frontier back to `limit`; a source that `limit` does not have is read from the start. */
function lower(frontiers: Map<string, bigint>, limit: Frontiers): void {
  for (const [source, offset] of frontiers) {
    const bound = limit.get(source);
    if (bound === undefined) frontiers.delete(source);
    else if (bound < offset) frontiers.set(source, bound);
  }
}
