/**
 * Where the thread of the store writer in `workers/` ends: at the first such moment of a request that is arranged, by
 * itself, so that nothing of what follows happens. It reaches the writers as environment data, which worker threads
 * inherit; so it is made before the engine is opened.
 */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import type { WriterRequest } from '../../../src/store/log/writer-protocol.ts';

/** The folder of that writer, for `workersUrl`. */
export const MORTAL_WORKERS = new URL('../workers/', import.meta.url);

const KEY = 'tidemark test writer death';
const MOMENTS = [
  'any moment',
  'on request',
  'before write',
  'after write',
  'after sync',
  'before answer',
  'after answer',
] as const;
type Moment = (typeof MOMENTS)[number];
type Request = WriterRequest['type'] | 'any request';

const REQUESTS: readonly Request[] = [
  'any request',
  'find',
  'fill',
  'open',
  'commit',
  'copy',
  'read',
  'list',
  'streams',
  'deleteBefore',
  'forget',
  'close',
];

const CELL = { request: 0, moment: 1, skip: 2, left: 3, deaths: 4, count: 5 } as const;

export class WriterDeath {
  readonly #cells: Int32Array<SharedArrayBuffer>;
  #request: Request | undefined;

  private constructor(cells: Int32Array<SharedArrayBuffer>) {
    this.#cells = cells;
  }

  static make(): WriterDeath {
    const cells = new Int32Array(new SharedArrayBuffer(4 * CELL.count));
    setEnvironmentData(KEY, cells);
    return new WriterDeath(cells);
  }

  /** The one that the thread was started with. */
  static inherited(): WriterDeath {
    return new WriterDeath(getEnvironmentData(KEY) as Int32Array<SharedArrayBuffer>);
  }

  get deaths(): number {
    return Atomics.load(this.#cells, CELL.deaths);
  }

  /** `times` writers die so, one after the other, each after `skip` such moments have passed. */
  arrange(request: Request, moment: Moment, { times = 1, skip = 0 } = {}): void {
    Atomics.store(this.#cells, CELL.request, REQUESTS.indexOf(request));
    Atomics.store(this.#cells, CELL.moment, MOMENTS.indexOf(moment));
    Atomics.store(this.#cells, CELL.skip, skip);
    Atomics.store(this.#cells, CELL.left, times);
  }

  /** On the writer's thread: it begins to serve a request. Between requests nothing dies. */
  begin(request: WriterRequest['type']): void {
    this.#request = request;
    this.pass('on request');
  }

  end(): void {
    this.#request = undefined;
  }

  /** On the writer's thread, in the middle of a request. */
  pass(moment: Moment): void {
    const request = this.#request;
    if (request === undefined || Atomics.load(this.#cells, CELL.left) === 0) return;
    const isRequest = [0, REQUESTS.indexOf(request)].includes(Atomics.load(this.#cells, CELL.request));
    const isMoment = [0, MOMENTS.indexOf(moment)].includes(Atomics.load(this.#cells, CELL.moment));
    if (!isRequest || !isMoment || Atomics.sub(this.#cells, CELL.skip, 1) > 0) return;
    Atomics.store(this.#cells, CELL.skip, 0);
    Atomics.sub(this.#cells, CELL.left, 1);
    Atomics.add(this.#cells, CELL.deaths, 1);
    // Of a worker thread it ends the thread alone, and no further line of it runs.
    process.exit(7);
  }
}
