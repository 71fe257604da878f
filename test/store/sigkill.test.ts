/**
 * Crash: SIGKILL of a process that commits, on the real file system, at random moments. Lost would be what it had said
 * to be durable; found must be that, or that and the one call that was under way.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { seeded } from '../support/random.ts';
import { KilledLives } from './support/killed-lives.ts';

const LIVES = 20;

test(
  'a process that is killed twenty times leaves what it said to be durable, within the limit of its disk',
  seeded(async (random) => {
    const scratch = fs.mkdtempSync(join(os.tmpdir(), 'tidemark-sigkill-'));
    onTestFinished(() => fs.rmSync(scratch, { recursive: true }));
    const lives = new KilledLives(join(scratch, 'checkpoints'));
    for (let life = 0; life < LIVES; life++) await lives.live(random);
    expect(lives.commits).toBeGreaterThan(LIVES);
  }),
  120_000,
);
