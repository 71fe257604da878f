/**
 * The embedded log on a thread that comes back. While a writer's thread dies and another one takes its place, calls wait;
 * what had not been answered is asked again. Main thread only.
 *
 * Why asking again is right: the writer answers in the order in which it is asked, so what has no answer is the end of
 * the row, of which some beginning may be durable. All of it is asked again, in the same order. What the log has of a
 * commit is not written again, and would replace itself; frontiers are set and not added to, and what is gone may be
 * forgotten or deleted again; so the end of the row comes to the same, however much of it had been done. If it is cut
 * short once more, what is durable is what a crash after some beginning of the row would have left, with checkpoints of
 * later calls beside it: sources are read again from earlier offsets than need be. The bytes of frames are the engine's,
 * and stay where they are until their commit settles.
 *
 * Invariants: a writer is started only when the thread of the one before is gone; no call is under way at two writers.
 * What the store says in a reply, be it an error, is handed on and restarts nothing. A store whose write or sync has
 * failed gets no other writer: the system may forget what it could not write, and a second sync would say it is durable.
 */
import type { CheckpointId } from '../checkpoint/id.ts';
import { systemClock } from '../clock.ts';
import type { CheckpointView } from '../codec/view.ts';
import { TidemarkError } from '../error.ts';
import type { RestoringStore } from '../recovery/restore.ts';
import type {
  CheckpointStore,
  CommitBatch,
  RestorableCheckpoint,
  RestoredContents,
  RestoreTarget,
  StoreContents,
} from '../store/contract.ts';
import type { LogStoreClient } from '../store/log/log-store-client.ts';
import { withDeadline } from './deadline.ts';
import type { RestartEvent } from './metrics.ts';

/** Writers that may die in a row before one has answered anything. */
export const WRITERS_MAX = 3;

/** A store writer on a thread of its own. */
export interface StoreWriter {
  readonly client: LogStoreClient;
  /** Settles when it serves no more, however it ended. */
  readonly outcome: Promise<void>;
  /** Ends the thread, and resolves when it is gone. */
  destroy(): Promise<void>;
}

export interface SupervisedLogOptions {
  /** Starts a writer of the directory that has not opened it. */
  readonly start: () => StoreWriter;
  /** How long the directory may be without a writer, in milliseconds. */
  readonly timeoutMs: number;
}

interface Call {
  /** Frames that it commits. */
  readonly frames: number;
  /** Asks a writer, and settles the call unless it is lost on the way; resolves when it is either. */
  readonly ask: (writer: StoreWriter) => Promise<void>;
  readonly reject: (error: Error) => void;
  /** A writer was asked. */
  isAsked: boolean;
  /** The last time that it was. */
  attempt: Promise<void>;
}

export class SupervisedLog implements CheckpointStore, RestoringStore {
  /** Hears of each writer that has taken the place of another. */
  onRestart: ((restart: RestartEvent) => void) | undefined;
  readonly #options: SupervisedLogOptions;
  #writer: StoreWriter;
  /** What has not been answered, in the order of the calls. */
  readonly #calls = new Set<Call>();
  /** Undefined: calls go to the writer at once. */
  #restarting: Promise<void> | undefined;
  /** In a row, since anything was answered. */
  #deaths = 0;
  /** The generation that the engine has been told, and that of the writer that opened last. */
  #generations: { readonly told: bigint; readonly now: bigint } | undefined;
  /** Openings since then: each may have made a generation durable and died before it could say so. */
  #openings = 0;
  /** Number of the last commit that writers before this one have said to be durable. */
  #lastCommit = 0;
  /** What every further call is rejected with. */
  #failure: Error | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: SupervisedLogOptions) {
    this.#options = options;
    this.#writer = this.#start();
  }

  async open(): Promise<StoreContents> {
    return this.#call(async (client) => {
      const contents = await client.open();
      this.#noteOpened(contents);
      const checkpoints = contents.checkpoints as Iterable<RestorableCheckpoint>;
      return { ...contents, checkpoints: { [Symbol.iterator]: () => this.#lasting(checkpoints, client) } };
    });
  }

  async openInto(target: RestoreTarget): Promise<RestoredContents> {
    return this.#call(async (client) => {
      const contents = await client.openInto(target);
      this.#noteOpened(contents);
      return contents;
    });
  }

  commit(batch: CommitBatch): Promise<void> {
    return this.#call(
      (client, isRepeated) => client.commit({ ...batch, generation: this.#generationFor(batch) }, isRepeated),
      batch.frames.length,
    );
  }

  read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
    return this.#call((client) => client.read(stream, sequence));
  }

  list(stream: string): Promise<CheckpointId[]> {
    return this.#call((client) => client.list(stream));
  }

  async *streams(): AsyncGenerator<string, void> {
    yield* await this.#call(async (client) => {
      const names: string[] = [];
      for await (const name of client.streams()) names.push(name);
      return names;
    });
  }

  deleteBefore(stream: string, sequence: bigint): Promise<void> {
    return this.#call((client) => client.deleteBefore(stream, sequence));
  }

  forget(stream: string): Promise<void> {
    return this.#call((client) => client.forget(stream));
  }

  /** A writer that dies now is not replaced: what it has not answered is rejected. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Ends the thread, whatever it is doing, and resolves when it is gone. */
  async release(): Promise<void> {
    this.#failure ??= closed();
    // Before anything is awaited: from here on no other one is started, and a thread that hangs keeps nobody waiting.
    this.#rejectCalls(this.#failure);
    await this.#writer.destroy();
    await this.#restarting;
  }

  async #close(): Promise<void> {
    if (this.#failure !== undefined) return;
    const failure = closed();
    this.#failure = failure;
    const { client } = this.#writer;
    if (this.#restarting === undefined) {
      try {
        await client.close();
      } catch (error) {
        // It died meanwhile. What was durable is durable without a proper end, and the directory is free.
        if (error !== client.failure) throw error;
      } finally {
        await this.#endCalls(failure);
      }
    } else {
      await this.release();
    }
  }

  /** Those before `close` have been answered, unless their writer died; then they are rejected. */
  async #endCalls(failure: Error): Promise<void> {
    await Promise.all([...this.#calls].map(({ attempt }) => attempt));
    this.#rejectCalls(failure);
  }

  #rejectCalls(error: Error): void {
    const calls = [...this.#calls];
    this.#calls.clear();
    for (const { reject } of calls) reject(error);
  }

  #call<T>(ask: (client: LogStoreClient, isRepeated: boolean) => Promise<T>, frames = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const answered = (settle: () => void): void => {
        this.#deaths = 0;
        this.#calls.delete(call);
        settle();
      };
      const call: Call = {
        frames,
        reject,
        isAsked: false,
        attempt: Promise.resolve(),
        ask: ({ client }) =>
          ask(client, call.isAsked).then(
            (value) => answered(() => resolve(value)),
            (error: Error) => {
              // With the failure of its client it is lost, not answered: it waits for the next writer.
              if (error !== client.failure) answered(() => reject(error));
            },
          ),
      };
      this.#calls.add(call);
      if (this.#restarting === undefined) askOf(this.#writer, call);
    });
  }

  #start(): StoreWriter {
    const writer = this.#options.start();
    writer.outcome.then(
      () => this.#onEnd(writer, new Error('its task returned')),
      (cause: unknown) => this.#onEnd(writer, cause),
    );
    return writer;
  }

  #onEnd(writer: StoreWriter, cause: unknown): void {
    // After `close`, and for a client that failed first, this changes nothing.
    writer.client.failUnanswered(writerExited(cause));
    // A restart that is under way hears of it by what it has asked.
    if (this.#failure !== undefined || this.#restarting !== undefined) return;
    const { timeoutMs } = this.#options;
    // All of it: a thread that does not go away is as bad as one that does not begin.
    this.#restarting = withDeadline(this.#restart(asError(cause)), timeoutMs, () => late(timeoutMs)).catch(
      (error: Error) => this.#fail(error),
    );
  }

  /** Rejects if no writer can take its place; with `#failure` set meanwhile, it just ends, whatever it waited for. */
  async #restart(cause: Error): Promise<void> {
    const began = systemClock.now();
    let last = cause;
    for (;;) {
      await this.#writer.destroy();
      // Each has been rejected by the client that failed; now none of them is under way any more.
      await Promise.all([...this.#calls].map(({ attempt }) => attempt));
      if (this.#failure !== undefined) return;
      const { broken, lastCommit } = this.#writer.client;
      if (broken !== undefined) throw broken;
      this.#lastCommit = Math.max(this.#lastCommit, lastCommit);
      this.#deaths += 1;
      if (this.#deaths >= WRITERS_MAX) throw writerExited(last, this.#deaths);
      const writer = this.#start();
      this.#writer = writer;
      try {
        await this.#resume(writer.client);
        // In the same turn as what follows: a writer that dies later is found dead by `#onEnd`.
        if (writer.client.failure === undefined) break;
      } catch (error) {
        if (error !== writer.client.failure) throw error;
      }
      last = await causeOf(writer);
    }
    if (this.#failure !== undefined) return;
    this.#restarting = undefined;
    let replayed = 0;
    for (const call of this.#calls) {
      // Others have only waited.
      if (call.isAsked) replayed += call.frames;
      askOf(this.#writer, call);
    }
    this.onRestart?.({ shard: undefined, cause, streams: 0, replayed, ms: systemClock.now() - began });
  }

  /** Takes the directory again, and sees whether it is as the writer before left it. */
  async #resume(client: LogStoreClient): Promise<void> {
    const generations = this.#generations;
    // Nobody has opened it: that is still among the calls.
    if (generations === undefined) return;
    this.#openings += 1;
    const { generation, lastCommit, lowered } = await client.resume();
    // Each opening takes one generation, unless it dies first; more of them were somebody else's, whose commits ours must
    // not replace.
    if (generation > generations.now + BigInt(this.#openings)) throw fenced(generation);
    this.#generations = { ...generations, now: generation };
    this.#openings = 0;
    // The engine holds for durable what is no longer there. Its sources must be read again, as opening it anew does.
    // A last commit that is damaged looks like one that was never finished, and is missing without a word.
    if (lowered || lastCommit < this.#lastCommit) throw damaged();
  }

  /** For good: the store is in nobody's hands once the thread is gone. */
  async #fail(error: Error): Promise<void> {
    this.#failure ??= error;
    // First, since a thread that hangs in the system may never go. It is told nothing any more, and should it still
    // write, then a frame whose bytes have changed meanwhile does not verify.
    this.#rejectCalls(this.#failure);
    await this.#writer.destroy();
  }

  #noteOpened({ generation }: { readonly generation: bigint }): void {
    this.#generations = { told: generation, now: generation };
  }

  /** A batch of the engine is one of whichever generation its log has now; any other is as wrong as it was. */
  #generationFor({ generation }: CommitBatch): bigint {
    const generations = this.#generations;
    return generation === generations?.told ? generations.now : generation;
  }

  /** Checkpoints that can be copied from a later writer, too. */
  *#lasting(
    checkpoints: Iterable<RestorableCheckpoint>,
    opener: LogStoreClient,
  ): Generator<RestorableCheckpoint, void> {
    for (const checkpoint of checkpoints) {
      const { stream, sequence } = checkpoint;
      const copyTo = (target: Uint8Array): Promise<void> =>
        this.#call(async (client) => {
          if (client === opener) return checkpoint.copyTo(target);
          const view = await client.read(stream, sequence);
          if (view === undefined) throw damaged();
          target.set(view.bytes);
        });
      yield { ...checkpoint, copyTo };
    }
  }
}

function askOf(writer: StoreWriter, call: Call): void {
  call.attempt = call.ask(writer);
  call.isAsked = true;
}

/** What a writer ended with whose client has failed: its thread ends, too, since the port between them is closed. */
async function causeOf(writer: StoreWriter): Promise<Error> {
  try {
    await writer.outcome;
  } catch (error) {
    return asError(error);
  }
  return writer.client.failure ?? new Error('its task returned');
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function writerExited(cause: unknown, times = 1): TidemarkError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const often = times > 1 ? `, ${times} times without an answer in between` : '';
  const message = `the store writer ended unexpectedly${often}: ${reason}`;
  return new TidemarkError('ERR_TIDEMARK_STORE_FAILED', message, { cause });
}

function late(ms: number): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_STORE_FAILED',
    `the store writer had to be replaced, and the store was not ready again within ${ms} ms; see why the disk does not answer, or raise storeTimeoutMs`,
  );
}

function damaged(): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_STORE_FAILED',
    'the store writer had to be replaced, and checkpoints that were durable are damaged; open the engine again, which falls back',
  );
}

function fenced(generation: bigint): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_FENCED',
    `another engine has opened the store while its writer was replaced: it has come to generation ${generation}`,
  );
}

function closed(): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_CLOSED', 'the store is closed');
}
