/**
 * The flights as the source of a job. They are decoded on a thread of their own, because a row group takes a
 * quarter of a second and the main thread must stay free; here they only become events.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Event } from '../../engine/event.ts';
import { TidemarkError } from '../../error.ts';
import type { JobSource } from '../job.ts';
import {
  FLIGHT_BYTES,
  FLIGHTS_TOTAL,
  type FlightGroup,
  type ReaderMessage,
  type ReaderOptions,
  SOURCE_NAME,
} from './flight.ts';

/** Decoded row groups that may wait; each is about 6 MB. */
const GROUPS_AHEAD = 2;
const EVENTS_PER_ARRAY = 1_024;
const DEMO_PACKAGES = ['vega-datasets', 'hyparquet', 'hyparquet-compressors'] as const;

// Under dist/ everything is JavaScript; `new URL` is not rewritten by the compiler.
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
export const READER_URL = new URL(`../../../workers/flights-reader.${EXTENSION}`, import.meta.url);

/** @throws ERR_TIDEMARK_NOT_FOUND with what to install */
export function findFlightsFile(): string {
  for (const name of DEMO_PACKAGES) {
    try {
      import.meta.resolve(name);
    } catch {
      // Not to be resolved is not to be installed, whatever the reason.
      throw missing(`the package ${name} is`);
    }
  }
  const file = fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')));
  if (!existsSync(file)) throw missing('flights-3m.parquet in vega-datasets is');
  return file;
}

function missing(what: string): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_NOT_FOUND',
    `the demo reads the flights of vega-datasets, but ${what} not installed; run npm install --no-save ${DEMO_PACKAGES.join(' ')}`,
  );
}

export function flightsSource(file: string, limit: number | undefined): JobSource {
  return {
    name: SOURCE_NAME,
    read: (from, signal) =>
      readFlights(
        { file, fromRow: Number(from ?? 0n), endRow: Math.min(limit ?? FLIGHTS_TOTAL, FLIGHTS_TOTAL) },
        signal,
      ),
  };
}

async function* readFlights(options: ReaderOptions, signal: AbortSignal): AsyncGenerator<Event[]> {
  if (options.fromRow >= options.endRow) return;
  const worker = new Worker(READER_URL, { workerData: options });
  const groups = new GroupQueue(worker);
  const onAbort = (): void => groups.end();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (;;) {
      const group = await groups.take();
      if (group === undefined) return;
      yield* eventsOf(group, options);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    await worker.terminate();
  }
}

function* eventsOf(group: FlightGroup, { fromRow, endRow }: ReaderOptions): Generator<Event[]> {
  const { firstRow, origins, origin, watermarkNs, records } = group;
  const end = Math.min(group.flights, endRow - firstRow);
  let index = Math.max(0, fromRow - firstRow);
  while (index < end) {
    const events: Event[] = [];
    for (const stop = Math.min(end, index + EVENTS_PER_ARRAY); index < stop; index += 1) {
      const row = firstRow + index;
      events.push({
        stream: origins[origin[index]!]!,
        payload: records.subarray(index * FLIGHT_BYTES, (index + 1) * FLIGHT_BYTES),
        sequence: row + 1,
        watermarkNs: watermarkNs[index]!,
        source: SOURCE_NAME,
        offset: row,
      });
    }
    yield events;
  }
}

/** Row groups in the order they were read; the reader gets leave for another one as each is taken. */
class GroupQueue {
  readonly #worker: Worker;
  readonly #groups: (FlightGroup | undefined)[] = [];
  #failure: Error | undefined;
  #isEnded = false;
  #wake = (): void => {};

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', ({ group }: ReaderMessage) => {
      this.#groups.push(group);
      this.#wake();
    });
    worker.on('error', (error: Error) => this.#fail(error));
    worker.on('exit', (code) => this.#fail(new Error(`the reader of the flights exited with code ${code}`)));
    for (let credit = 0; credit < GROUPS_AHEAD; credit += 1) worker.postMessage('read');
  }

  async take(): Promise<FlightGroup | undefined> {
    while (this.#groups.length === 0) {
      if (this.#isEnded) return undefined;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const group = this.#isEnded ? undefined : this.#groups.shift();
    if (group !== undefined) this.#worker.postMessage('read');
    return group;
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}
