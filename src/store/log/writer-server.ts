/**
 * Serves a log store to the other end of a port, on the store writer's thread. Requests are answered in order.
 *
 * Group commit: whatever waits when a commit is begun goes out with it, in one write and one sync, and so do streams
 * that are to be forgotten one after the other. Between messages the store does pieces of its background work.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { TidemarkError, toErrorRecord } from '../../error.ts';
import { CommitReader } from './commit-table.ts';
import { TargetMemory } from './frame-copies.ts';
import type { WantedFrame } from './frame-reader.ts';
import { bufferOf } from './layout.ts';
import type { LogStore } from './log-store.ts';
import type { NewestColumns } from './newest-frames.ts';
import { type FoundLog, findLog } from './open-log.ts';
import type { LogOptions, LogPorts } from './options.ts';
import { NameReader, namesOf } from './packed-names.ts';
import { forgetsFrom, mergeable } from './request-groups.ts';
import {
  type CommitRequest,
  type CopyFailure,
  type CopyRequest,
  type FillRequest,
  type ForgetRequest,
  type FoundCheckpoints,
  type OpenedContents,
  toFrontierList,
  toNameList,
  type WriterReply,
  type WriterRequest,
} from './writer-protocol.ts';

export interface WriterService {
  readonly port: MessagePort;
  readonly memory: WebAssembly.Memory | SharedArrayBuffer;
  readonly directory: string;
  readonly options: LogOptions;
  readonly ports: LogPorts;
}

/** Milliseconds without a request after which the log may do what would hold one up. */
const QUIET_MS = 10;

/** Serves until the other end closes the store or the port; then the directory is released. */
export function serveStore(service: WriterService): Promise<void> {
  return new Promise((resolve) => new WriterServer(service, resolve).start());
}

class WriterServer {
  private readonly service: WriterService;
  private readonly onEnd: () => void;
  private readonly streams = new Map<number, string>();
  private store: LogStore | undefined;
  /** A log that is not open yet. */
  private found: FoundLog | undefined;
  /** All of it has been read, so that nothing is left to fall back to. */
  private isThorough = false;
  /** What `found` listed, for the copies that are asked for by position. */
  private listed: { readonly columns: NewestColumns; streams?: readonly string[] } | undefined;
  private target: TargetMemory | undefined;
  private isIdleScheduled = false;
  private isBrokenTold = false;
  private quietTimer: NodeJS.Timeout | undefined;
  /** When the last request was answered, by the clock of the ports. */
  private servedAt = 0;
  private readonly memoryAt: (offset: number, length: number) => Uint8Array;

  constructor(service: WriterService, onEnd: () => void) {
    this.service = service;
    this.onEnd = onEnd;
    const buffer = bufferOf(service.memory);
    this.memoryAt = (offset, length) => new Uint8Array(buffer, offset, length);
  }

  start(): void {
    const { port } = this.service;
    port.on('message', (request: WriterRequest) => this.serve(request));
    port.on('close', () => this.end());
  }

  private serve(first: WriterRequest): void {
    const requests = [first];
    for (;;) {
      const received = receiveMessageOnPort(this.service.port);
      if (received === undefined) break;
      requests.push(received.message as WriterRequest);
    }
    for (let at = 0; at < requests.length; ) {
      const request = requests[at] as WriterRequest;
      if (request.type === 'commit') {
        const group = mergeable(requests, at);
        this.commit(group);
        at += group.length;
      } else if (request.type === 'forget') {
        const group = forgetsFrom(requests, at);
        this.forget(group);
        at += group.length;
      } else {
        this.answer(request);
        // Whatever has come behind it is from somebody who did not know: nothing may be found or opened any more.
        if (request.type === 'close') return;
        at += 1;
      }
    }
    this.servedAt = this.service.ports.clock.now();
    this.scheduleIdle();
  }

  private commit(group: readonly CommitRequest[]): void {
    const readers = group.map((request) => new CommitReader(request, this.streams));
    try {
      const last = group.at(-1) as CommitRequest;
      const frames = readers.flatMap((reader) => reader.frames(this.memoryAt));
      const frontiers = new Map(readers.flatMap((reader) => [...reader.frontiers()]));
      const isRepeated = group.some((request) => request.isRepeated);
      this.opening().commit({ frames, frontiers, generation: last.generation, isRepeated });
      for (const { request } of group) this.reply(this.done(request));
    } catch (error) {
      // Together they may be too much where one alone is not. What there was room for has its place in the log already.
      if (group.length > 1) for (const request of group) this.commit([{ ...request, isRepeated: true }]);
      else this.fail(group[0]?.request ?? 0, error);
    }
  }

  private forget(group: readonly ForgetRequest[]): void {
    try {
      this.opening().forget(...group.map(({ stream }) => stream));
    } catch (error) {
      // Together they may be too much where one alone is not.
      if (group.length > 1) for (const request of group) this.forget([request]);
      else this.fail(group[0]?.request ?? 0, error);
      return;
    }
    for (const { request, number } of group) {
      if (number !== undefined) this.streams.delete(number);
      this.reply(this.done(request));
    }
  }

  private answer(request: Exclude<WriterRequest, CommitRequest | ForgetRequest>): void {
    try {
      this.reply(this.replyTo(request));
      if (request.type === 'close') this.service.port.close();
    } catch (error) {
      if (this.found?.isOver === true) this.found = undefined;
      this.fail(request.request, error);
    }
  }

  private replyTo(message: Exclude<WriterRequest, CommitRequest | ForgetRequest>): WriterReply {
    const { request } = message;
    switch (message.type) {
      case 'find':
        return { type: 'found', request, found: this.find() };
      case 'fill':
        return { type: 'filled', request, isGood: this.fill(message) };
      case 'open':
        return { type: 'opened', request, contents: this.open(message.isFilled) };
      case 'resume':
        return { type: 'opened', request, contents: this.resume() };
      case 'copy':
        return this.copy(message);
      case 'read': {
        const bytes = this.opening().readFrame(message.stream, message.sequence);
        return bytes === undefined ? { type: 'frame', request } : { type: 'frame', request, bytes };
      }
      case 'list': {
        const found = this.opening().list(message.stream);
        const sequences = BigUint64Array.from(found, ({ sequence }) => sequence);
        const createdAtMs = Float64Array.from(found, (checkpoint) => checkpoint.createdAtMs);
        return { type: 'checkpoints', request, sequences, createdAtMs };
      }
      case 'streams':
        return { type: 'streams', request, names: toNameList([...this.opening().streams()]) };
      case 'deleteBefore':
        this.opening().deleteBefore(message.stream, message.sequence);
        return this.done(request);
      case 'close':
        this.release();
        return this.done(request);
      default:
        return message satisfies never;
    }
  }

  private find(): FoundCheckpoints {
    if (this.found === undefined) {
      this.found = this.findLog();
    } else {
      this.found.readAll();
      this.isThorough = true;
    }
    return this.list(this.found);
  }

  private findLog(): FoundLog {
    const { ports, directory, options } = this.service;
    if (this.store !== undefined || this.found !== undefined) {
      throw new TidemarkError('ERR_TIDEMARK_INVALID_ARGUMENT', 'the store is open already');
    }
    return findLog(ports, directory, options);
  }

  private list({ newest, fellBack }: FoundLog): FoundCheckpoints {
    const columns = newest.columns();
    this.listed = { columns };
    return { ...columns, fellBack: positionsOf(fellBack, columns) };
  }

  private fill({ from, addresses }: FillRequest): boolean {
    this.target ??= new TargetMemory(this.service.memory);
    const isGood = this.findings().copy(from, { memory: this.target, addresses });
    if (isGood || !this.isThorough) return isGood;
    throw new TidemarkError('ERR_TIDEMARK_DAMAGED_FRAME', 'a checkpoint that verified a moment ago does not');
  }

  private open(isFilled: boolean): OpenedContents {
    if (isFilled) return this.finish();
    this.found = this.findLog();
    this.found.verify();
    return { found: this.list(this.found), ...this.finish() };
  }

  private resume(): OpenedContents {
    this.found = this.findLog();
    this.found.verify();
    return this.finish();
  }

  private finish(): OpenedContents {
    const { store, generation, frontiers, lowered, lost } = this.findings().finish();
    this.found = undefined;
    this.store = store;
    const { lastCommit } = store;
    return { generation, frontiers: toFrontierList(frontiers), lastCommit, lowered, lost };
  }

  private findings(): FoundLog {
    if (this.found === undefined) throw new TidemarkError('ERR_TIDEMARK_CLOSED', 'nothing has been found');
    return this.found;
  }

  /** The streams that `found` listed, as strings. */
  private streamsListed(): readonly string[] {
    const { listed } = this;
    if (listed === undefined) return [];
    listed.streams ??= namesOf(listed.columns.names);
    return listed.streams;
  }

  private copy({ request, checkpoints, offsets }: CopyRequest): WriterReply {
    const store = this.opening();
    const failures: CopyFailure[] = [];
    const bytes = new Map<number, Uint8Array>();
    const wanted: (WantedFrame & { readonly at: number })[] = [];
    const streams = this.streamsListed();
    for (const [at, checkpoint] of checkpoints.entries()) {
      const stream = streams[checkpoint] ?? '';
      const sequence = this.listed?.columns.sequences[checkpoint] ?? 0n;
      const place = store.locate(stream, sequence);
      if (place === undefined) {
        failures.push({ at, error: toErrorRecord(notFound(stream, sequence)) });
        continue;
      }
      const offset = offsets[at] as number;
      const target = offset < 0 ? new Uint8Array(place.length) : this.memoryAt(offset, place.length);
      if (offset < 0) bytes.set(at, target);
      wanted.push({ at, place, target });
    }
    store.copyFrames(wanted, (frame, error) => {
      const { at } = frame as (typeof wanted)[number];
      bytes.delete(at);
      failures.push({ at, error: toErrorRecord(error) });
    });
    return { type: 'copied', request, failures, bytes };
  }

  private opening(): LogStore {
    if (this.store === undefined) throw new TidemarkError('ERR_TIDEMARK_CLOSED', 'the store is not open');
    return this.store;
  }

  private reply(reply: WriterReply): void {
    this.service.port.postMessage(reply, transferOf(reply));
  }

  private done(request: number): WriterReply {
    return { type: 'done', request, lastCommit: this.store?.lastCommit ?? 0 };
  }

  private fail(request: number, error: unknown): void {
    this.tellIfBroken();
    this.reply({ type: 'failed', request, error: toErrorRecord(error) });
  }

  /** At once, since this thread may die before anybody asks, and the next one would sync what this one could not. */
  private tellIfBroken(): void {
    const failure = this.store?.failure;
    if (failure === undefined || this.isBrokenTold) return;
    this.isBrokenTold = true;
    this.reply({ type: 'broken', error: toErrorRecord(failure) });
  }

  /** One piece a turn of the event loop, so that a message never waits for more than one. */
  private scheduleIdle(): void {
    if (this.isIdleScheduled || this.store === undefined) return;
    this.isIdleScheduled = true;
    setImmediate(() => {
      this.isIdleScheduled = false;
      const busyMs = this.servedAt + QUIET_MS - this.service.ports.clock.now();
      try {
        if (this.store?.idleStep(busyMs > 0) === true) this.scheduleIdle();
        else if (busyMs > 0) this.scheduleQuiet(busyMs);
      } catch {
        // The store has failed and says so to every request, too.
        this.tellIfBroken();
      }
    });
  }

  /** Looks again once it may be quiet; requests that come until then put it off. */
  private scheduleQuiet(ms: number): void {
    this.quietTimer ??= setTimeout(() => {
      this.quietTimer = undefined;
      this.scheduleIdle();
    }, ms).unref();
  }

  private end(): void {
    try {
      this.release();
    } catch {
      // Nobody is left to be told; what was durable is durable without it.
    }
    this.onEnd();
  }

  private release(): void {
    this.found?.abandon();
    this.store?.close();
  }
}

function notFound(stream: string, sequence: bigint): TidemarkError {
  return new TidemarkError(
    'ERR_TIDEMARK_NOT_FOUND',
    `the log has no checkpoint of ${JSON.stringify(stream)} at ${sequence}`,
  );
}

/** From streams to their positions in the list. */
function positionsOf<T>(byStream: ReadonlyMap<string, T>, { names }: NewestColumns): Map<number, T> {
  const positions = new Map<number, T>();
  if (byStream.size === 0) return positions;
  const reader = new NameReader(names);
  for (let i = 0; i < names.lengths.length; i++) {
    const value = byStream.get(reader.next());
    if (value !== undefined) positions.set(i, value);
  }
  return positions;
}

function transferOf(reply: WriterReply): ArrayBuffer[] {
  if (reply.type === 'frame') return reply.bytes === undefined ? [] : [reply.bytes.buffer as ArrayBuffer];
  if (reply.type === 'copied') return [...reply.bytes.values()].map(({ buffer }) => buffer as ArrayBuffer);
  return [];
}
