/**
 * The user of a log on a simulated disk, over many lives of its directory: does what it is told, and can say at any
 * operation of the disk what a crash may leave.
 */
import { strict as assert } from 'node:assert';
import { TidemarkError } from '../../../src/error.ts';
import { inspectDirectory } from '../../../src/store/log/inspect.ts';
import type { LogFrame } from '../../../src/store/log/log-store.ts';
import { type OpenedLog, openLog } from '../../../src/store/log/open-log.ts';
import type { LogOptions, LogPorts } from '../../../src/store/log/options.ts';
import { frameOf } from './frames.ts';
import {
  type Expectation,
  expectFound,
  type Found,
  findAll,
  NOTHING,
  type Promised,
  SOURCE,
  withFrames,
  without,
} from './ledger.ts';
import { DIRECTORY, MIB, portsOn } from './log.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

export const USER_OPTIONS: LogOptions = { diskBytes: MIB, perStream: 2 };
/** With the smallest disk, segments are as small as they get; a batch that is larger goes out in several commits. */
const SEGMENT_BYTES = 64 * 1024;

export interface FrameWish {
  readonly stream: string;
  readonly stateBytes: number;
  /** Saves the newest sequence of the stream again, with other bytes, instead of a new one. */
  readonly again?: boolean;
}

export type Task =
  | { readonly kind: 'commit'; readonly frames: readonly FrameWish[] }
  | { readonly kind: 'delete before'; readonly stream: string }
  | { readonly kind: 'forget'; readonly stream: string }
  | { readonly kind: 'idle'; readonly isBusy: boolean }
  /** A clean close and an opening. */
  | { readonly kind: 'reopen' }
  /** The process dies and another one opens the directory; the machine goes on. */
  | { readonly kind: 'kill' }
  /** Others leave this many bytes of the disk. */
  | { readonly kind: 'leave'; readonly bytes: number };

export class LogUser {
  disk: SimulatedDisk;
  private log: OpenedLog | undefined;
  private acknowledged: Promised = NOTHING;
  private attempted: readonly Promised[] = [];
  /** What the log of the life before had; what an opening must find. */
  private heldBefore: Expectation['held'] = new Map();
  private generation = 0n;
  /** One for every commit, and the newest sequence of each stream that is in one. */
  private sequence = 0n;

  constructor(disk: SimulatedDisk) {
    this.disk = disk;
  }

  get streams(): string[] {
    return [...this.acknowledged.checkpoints.keys()];
  }

  /** What may be found if the machine stops now. */
  expectation(): Expectation {
    return {
      states: [this.acknowledged, ...this.attempted],
      held: this.held(),
      perStream: USER_OPTIONS.perStream,
      generation: this.generation,
    };
  }

  /** Opens the directory; what is found is what may be, and is promised from then on. */
  open(): void {
    this.log = undefined;
    const log = openLog(unlocked(this.disk), DIRECTORY, USER_OPTIONS);
    const found = findSound(log);
    this.acknowledged = expectFound(found, this.expectation());
    this.attempted = [];
    this.heldBefore = keysOf(found);
    this.generation = found.generation;
    this.log = log;
  }

  perform(task: Task): void {
    switch (task.kind) {
      case 'commit':
        this.commit(task.frames);
        break;
      case 'delete before': {
        const newest = maximum(this.acknowledged.checkpoints.get(task.stream)?.keys() ?? []);
        if (newest === undefined) return;
        this.attempt([without(this.acknowledged, task.stream, newest)], ({ store }) =>
          store.deleteBefore(task.stream, newest),
        );
        break;
      }
      case 'forget':
        this.attempt([without(this.acknowledged, task.stream, undefined)], ({ store }) =>
          store.forget(task.stream),
        );
        break;
      case 'idle':
        this.opened.store.idleStep(task.isBusy);
        break;
      case 'reopen':
        this.opened.store.close();
        this.die();
        this.open();
        break;
      case 'kill':
        this.die();
        this.open();
        break;
      case 'leave':
        this.disk.capacityBytes = this.disk.blockBytes() + task.bytes;
        break;
      default: {
        const unknown: never = task;
        throw new Error(`no such task: ${String(unknown)}`);
      }
    }
    assert(this.disk.usedBytes() <= USER_OPTIONS.diskBytes, 'the files take more than they may');
  }

  /** Whoever would come after it if it died now, on a copy of its disk; it goes on itself. */
  successor(): LogUser {
    const successor = new LogUser(this.disk.fork());
    successor.acknowledged = this.acknowledged;
    successor.attempted = this.attempted;
    successor.heldBefore = this.held();
    successor.generation = this.generation;
    successor.sequence = this.sequence;
    return successor;
  }

  /** The process is gone, whatever it was doing, and its machine too if `disk` is what that has left. */
  die(disk: SimulatedDisk = this.disk): void {
    this.heldBefore = this.held();
    this.log = undefined;
    this.disk = disk;
  }

  private get opened(): OpenedLog {
    assert(this.log !== undefined, 'the log is not open');
    return this.log;
  }

  private commit(wishes: readonly FrameWish[]): void {
    this.sequence += 1n;
    const { sequence, acknowledged } = this;
    const frames = new Map<string, LogFrame>();
    for (const { stream, stateBytes, again = false } of wishes) {
      const newest = maximum(acknowledged.checkpoints.get(stream)?.keys() ?? []);
      const shape = { stateBytes, salt: Number(sequence) };
      frames.set(stream, frameOf(stream, again && newest !== undefined ? newest : sequence, shape));
    }
    const batch = [...frames.values()];
    const size = batch.reduce((sum, { bytes }) => sum + bytes.length, 0);
    // A large batch goes out in several commits, of which the last has the frontier; the order is that of the batch.
    const parts = size < SEGMENT_BYTES / 2 ? [] : batch.map((_, i) => batch.slice(0, i + 1));
    const states = parts.map((part) => withFrames(acknowledged, part, undefined));
    this.attempt([...states, withFrames(acknowledged, batch, sequence)], ({ store, generation }) =>
      store.commit({ frames: batch, frontiers: new Map([[SOURCE, sequence]]), generation }),
    );
  }

  /** The last one of `states` is what `work` comes to; the others are on the way. */
  private attempt(states: readonly Promised[], work: (log: OpenedLog) => void): void {
    this.attempted = states;
    try {
      work(this.opened);
      this.acknowledged = states.at(-1) ?? this.acknowledged;
    } catch (error) {
      if (!(error instanceof TidemarkError) || error.code !== 'ERR_TIDEMARK_STORE_FULL') throw error;
      // Of a large batch, the first commits may have had room.
      this.acknowledged = [this.acknowledged, ...states.slice(0, -1)].findLast((state) =>
        this.has(state),
      ) as Promised;
    }
    this.attempted = [];
  }

  /** Whether the log has the newest checkpoints of `state`. */
  private has({ checkpoints }: Promised): boolean {
    return [...checkpoints].every(
      ([stream, saved]) => this.opened.store.newest(stream)?.sequence === maximum(saved.keys()),
    );
  }

  private held(): Expectation['held'] {
    const { log } = this;
    if (log === undefined) return this.heldBefore;
    const held = new Map<string, Set<bigint>>();
    for (const { checkpoints } of [this.acknowledged, ...this.attempted]) {
      for (const [stream, saved] of checkpoints) {
        const there = [...saved.keys()].filter(
          (sequence) => log.store.locate(stream, sequence) !== undefined,
        );
        held.set(stream, new Set([...(held.get(stream) ?? []), ...there]));
      }
    }
    return held;
  }
}

/** Opens what a crash has left, and checks it. */
export function openCrashed(disk: SimulatedDisk, expectation: Expectation): Found {
  assert(disk.usedBytes() <= USER_OPTIONS.diskBytes, 'the files take more than they may');
  const found = findSound(openLog(unlocked(disk), DIRECTORY, USER_OPTIONS));
  expectFound(found, expectation);
  return found;
}

/** Verifies what a crash has left as a tool does, then opens it: nothing is damaged, and both say the same. */
export function verifyCrashed(disk: SimulatedDisk, expectation: Expectation): void {
  const files = disk.list(DIRECTORY) ?? [];
  const isBegun = files.some((name) => name === 'SUPERBLOCK' || name.endsWith('.log'));
  const verified = isBegun ? inspectDirectory(disk, DIRECTORY, { verify: true }) : undefined;
  assert.deepEqual(verified?.damage ?? [], [], 'a crash is no damage');
  const found = openCrashed(disk, expectation);
  // A tool reads every record, the log the indexes of segments: in these nothing is that was given up before.
  for (const [stream, sequences] of keysOf(found)) {
    const listed = verified?.streams.find((other) => other.stream === stream)?.checkpoints ?? [];
    assert.equal(maximum(sequences), listed.at(-1)?.sequence);
    assert(listed.length >= sequences.size);
  }
  assert.equal(verified?.streams.length ?? 0, found.checkpoints.size);
  assert.equal(verified?.frontiers.get(SOURCE), found.frontier);
}

function findSound(log: OpenedLog): Found {
  assert.deepEqual(log.damage, [], 'a crash is no damage');
  assert.deepEqual(log.lost, []);
  assert.equal(log.fellBack.size, 0);
  return findAll(log);
}

/** Locks are not the matter here: who died holds none. */
function unlocked(disk: SimulatedDisk): LogPorts {
  return { ...portsOn(disk), lockDirectory: () => ({ release: () => undefined }) };
}

function keysOf({ checkpoints }: Promised): Map<string, Set<bigint>> {
  return new Map([...checkpoints].map(([stream, saved]) => [stream, new Set(saved.keys())]));
}

function maximum(values: Iterable<bigint>): bigint | undefined {
  let greatest: bigint | undefined;
  for (const value of values) if (greatest === undefined || value > greatest) greatest = value;
  return greatest;
}
