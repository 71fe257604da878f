/**
 * What a suite is, and how single operations are measured.
 *
 * The time of a micro case is the least of several batch means: noise only ever adds. A batch is one
 * tinybench task; the subjects of a case take turns batch by batch, so that a slow moment of the machine
 * does not fall on one of them alone. All subjects go through the same loop with the same settings.
 */
import { Bench } from 'tinybench';

export interface RunOptions {
  /** A size of seconds: the same cases and checks, too short for figures. */
  readonly isSmoke: boolean;
}

export interface Result {
  readonly suite: string;
  readonly case: string;
  readonly subject: string;
  readonly nsPerOp: number;
  /** Bytes that one operation makes, reads or takes in. */
  readonly bytesPerOp: number;
  /** Batches, or runs, that `nsPerOp` was chosen from. */
  readonly samples: number;
  /**
   * How much more than `nsPerOp` the middle and the greatest sample took: 0.02 is 2 %. Where it is the middle one,
   * also how much less the least took.
   */
  readonly spread: { readonly median: number; readonly greatest: number; readonly least?: number };
  /** What else was found, for people to read. */
  readonly remarks: readonly string[];
  /** Of what keeps something on disk. */
  readonly disk?: DiskUse;
}

export interface DiskUse {
  /** Blocks that its files take, to the bytes of the checkpoints that it is to keep: 1.5 is half as much again. */
  readonly takenToKept: number;
  /** Bytes that it wrote, to those that it was given to save; absent where that is not known. */
  readonly writtenToSaved?: number;
}

export interface Suite {
  readonly name: string;
  /** Yields the results of one case at a time. Throws when a result is wrong. */
  run(options: RunOptions): AsyncIterable<readonly Result[]>;
}

/** One way of doing what a case asks for. */
export interface Subject {
  readonly name: string;
  readonly bytesPerOp: number;
  /** Does it once; `turn` counts the calls from 0. What it returns is kept from being optimised away. */
  operate(turn: number): unknown;
  /** Throws unless the operation of this turn does what it should. Runs before and after measuring. */
  check(turn: number): void;
  /** What people should know to read its figure. */
  readonly remarks?: readonly string[];
}

interface Effort {
  readonly batches: number;
  readonly batchMs: number;
  readonly warmUpMs: number;
  /** Turns that are checked before and after measuring. */
  readonly checks: number;
}

/** So many checks that every version and every destination comes up. */
const EFFORT: Effort = { batches: 11, batchMs: 10, warmUpMs: 100, checks: 8 };
const SMOKE_EFFORT: Effort = { batches: 7, batchMs: 1, warmUpMs: 2, checks: 1 };

/** The timer is read once for so many milliseconds of work, which makes its own cost vanish. */
const TIMER_GRAIN_MS = 0.1;

export function measureCase(
  names: { readonly suite: string; readonly case: string },
  subjects: readonly Subject[],
  options: RunOptions,
): Result[] {
  const effort = options.isSmoke ? SMOKE_EFFORT : EFFORT;
  const runs = subjects.map((subject) => new MicroRun(subject));
  for (const run of runs) {
    run.check(effort.checks);
    run.warmUp(effort.warmUpMs);
  }
  for (let batch = 0; batch < effort.batches; batch++) {
    for (const run of runs) run.measureBatch(effort.batchMs);
  }
  for (const run of runs) run.check(effort.checks);
  return runs.map((run) => run.result(names));
}

class MicroRun {
  readonly #subject: Subject;
  readonly #meansNs: number[] = [];
  #turn = 0;
  /** Calls between two looks at the timer. */
  #grain = 1;
  #sink: unknown;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  check(turns: number): void {
    for (let i = 0; i < turns; i++) this.#subject.check(this.#turn++);
  }

  /** Runs until the code is compiled, and finds how many calls fill the timer's grain. */
  warmUp(ms: number): void {
    const end = performance.now() + ms;
    for (;;) {
      const elapsed = this.#time();
      if (elapsed < TIMER_GRAIN_MS) this.#grain *= 2;
      else if (performance.now() >= end) return;
    }
  }

  measureBatch(ms: number): void {
    const bench = new Bench({ iterations: 1, time: ms, warmup: false, throws: true });
    bench.add(
      this.#subject.name,
      () => {
        const elapsed = this.#time();
        return { overriddenDuration: elapsed / this.#grain, overriddenIterationCost: elapsed };
      },
      { async: false },
    );
    const [task] = bench.runSync();
    if (task?.result.state !== 'completed')
      throw new Error(`${this.#subject.name}: a batch was not completed`);
    this.#meansNs.push(task.result.latency.mean * 1e6);
  }

  result(names: { readonly suite: string; readonly case: string }): Result {
    const { name, bytesPerOp, remarks = [] } = this.#subject;
    return { ...names, subject: name, bytesPerOp, ...summarize(this.#meansNs), remarks };
  }

  #time(): number {
    const subject = this.#subject;
    const first = this.#turn;
    const last = first + this.#grain;
    let kept: unknown;
    const start = performance.now();
    for (let turn = first; turn < last; turn++) kept = subject.operate(turn);
    const elapsed = performance.now() - start;
    this.#sink = kept;
    this.#turn = this.#sink === this ? 0 : last;
    return elapsed;
  }
}

type Summary = Pick<Result, 'nsPerOp' | 'samples' | 'spread'>;

/** The least sample, and how far the others lie above it. */
export function summarize(samplesNs: readonly number[]): Summary {
  const { least, median, greatest } = orderOf(samplesNs);
  return {
    nsPerOp: least,
    samples: samplesNs.length,
    spread: { median: median / least - 1, greatest: greatest / least - 1 },
  };
}

/** The middle sample and how far the others reach, for work of which not every sample has the same share. */
export function summarizeByMedian(samplesNs: readonly number[]): Summary {
  const { least, median, greatest } = orderOf(samplesNs);
  return {
    nsPerOp: median,
    samples: samplesNs.length,
    spread: { median: 0, greatest: greatest / median - 1, least: 1 - least / median },
  };
}

function orderOf(samples: readonly number[]) {
  const ascending = [...samples].sort((a, b) => a - b);
  const least = ascending[0];
  const greatest = ascending.at(-1);
  const median = ascending[ascending.length >> 1];
  if (least === undefined || greatest === undefined || median === undefined)
    throw new Error('nothing was measured');
  return { least, median, greatest };
}
