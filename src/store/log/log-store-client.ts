/**
 * The log store as the engine's thread sees it: every call is a message to the store writer and a promise.
 *
 * Invariants: a request has one reply; when the writer goes away, or `fail` is called, every request that still
 * waits is rejected, and so is every later one. No bytes of states are touched here: frames that lie in the
 * engine's memory cross as numbers, and only what lies elsewhere is copied.
 */
import { type MessagePort, receiveMessageOnPort, type Transferable } from 'node:worker_threads';
import { CheckpointId } from '../../checkpoint/id.ts';
import { type CheckpointView, viewFrame } from '../../codec/view.ts';
import { fromErrorRecord, TidemarkError } from '../../error.ts';
import type {
  CheckpointStore,
  CommitBatch,
  RestorableCheckpoint,
  RestoredContents,
  RestoreTarget,
  StoreContents,
} from '../contract.ts';
import { packCommit, StreamNumbers } from './commit-table.ts';
import { FoundReader } from './found-reader.ts';
import { bufferOf } from './layout.ts';
import {
  type FoundCheckpoints,
  fromFrontierList,
  fromNameList,
  type OpenedContents,
  type WriterReply,
  type WriterRequest,
} from './writer-protocol.ts';

/** A request without its number, which `send` gives it. */
type Unnumbered = WriterRequest extends infer Request
  ? Request extends WriterRequest
    ? Omit<Request, 'request'>
    : never
  : never;

type ReplyOf<Type extends WriterReply['type']> = Extract<WriterReply, { type: Type }>;

interface Pending {
  readonly expects: WriterReply['type'];
  readonly resolve: (reply: WriterReply) => void;
  readonly reject: (error: Error) => void;
}

interface WaitingCopy {
  readonly checkpoint: number;
  readonly target: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Checkpoints that are copied for one message: few enough for the writer to begin while more are placed. */
const FILL_COUNT_MAX = 4_096;
const FILL_BYTES_MAX = 2 ** 25;

export interface LogStoreClientOptions {
  /** The other end of it is served by the store writer. */
  readonly port: MessagePort;
  /**
   * The engine's memory, the same that the store writer was given. Of a `WebAssembly.Memory`, frames are known by the
   * buffer that it has now: it has another one, of the same bytes, as soon as any shared memory of the thread grows.
   */
  readonly memory: WebAssembly.Memory | SharedArrayBuffer;
}

export class LogStoreClient implements CheckpointStore {
  readonly #port: MessagePort;
  readonly #memory: ArrayBufferLike;
  readonly #pending = new Map<number, Pending>();
  readonly #streams = new StreamNumbers();
  #nextRequest = 1;
  #failure: Error | undefined;
  #broken: Error | undefined;
  #lastCommit = 0;
  #closing: Promise<void> | undefined;
  #copies: WaitingCopy[] = [];

  constructor({ port, memory }: LogStoreClientOptions) {
    this.#port = port;
    this.#memory = bufferOf(memory);
    port.on('message', (reply: WriterReply) => this.#settle(reply));
    port.on('messageerror', (error) => {
      this.fail(error);
      // The writer ends with it: what waits there has lost whom to answer.
      port.close();
    });
    port.on('close', () =>
      this.fail(new TidemarkError('ERR_TIDEMARK_STORE_FAILED', 'the store writer is gone')),
    );
  }

  async open(): Promise<StoreContents> {
    const { contents } = await this.#request('opened', { type: 'open', isFilled: false });
    const { found } = contents;
    if (found === undefined) throw new Error('the store writer did not say what it had found');
    return {
      ...restoredContents(contents),
      checkpoints: { [Symbol.iterator]: () => this.#checkpoints(found) },
    };
  }

  /**
   * As `open`, and every checkpoint is copied to where `target` places it, in the engine's memory. They are read once:
   * each is verified as it is copied, and nothing is told, nor changed in the directory, before all are good.
   * @throws as `open`, and what `target` throws
   */
  async openInto(target: RestoreTarget): Promise<RestoredContents> {
    for (let isFilled = false; !isFilled; ) {
      const { found } = await this.#request('found', { type: 'find' });
      target.begin();
      isFilled = await this.#fill(found, target);
    }
    const { contents } = await this.#request('opened', { type: 'open', isFilled: true });
    return restoredContents(contents);
  }

  /** As `open`, for who has what is in it: nothing is restored. */
  async resume(): Promise<Pick<OpenedContents, 'generation' | 'lastCommit' | 'lowered'>> {
    const { contents } = await this.#request('opened', { type: 'resume' });
    return contents;
  }

  /**
   * Why the writer cannot be asked any more, or undefined. A call that was rejected with this very error has not been
   * answered; whatever else it is rejected with the store itself has said.
   */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** What the store has failed with, if it has: it writes no more, and what it could not sync nobody may sync again. */
  get broken(): Error | undefined {
    return this.#broken;
  }

  /** Number of the last commit that the writer has said to be durable; 0 before it has said anything. */
  get lastCommit(): number {
    return this.#lastCommit;
  }

  /** `isRepeated`: another writer was asked for it and has not answered, so the log may have it. */
  async commit(batch: CommitBatch, isRepeated = false): Promise<void> {
    const { generation } = batch;
    const table = packCommit(batch, this.#streams, this.#memory);
    await this.#request('done', { type: 'commit', generation, isRepeated, ...table }, [
      table.numbers.buffer,
      ...table.copies.map(({ buffer }) => buffer),
    ]);
  }

  async read(stream: string, sequence?: bigint): Promise<CheckpointView | undefined> {
    const which = sequence === undefined ? {} : { sequence };
    const { bytes } = await this.#request('frame', { type: 'read', stream, ...which });
    return bytes === undefined ? undefined : viewFrame(bytes);
  }

  async list(stream: string): Promise<CheckpointId[]> {
    const { sequences, createdAtMs } = await this.#request('checkpoints', { type: 'list', stream });
    return Array.from(
      sequences,
      (sequence, i) => new CheckpointId(stream, sequence, new Date(createdAtMs[i] as number)),
    );
  }

  async *streams(): AsyncGenerator<string, void> {
    const { names } = await this.#request('streams', { type: 'streams' });
    yield* fromNameList(names);
  }

  async deleteBefore(stream: string, sequence: bigint): Promise<void> {
    await this.#request('done', { type: 'deleteBefore', stream, sequence });
  }

  async forget(stream: string): Promise<void> {
    const number = this.#streams.remove(stream);
    const known = number === undefined ? {} : { number };
    await this.#request('done', { type: 'forget', stream, ...known });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Rejects everything that waits and everything that comes; for when the writer's thread has died. */
  fail(error: Error): void {
    this.#failure ??= error;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(this.#failure);
    const copies = this.#copies;
    this.#copies = [];
    for (const { reject } of copies) reject(this.#failure);
  }

  /** As `fail`, once the writer's thread is gone; what it had answered, and nobody has heard yet, still counts. */
  failUnanswered(error: Error): void {
    // A port that has closed has brought everything, and Node dies of reading it while it says so. `close` has set the
    // failure by then, since nothing else runs before that event.
    while (this.#failure === undefined) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) break;
      this.#settle(received.message as WriterReply);
    }
    this.fail(error);
  }

  async #close(): Promise<void> {
    // What it failed with has been told to whoever waited; closing what is gone already is no failure.
    if (this.#failure !== undefined) return;
    try {
      await this.#request('done', { type: 'close' });
    } finally {
      this.fail(new TidemarkError('ERR_TIDEMARK_CLOSED', 'the store is closed'));
      this.#port.close();
    }
  }

  #request<Type extends WriterReply['type']>(
    expects: Type,
    message: Unnumbered,
    transfer: readonly Transferable[] = [],
  ): Promise<ReplyOf<Type>> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const request = this.#nextRequest;
      this.#nextRequest += 1;
      this.#pending.set(request, {
        expects,
        // `#settle` resolves only with a reply of the type that is expected.
        resolve: (reply) => resolve(reply as ReplyOf<Type>),
        reject,
      });
      this.#port.postMessage({ ...message, request }, transfer);
    });
  }

  #settle(reply: WriterReply): void {
    if (reply.type === 'broken') {
      this.#broken = fromErrorRecord(reply.error);
      return;
    }
    if (reply.type === 'done') this.#lastCommit = reply.lastCommit;
    if (reply.type === 'opened') this.#lastCommit = reply.contents.lastCommit;
    const pending = this.#pending.get(reply.request);
    if (pending === undefined) return;
    this.#pending.delete(reply.request);
    if (reply.type === 'failed') pending.reject(fromErrorRecord(reply.error));
    else if (reply.type === pending.expects) pending.resolve(reply);
    else
      pending.reject(
        new Error(`the store writer answered ${reply.type} to a request for ${pending.expects}`),
      );
  }

  *#checkpoints(found: FoundCheckpoints): Generator<RestorableCheckpoint, void> {
    const reader = new FoundReader(found);
    for (const [at, byteLength] of found.byteLengths.entries()) {
      yield { ...reader.next(), byteLength, copyTo: (target) => this.#copy(at, byteLength, target) };
    }
  }

  /** Whether all of them are good. The writer copies the first ones while places are found for the next. */
  async #fill(found: FoundCheckpoints, target: RestoreTarget): Promise<boolean> {
    const fills: Promise<boolean>[] = [];
    const { byteLengths } = found;
    try {
      const reader = new FoundReader(found);
      for (let from = 0; from < byteLengths.length; ) {
        const addresses: number[] = [];
        for (let bytes = 0; addresses.length < FILL_COUNT_MAX && bytes < FILL_BYTES_MAX; ) {
          const byteLength = byteLengths[from + addresses.length];
          if (byteLength === undefined) break;
          addresses.push(target.place(reader.next(), byteLength));
          bytes += byteLength;
        }
        const fill = this.#request('filled', { type: 'fill', from, addresses: Float64Array.from(addresses) });
        fills.push(fill.then(({ isGood }) => isGood));
        from += addresses.length;
      }
    } finally {
      // Whoever hears of a failure gives up the memory, so all copies have to be through with it.
      await Promise.allSettled(fills);
    }
    return (await Promise.all(fills)).every((isGood) => isGood);
  }

  /** Copies that are asked for in one turn go to the writer as one message. */
  #copy(checkpoint: number, byteLength: number, target: Uint8Array): Promise<void> {
    if (target.length !== byteLength) {
      const message = `the target has ${target.length} bytes, the checkpoint ${byteLength}`;
      return Promise.reject(new TidemarkError('ERR_TIDEMARK_INVALID_ARGUMENT', message));
    }
    return new Promise((resolve, reject) => {
      if (this.#copies.length === 0) queueMicrotask(() => this.#sendCopies());
      this.#copies.push({ checkpoint, target, resolve, reject });
    });
  }

  #sendCopies(): void {
    const copies = this.#copies;
    this.#copies = [];
    if (copies.length === 0) return;
    const checkpoints = Uint32Array.from(copies, ({ checkpoint }) => checkpoint);
    const offsets = Float64Array.from(copies, ({ target }) =>
      target.buffer === this.#memory ? target.byteOffset : -1,
    );
    this.#request('copied', { type: 'copy', checkpoints, offsets }).then(
      ({ failures, bytes }) => {
        for (const [at, frame] of bytes) copies[at]?.target.set(frame);
        for (const { at, error } of failures) copies[at]?.reject(fromErrorRecord(error));
        const failed = new Set(failures.map(({ at }) => at));
        for (const [at, { resolve }] of copies.entries()) if (!failed.has(at)) resolve();
      },
      (error: Error) => {
        for (const { reject } of copies) reject(error);
      },
    );
  }
}

function restoredContents({ generation, frontiers, lost }: OpenedContents): RestoredContents {
  return { generation, frontiers: fromFrontierList(frontiers), lost };
}
