/**
 * A process that commits to a real directory and is killed by SIGKILL at random moments, life after life. After each,
 * the directory is opened and compared with what the process had said, and its files are never larger than they may be.
 */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { inspectDirectory } from '../../../src/store/log/inspect.ts';
import type { LogFrame } from '../../../src/store/log/log-store.ts';
import { nodePorts } from '../../../src/store/log/node-ports.ts';
import { openLog } from '../../../src/store/log/open-log.ts';
import type { LogOptions } from '../../../src/store/log/options.ts';
import type { Random } from '../../support/random.ts';
import { frameOf } from './frames.ts';
import { expectFound, findAll, NOTHING, type Promised, withFrames, without } from './ledger.ts';
import { MIB } from './log.ts';

export interface CommitterArgument {
  readonly directory: string;
  readonly seed: number;
  /** Of its first commit. */
  readonly sequence: number;
  readonly options: LogOptions;
}

/** What it is about to do; then how it went. */
export type CommitterReport =
  | { readonly generation: number }
  | { readonly commit: readonly (readonly [stream: string, stateBytes: number])[]; readonly sequence: number }
  | { readonly deleteBefore: string; readonly below: number }
  | { readonly forget: string }
  | { readonly done: true }
  | { readonly refused: string };

const OPTIONS: LogOptions = { diskBytes: MIB, perStream: 2 };
/** Some lives go around the whole log, others die young. */
const REPORTS_MAX = 1500;
const PROGRAM = fileURLToPath(new URL('../programs/committer.ts', import.meta.url));

export function framesOf(sizes: readonly (readonly [string, number])[], sequence: number): LogFrame[] {
  return sizes.map(([stream, stateBytes]) => frameOf(stream, sequence, { stateBytes }));
}

export class KilledLives {
  private readonly directory: string;
  private promised: Promised = NOTHING;
  /** What the process was doing. */
  private attempted: Promised | undefined;
  private generation = 0n;
  private sequence = 1;
  private lives = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * One life and the check after it.
   * @throws AssertionError when something is lost, damaged or too large
   */
  async live(random: Random): Promise<void> {
    this.lives += 1;
    let left = random.magnitude(REPORTS_MAX);
    const { directory, sequence } = this;
    const argument: CommitterArgument = { directory, seed: random.u32(), sequence, options: OPTIONS };
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(argument)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    const lines = createInterface({ input: child.stdout });
    try {
      for await (const line of lines) {
        // What it said between the order to die and its death counts too; a line that was cut short was not said.
        if (isWhole(line)) this.hear(JSON.parse(line) as CommitterReport);
        left -= 1;
        if (left === 0) child.kill('SIGKILL');
        if (left % 16 === 0) this.checkSize();
      }
    } finally {
      child.kill('SIGKILL');
    }
    const [code, signal] = await ended;
    assert.equal(signal, 'SIGKILL', `it ended by itself, with ${code}`);
    this.check();
  }

  private hear(report: CommitterReport): void {
    const { promised } = this;
    if ('generation' in report) this.generation = this.later(BigInt(report.generation));
    else if ('forget' in report) this.attempted = without(promised, report.forget, undefined);
    else if ('deleteBefore' in report)
      this.attempted = without(promised, report.deleteBefore, BigInt(report.below));
    else if ('commit' in report) {
      this.sequence = report.sequence + 1;
      this.attempted = withFrames(
        promised,
        framesOf(report.commit, report.sequence),
        BigInt(report.sequence),
      );
    } else {
      if ('done' in report) this.promised = this.attempted ?? promised;
      else assert.equal(report.refused, 'ERR_TIDEMARK_STORE_FULL');
      this.attempted = undefined;
    }
  }

  private later(generation: bigint): bigint {
    assert(generation > this.generation, `generation ${generation} was given before`);
    return generation;
  }

  /** Commits that it was told of. */
  get commits(): number {
    return this.sequence - 1;
  }

  private check(): void {
    const { directory, promised, attempted, generation, lives } = this;
    this.checkSize();
    if (!fs.existsSync(join(directory, 'SUPERBLOCK'))) {
      assert.equal(promised, NOTHING);
      return;
    }
    const { damage } = inspectDirectory(nodePorts.fileSystem, directory, { verify: true });
    assert.deepEqual(damage, [], `a kill is no damage (life ${lives})`);
    const log = openLog(nodePorts, directory, OPTIONS);
    try {
      const states = attempted === undefined ? [promised] : [promised, attempted];
      const found = findAll(log);
      // What the process still had of older checkpoints is not known here; of every stream the newest one must be there.
      this.promised = expectFound(found, {
        states,
        held: new Map(),
        perStream: OPTIONS.perStream,
        generation,
      });
      this.attempted = undefined;
      this.generation = found.generation;
    } finally {
      log.store.close();
    }
  }

  /** The files change while they are counted, so a sum that is too great must be found twice. */
  private checkSize(): void {
    const first = this.size();
    if (first <= OPTIONS.diskBytes) return;
    assert.notEqual(this.size(), first, `the files take ${first} of ${OPTIONS.diskBytes} bytes`);
  }

  private size(): number {
    let sum = 0;
    for (const name of fs.existsSync(this.directory) ? fs.readdirSync(this.directory) : []) {
      sum += fs.statSync(join(this.directory, name), { throwIfNoEntry: false })?.size ?? 0;
    }
    return sum;
  }
}

function isWhole(line: string): boolean {
  return line.endsWith('}');
}
