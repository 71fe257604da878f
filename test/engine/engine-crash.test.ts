/**
 * Crash: SIGKILL of a process with an engine in it, at a random moment after its directory first held a commit.
 * What would be lost: events in no durable checkpoint; with a mistake in dropping duplicates, some would count twice.
 * Why not: every source is read again from its position, and streams drop what their checkpoints hold already.
 */
import { expect, test } from 'vitest';
import { Random } from '../support/random.ts';
import { expectStates, newDirectory, openEngine } from './support/engine.ts';
import { Model } from './support/model.ts';
import { startProgram } from './support/program.ts';
import { randomJob } from './support/random-job.ts';

const JOBS = 6;
const LIVES_MAX = 5;

/** What was reported to be durable. Later lives may not know less. */
class Known {
  readonly sequences = new Map<string, bigint>();
  readonly frontiers = new Map<string, bigint>();

  note(report: Record<string, unknown>): void {
    if ('durable' in report)
      this.sequences.set(String(report['durable']), BigInt(String(report['sequence'])));
    if ('frontier' in report)
      this.frontiers.set(String(report['frontier']), BigInt(String(report['offset'])));
  }

  expectIn(report: Record<string, unknown>, context: string): void {
    const restored = new Map(report['restored'] as [string, string][]);
    const positions = new Map(report['positions'] as [string, string][]);
    for (const [stream, sequence] of this.sequences)
      expect(BigInt(restored.get(stream) ?? -1), `${context}, ${stream}`).toBeGreaterThanOrEqual(sequence);
    for (const [source, offset] of this.frontiers)
      expect(BigInt(positions.get(source) ?? -1), `${context}, ${source}`).toBeGreaterThanOrEqual(offset);
    expect(report['fellBack'], context).toBe(0);
  }
}

/** One life of the job; killed after a random number of reports, unless it is over before. */
async function live(life: {
  directory: string;
  jobSeed: number;
  random: Random;
  isLast: boolean;
  known: Known;
  context: string;
}): Promise<'killed' | 'closed'> {
  const { directory, jobSeed, random, isLast, known, context } = life;
  const isToBeKilled = !isLast && random.chance(0.85);
  let reportsLeft = isToBeKilled ? random.magnitude(100) : Number.POSITIVE_INFINITY;
  const argument = { directory, jobSeed, lifeSeed: random.u32(), isWhole: isLast || isToBeKilled };
  const program = startProgram(new URL('./programs/job-life.ts', import.meta.url), argument, (report) => {
    if ('restored' in report) return known.expectIn(report, context);
    known.note(report);
    // From the first of these on, the directory holds a commit.
    if (--reportsLeft === 0) program.kill();
  });
  const { code, signal, reports, stderr } = await program.end;
  if (signal === 'SIGKILL') return 'killed';
  expect(code, `${context}: ${stderr}`).toBe(0);
  expect(reports.at(-1), context).toEqual({ closed: true });
  return 'closed';
}

/** A seed for each job, so that a failure can be run again alone. */
const seeds = (() => {
  const given = process.env['TIDEMARK_SEED'];
  if (given !== undefined) return [Number(given)];
  return Array.from({ length: JOBS }, () => Math.floor(Math.random() * 2 ** 32));
})();

test.each(seeds)(
  'a job closed or killed at random comes to the states of a plain model (TIDEMARK_SEED=%i)',
  async (seed) => {
    const random = new Random(seed);
    const jobSeed = random.u32();
    const directory = await newDirectory();
    const known = new Known();
    const lives: string[] = [];
    const count = random.between(2, LIVES_MAX);
    for (let n = 1; n <= count; n++) {
      const context = `seed ${seed}, lives ${lives.join(', ')}`;
      lives.push(await live({ directory, jobSeed, random, isLast: n === count, known, context }));
    }
    const model = new Model();
    for (const record of randomJob(jobSeed)) for (const event of record) model.apply(event);
    const engine = await openEngine({ directory });
    await expectStates(engine, model);
    expect(engine.generation).toBe(BigInt(count + 1));
  },
  60_000,
);
