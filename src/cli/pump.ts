/**
 * Reads a source into the engine until the source ends, the limit is reached or reading is to stop.
 *
 * Events are pushed in batches of what the source has at hand: a fast source fills them, a slow one never
 * waits for them. Whatever was read is pushed, also when reading stops early.
 */
import type { Event } from '../engine/event.ts';
import { invalidJob, type JobSource, sourceFailed } from './job.ts';

/** Enough to spread the cost of a push, little enough to keep the shards busy evenly. */
export const BATCH_EVENTS = 512;

export interface PumpPlan {
  readonly source: JobSource;
  readonly from: bigint | undefined;
  /**
   * Reading ends before the first event whose offset is this or more. It counts from the start of the source,
   * not of this run, so a run that was interrupted ends where an uninterrupted one does. Events without an
   * offset count one each from the start of this run.
   */
  readonly limit: number | undefined;
  /** `crash` is called once this many events of this run are accepted. */
  readonly crashAfter: number | undefined;
  /** Events below this offset of the source were reached by an earlier life. */
  readonly reached: bigint | undefined;
  readonly signal: AbortSignal;
}

export interface PumpPorts {
  push(events: Event[]): Promise<unknown>;
  crash(): void;
}

export class Pump {
  readonly #plan: PumpPlan;
  readonly #ports: PumpPorts;
  /** Events accepted by the engine in this run. */
  pushed = 0;
  /** Those of them that an earlier life is known to have reached. */
  replayed = 0;
  /** The source has given its events to be read: what fails from here on is the run, not the request for it. */
  isReading = false;
  /** Where reading goes on after what was pushed, if events carry offsets. */
  next: bigint | number | undefined;
  #batch: Event[] = [];
  /** Events taken from the source, pushed or in the batch. */
  #taken = 0;
  #isDone = false;
  /** Ends the wait for the source that is under way; none is: does nothing. */
  #interrupt: (outcome: Interruption) => void = () => {};
  /** Fires when everything that was ready in this turn had its chance to fill the batch. */
  #due: NodeJS.Immediate | undefined;

  constructor(plan: PumpPlan, ports: PumpPorts) {
    this.#plan = plan;
    this.#ports = ports;
    this.next = plan.from;
  }

  async run(): Promise<void> {
    const { source, from, limit, signal } = this.#plan;
    if (signal.aborted || (limit !== undefined && from !== undefined && from >= limit)) return;
    const iterator = openIterator(source, from, signal);
    this.isReading = true;
    const onAbort = (): void => this.#interrupt(STOPPED);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await this.#drain(iterator);
      await this.#flush();
    } catch (error) {
      // What was read before a source failed is still an event. After a failed push the batch is empty.
      await this.#flush().catch(() => {});
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      // Not awaited: a source that is stuck in a read would never let go.
      endQuietly(iterator);
    }
  }

  async #drain(iterator: AsyncIterator<Event | readonly Event[]>): Promise<void> {
    while (!this.#isDone && !this.#plan.signal.aborted) {
      const pending = iterator.next();
      let outcome = await this.#settled(pending);
      if (outcome === DUE) {
        // The source makes us wait, so what it gave so far goes out.
        await this.#flush();
        outcome = await this.#settled(pending);
      }
      if (outcome === STOPPED || outcome === DUE) {
        // Its failure, if it comes to that, has nobody left to hear it.
        pending.catch(() => {});
        return;
      }
      if (outcome.done === true) return;
      await this.#take(outcome.value);
    }
  }

  /**
   * What the source gives next, or what comes in between. One promise for each wait instead of a race against
   * a promise of the whole run: such a promise would keep a reaction of every race until the run ends.
   */
  #settled(pending: Promise<IteratorResult<Event | readonly Event[]>>): Promise<Outcome> {
    if (this.#plan.signal.aborted) return Promise.resolve(STOPPED);
    return new Promise((resolve, reject) => {
      this.#interrupt = resolve;
      // Sources answer the signal with an AbortError as often as with an end.
      pending.then(resolve, (error: unknown) =>
        this.#plan.signal.aborted ? resolve(STOPPED) : reject(sourceFailed(this.#plan.source, error)),
      );
    });
  }

  async #take(value: Event | readonly Event[]): Promise<void> {
    if (!isEvents(value)) {
      if (this.#admit(value) && this.#batch.length >= BATCH_EVENTS) await this.#flush();
      return;
    }
    for (const event of value) {
      if (!this.#admit(event)) return;
      if (this.#batch.length >= BATCH_EVENTS) await this.#flush();
      if (this.#isDone) return;
    }
  }

  /** Takes the event into the batch unless it lies behind the end of this run. */
  #admit(event: Event): boolean {
    const { source, limit, crashAfter } = this.#plan;
    if (event === null || typeof event !== 'object') {
      throw invalidJob(
        `the source '${source.name}' yielded ${event === null ? 'null' : typeof event}, not an event`,
      );
    }
    if (limit !== undefined && (event.offset ?? this.#taken) >= limit) {
      this.#isDone = true;
      return false;
    }
    this.#batch.push(
      event.offset !== undefined && event.source === undefined ? { ...event, source: source.name } : event,
    );
    this.#due ??= setImmediate(() => this.#interrupt(DUE));
    this.#taken += 1;
    if (this.#taken === crashAfter) this.#isDone = true;
    return true;
  }

  async #flush(): Promise<void> {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    clearImmediate(this.#due);
    this.#due = undefined;
    await this.#ports.push(batch);
    this.pushed += batch.length;
    this.#count(batch);
    if (this.pushed === this.#plan.crashAfter) this.#ports.crash();
  }

  #count(batch: readonly Event[]): void {
    const { reached, source } = this.#plan;
    const last = batch.at(-1)!;
    if (last.offset === undefined) return;
    this.next = last.nextOffset ?? BigInt(last.offset) + 1n;
    if (reached === undefined) return;
    // Offsets never decrease, so once a batch begins behind it this is over.
    for (const event of batch) {
      if (event.offset === undefined || event.source !== source.name) continue;
      if (event.offset >= reached) break;
      this.replayed += 1;
    }
  }
}

const STOPPED = Symbol('stopped');
const DUE = Symbol('due');
type Interruption = typeof STOPPED | typeof DUE;
type Outcome = IteratorResult<Event | readonly Event[]> | Interruption;

function isEvents(value: Event | readonly Event[]): value is readonly Event[] {
  return Array.isArray(value);
}

function openIterator(source: JobSource, from: bigint | undefined, signal: AbortSignal) {
  const iterable: AsyncIterable<Event | readonly Event[]> | undefined = source.read(from, signal);
  // Jobs may be plain JavaScript, whatever the types say.
  const open: unknown = iterable?.[Symbol.asyncIterator];
  if (iterable === undefined || typeof open !== 'function') {
    throw invalidJob(`read of the source '${source.name}' must return an AsyncIterable`);
  }
  return iterable[Symbol.asyncIterator]();
}

/** However the source fails when it is let go, what it gave is accepted, and why the reading ended is known. */
function endQuietly(iterator: AsyncIterator<unknown>): void {
  const end = async (): Promise<unknown> => iterator.return?.();
  end().catch(() => {});
}
