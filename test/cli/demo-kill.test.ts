/**
 * Crash: SIGKILL of the whole process group at random moments once the directory holds a commit.
 * What would be lost: events that were accepted but are in no durable checkpoint, and with a mistake in the
 * frontier also events that lie before it.
 * Why they are not: the frontier never passes an event that no durable checkpoint covers, and the source is read
 * again from there; streams that were further drop what they have had.
 */
import { afterAll, expect, test } from 'vitest';
import type { RunSummary } from '../../src/cli/summary.ts';
import { parseLines, runJson, scratchDirectory, startCommand } from '../support/command.ts';

const FLIGHTS = 3_000_000;
/** Lives grow longer, so that a machine of any speed gets to the end. */
const LIFE_MS_MAX = 800;
const LIFE_GROWTH_MS = 150;

const scratch = scratchDirectory('kill');
afterAll(() => scratch.remove());

/** Reproducible from its seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Whether the directory holds a checkpoint that a restart would find. */
async function holdsCommit(directory: string): Promise<boolean> {
  const { result } = startCommand(['ls', directory, '--json']);
  return parseLines<{ stream?: string }>((await result).stdout).some(({ stream }) => stream !== undefined);
}

test('a demo that is killed again and again ends in the state of an uninterrupted one', async () => {
  const seed = Number(process.env['TIDEMARK_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  const random = randomOf(seed);
  const argv = (directory: string, shards: number) => {
    return ['demo', '--directory', directory, '--shards', String(shards), '--json'];
  };
  const directory = `${scratch.path}/killed`;
  const kills: number[] = [];
  let summary: RunSummary | undefined;
  for (let life = 0; summary === undefined; life += 1) {
    const command = startCommand(argv(directory, 1 + (life % 3)));
    let isOver = false;
    const result = command.result.finally(() => {
      isOver = true;
    });
    while (!isOver && !(await holdsCommit(directory)));
    // The random moment is the matter of this test; nothing waits for a condition here.
    const lifeMs = Math.floor(random() * (LIFE_MS_MAX + life * LIFE_GROWTH_MS));
    const timer = setTimeout(() => command.killGroup(), lifeMs);
    const { code, signal, stdout, stderr } = await result;
    clearTimeout(timer);
    if (signal === 'SIGKILL') {
      kills.push(lifeMs);
      continue;
    }
    expect(code, `seed ${seed}: ${stderr}`).toBe(0);
    [summary] = parseLines<RunSummary>(stdout);
  }
  const [whole] = await runJson<RunSummary>(argv(`${scratch.path}/whole`, 2));
  const context = `seed ${seed}, killed after ${kills.join(', ')} ms`;
  console.log(context);
  expect(kills.length, context).toBeGreaterThan(0);
  expect(summary, context).toMatchObject({ events: FLIGHTS, resumed: true, stateDigest: whole!.stateDigest });
  expect(Number(summary!.resumedFrom), context).toBeGreaterThan(0);
  expect(summary!.applied, context).toBeLessThan(FLIGHTS);
  const [verified] = await runJson<{ damaged: number }>(['verify', directory]);
  expect(verified, context).toMatchObject({ ok: true, damaged: 0, frontiers: { flights: String(FLIGHTS) } });
}, 180_000);
