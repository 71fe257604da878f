/**
 * `npm run soak -- --seconds 600` runs an engine for that long: a worker thread dies every second, the process is killed
 * every twenty. Ends with 0 if each of the events is in the states once, in order, and the directory stayed within its
 * limit; prints what resident memory and the directory took.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { secondsOf } from '../support/seconds.ts';
import type { LifeOptions, LifeReport } from './life.ts';

const LIFE_MS = 20_000;
const DISK_BYTES = 2 ** 26;

const { values } = parseArgs({ options: { seconds: { type: 'string' } } });
const seconds = secondsOf(values.seconds, 600);
const parent = mkdtempSync(join(tmpdir(), 'tidemark-soak-'));
const marks = join(parent, 'marks');
mkdirSync(marks);
const options: LifeOptions = {
  directory: join(parent, 'checkpoints'),
  marks,
  streams: 400,
  eventsPerSecond: 100_000,
  diskBytes: DISK_BYTES,
};
let lives = 0;
let restarts = 0;
let diskBytes = 0;
try {
  process.exitCode = (await soak(performance.now() + 1_000 * seconds)) ? 0 : 1;
} finally {
  rmSync(parent, { recursive: true, force: true });
}

async function soak(untilMs: number): Promise<boolean> {
  for (;;) {
    const left = untilMs - performance.now();
    const isLast = left <= LIFE_MS;
    const { last, rssMiB } = await live(isLast ? Math.max(left, 1_000) : LIFE_MS, isLast);
    lives++;
    restarts += last?.restarts ?? 0;
    console.log(
      `life ${lives}: at event ${last?.position}, ${last?.restarts} restarts, resident ${rssMiB[0]} to ${rssMiB.at(-1)} MiB, directory ${diskBytes} bytes at most`,
    );
    if (!isLast) continue;
    const faults = last?.faults ?? ['the last life ended without a result'];
    for (const fault of faults) console.log(fault);
    const isGood = faults.length === 0 && diskBytes <= DISK_BYTES;
    console.log(
      `${lives} lives, ${restarts} restarts of shards: ${isGood ? 'every event counted once' : 'FAILED'}`,
    );
    return isGood;
  }
}

/** Kills the process after `ms`, or tells it to stop and waits for its end. */
async function live(
  ms: number,
  isLast: boolean,
): Promise<{ last: LifeReport | undefined; rssMiB: number[] }> {
  const child: ChildProcess = fork(new URL('./life.ts', import.meta.url), { serialization: 'advanced' });
  let last: LifeReport | undefined;
  const rssMiB: number[] = [];
  child.on('message', (report: LifeReport) => {
    last = report;
    rssMiB.push(report.rssMiB);
    diskBytes = Math.max(diskBytes, directoryBytes());
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.send(options);
  const timer = setTimeout(() => (isLast ? child.send('stop') : child.kill('SIGKILL')), ms);
  await ended;
  clearTimeout(timer);
  return { last, rssMiB };
}

function directoryBytes(): number {
  return readdirSync(options.directory).reduce((sum, name) => {
    // A segment may be renamed between the two looks.
    const { size } = statSync(join(options.directory, name), { throwIfNoEntry: false }) ?? { size: 0 };
    return sum + size;
  }, 0);
}
