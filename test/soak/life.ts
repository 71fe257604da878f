/**
 * One life of the soak: an engine that reads the numbers from its position on, until it is killed or told to stop. Every
 * second an event ends its thread. Reports how far it is; told to stop, it compares every stream with what it should be.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CheckpointEngine, type Event } from '../../src/index.ts';
import { type Folded, folded, NOTHING_FOLDED, readFolded } from '../support/folded.ts';

export interface LifeOptions {
  readonly directory: string;
  readonly marks: string;
  readonly streams: number;
  readonly eventsPerSecond: number;
  readonly diskBytes: number;
}

export interface LifeReport {
  readonly position: number;
  readonly rssMiB: number;
  readonly restarts: number;
  /** Once it was told to stop: what is wrong. */
  readonly faults?: readonly string[];
}

const BATCH = 1_000;
const REPORT_MS = 1_000;
const KINDS = ['small', 'large', 'heap', 'mixed'];

let isStopping = false;
process.on('message', (message: LifeOptions | 'stop') => {
  if (message === 'stop') isStopping = true;
  else void live(message);
});

function streamOf(number: number, streams: number): string {
  return `${KINDS[number % KINDS.length]}-${number % streams}`;
}

async function live({ directory, marks, streams, eventsPerSecond, diskBytes }: LifeOptions): Promise<void> {
  const engine = await CheckpointEngine.open({
    operators: new URL('../engine/operators/mortal.ts', import.meta.url),
    directory,
    shards: 2,
    checkpoint: { everyEvents: 500, everyMs: 1_000 },
    retain: { diskBytes },
    memory: { bytes: 2 ** 27, ringBytes: 2 ** 20 },
  });
  let restarts = 0;
  engine.on('restart', () => restarts++);
  let position = Number(engine.position('numbers') ?? 0);
  const report = (more: Partial<LifeReport> = {}): void => {
    const rssMiB = Math.round(process.memoryUsage.rss() / 2 ** 20);
    process.send?.({ position, rssMiB, restarts, ...more } satisfies LifeReport);
  };
  const began = performance.now();
  const from = position;
  let reportedAt = 0;
  while (!isStopping) {
    const elapsed = performance.now() - began;
    const isDeath = elapsed - reportedAt >= REPORT_MS;
    if (isDeath) {
      reportedAt = elapsed;
      report();
    }
    const events: Event[] = Array.from({ length: BATCH }, (_, i) => {
      const number = position + i;
      const payload = isDeath && i === BATCH / 2 ? `${number} exit ${marks}` : `${number}`;
      return {
        stream: streamOf(number, streams),
        payload,
        sequence: number,
        source: 'numbers',
        offset: number,
      };
    });
    await engine.push(events);
    position += BATCH;
    const ahead = ((position - from) / eventsPerSecond) * 1_000 - (performance.now() - began);
    if (ahead > 0) await sleep(ahead);
  }
  await engine.checkpoint();
  report({ faults: await faultsOf(engine, position, streams) });
  await engine.close();
  process.disconnect();
}

async function faultsOf(engine: CheckpointEngine, position: number, streams: number): Promise<string[]> {
  const expected = new Map<string, Folded>();
  for (let number = 0; number < position; number++) {
    const stream = streamOf(number, streams);
    expected.set(stream, folded(expected.get(stream) ?? NOTHING_FOLDED, number));
  }
  const faults: string[] = [];
  for (const [stream, { count, hash }] of expected) {
    const checkpoint = await engine.latest(stream);
    if (checkpoint === undefined) faults.push(`${stream}: nothing is there`);
    for (const [operator, bytes] of checkpoint?.operatorStates ?? []) {
      const found = readFolded(bytes);
      if (found.count !== count || found.hash !== hash)
        faults.push(`${stream}, ${operator}: ${found.count} events, not ${count}, or not these`);
    }
  }
  return faults;
}
