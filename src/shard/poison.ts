/**
 * Events that an operator throws at, or that end their thread, time after time. Such an event is tried as often as the
 * options say, each time from the state that was before it; then its stream is set aside, or moves past it.
 *
 * The state before an event is got back on the thread where that can be done, so that other streams wait no longer
 * than it takes to do: the image of a stream that outlives its thread is kept before each event; the others are
 * restored from their newest frame, which is the shard's own memory, and what they have read since is read again from
 * the ring, which keeps it for just that. Where the frame has left memory the thread ends, for one that follows it to
 * be given the frame from the store. An event that ends threads is known to the one that is not to try it any more.
 *
 * Main copies the event, and all of a stream set aside that is behind it in the ring, and says when it has: until
 * then the ring keeps them. A thread that ends before its entry about an event is published leaves the ring as it was.
 */
import type { TidemarkError } from '../error.ts';
import { type ErrorRecord, toErrorRecord } from '../error.ts';
import type { ControlWords } from '../memory/doorbells.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import { COMPLETION } from '../memory/entry-rings.ts';
import type { ImageDirectory } from '../memory/image-directory.ts';
import { AT, FLAG, RECORD, recordsBetween } from '../memory/ingest-ring.ts';
import { type ArenaLayout, WORD } from '../memory/layout.ts';
import type { Completions } from './completions.ts';
import type { EventProcessor, RecordPlace } from './event-processor.ts';
import type { FrameTaker } from './frame-taker.ts';
import { encodeMetadata } from './frame-writer.ts';
import {
  type FaultText,
  type GivenUpText,
  letterAt,
  letterOf,
  lettersEntries,
  lettersIn,
  lettersOf,
} from './letters.ts';
import type { ReplayWindow } from './replay-window.ts';
import type { ShardHeap } from './shard-heap.ts';
import type { ShardStream } from './stream.ts';
import { ASIDE_KEY, type StreamTable } from './stream-table.ts';
import type { HandedFault, PoisonPolicy } from './task.ts';
import type { WantedStreams } from './wanted-streams.ts';

/** UTF-16 units of a message or stack that are kept. */
const TEXT_MAX = 4_096;
/** Records that are read again between two signs that the thread is not held up. */
const BEAT_EVERY = 256;

/** The state before an event that failed cannot be had on this thread. `cause` is what the event failed with. */
export class ThreadSpent extends Error {
  constructor(cause: unknown) {
    super('another thread is to try the event', { cause });
  }
}

interface Failure {
  readonly attempts: number;
  readonly error: ErrorRecord;
}

export interface PoisonParts {
  readonly arena: ArenaLayout;
  readonly words: ControlWords;
  readonly heap: ShardHeap;
  readonly table: StreamTable;
  readonly directory: ImageDirectory;
  readonly window: ReplayWindow;
  readonly processor: EventProcessor;
  readonly completions: Completions;
  readonly wanted: WantedStreams;
  readonly beat: () => void;
  readonly frames: FrameTaker;
}

export class PoisonEvents {
  /** No event before this position is known not to be tried; `faultAt` says of later ones. */
  next = Number.POSITIVE_INFINITY;
  readonly #memory: EngineMemory;
  readonly #policy: PoisonPolicy;
  readonly #parts: PoisonParts;
  readonly #known: readonly HandedFault[];
  #at = -1;
  /** Number of the last entry about an event that was told, and the positions of those that main has not copied from yet. */
  #told: number;
  #untaken: { readonly number: number; readonly position: number }[] = [];

  constructor(
    memory: EngineMemory,
    policy: PoisonPolicy & { readonly known: readonly HandedFault[] },
    parts: PoisonParts,
  ) {
    this.#memory = memory;
    this.#policy = policy;
    this.#parts = parts;
    this.#known = policy.known;
    this.#told = parts.words.get(WORD.faultsTaken);
    this.#passKnown();
    parts.processor.onLetter = (record, stream) => this.#giveAgain(record, stream);
  }

  /** What is known of the event at `position`, if it is not to be tried. Positions ascend from call to call. */
  faultAt(position: number): HandedFault | undefined {
    // What was passed over was not for its stream any more.
    while (this.next < position) this.#passKnown();
    if (this.next > position) return undefined;
    const fault = this.#known[this.#at];
    this.#passKnown();
    return fault;
  }

  /** An event of a stream that is set aside, or one that is known. Returns whether the stream is due. */
  meet(record: RecordPlace, stream: ShardStream, fault: HandedFault | undefined, now: number): boolean {
    this.#parts.processor.pass(record, stream);
    if (stream.isAside || fault === undefined) return false;
    return this.#giveUp(record, stream, { ...fault, now });
  }

  /**
   * The event has failed with `error`. Returns whether the stream is due.
   * @throws `error` if it is not an operator's, or the policy is to fail; ThreadSpent
   */
  onError(error: unknown, record: RecordPlace, stream: ShardStream, now: number): boolean {
    const { attemptsMax, onPoison } = this.#policy;
    let last = requireOfOperator(error);
    for (let attempts = 1; attempts < attemptsMax; attempts++) {
      this.#parts.beat();
      this.#goBack(record, stream, last);
      try {
        return this.#parts.processor.again(record, stream, now);
      } catch (again) {
        last = requireOfOperator(again);
      }
    }
    if (onPoison === 'fail') throw last;
    this.#parts.beat();
    this.#goBack(record, stream, last);
    return this.#giveUp(record, stream, { attempts: attemptsMax, error: toErrorRecord(last), now });
  }

  /** The stream goes on with what follows the record. From here on its checkpoints do not say that it is set aside. */
  resume(stream: ShardStream, { end }: RecordPlace, now: number): void {
    stream.isAside = false;
    stream.seen++;
    // It is to be forgotten, and has no state any more.
    if (stream.isPassedOver) return;
    this.#parts.frames.checkpoint(stream, end, now);
    // As for what is given up: who has the stream go on waits for this checkpoint, and none may follow.
    this.#parts.completions.flush();
  }

  /** The stream was restored from a checkpoint with metadata, which may say that it is set aside, or of what it has skipped. */
  restored(stream: ShardStream, metadata: ReadonlyMap<string, string>): void {
    const letters = lettersOf(metadata);
    stream.letters = lettersIn(letters);
    if (letters !== undefined)
      this.#tell(COMPLETION.skipped, stream, { text: letters, position: 0, isRestored: true });
    const text = metadata.get(ASIDE_KEY);
    if (text === undefined) return;
    stream.isAside = true;
    this.#tell(COMPLETION.aside, stream, { text, position: 0, isRestored: true });
  }

  /** What main says in the record of events of the stream that were skipped or held out. */
  told(
    kind: typeof RECORD.letterDelivered | typeof RECORD.giveUp,
    { address, position }: RecordPlace,
    stream: ShardStream,
  ): void {
    const length = this.#memory.u32[(address + AT.length) >>> 2] as number;
    const text = this.#parts.table.readName(address + AT.name, length);
    if (kind === RECORD.letterDelivered)
      stream.letters = stream.letters.filter((letter) => letter.sequence !== text);
    // Otherwise it has gone on, with that behind it, and the record is read again; or it is to be forgotten.
    else if (stream.isAside)
      this.#parts.processor.moveBehind(stream, JSON.parse(text) as GivenUpText, position);
  }

  /** Position from which on the ring is kept for main to copy from, at most `read`. */
  from(read: number): number {
    const [first] = this.#untaken;
    if (first === undefined) return read;
    const taken = this.#parts.words.get(WORD.faultsTaken);
    this.#untaken = this.#untaken.filter(({ number }) => ((number - taken) | 0) > 0);
    return Math.min(read, this.#untaken[0]?.position ?? read);
  }

  /** Main has copied something since the ring was released last. */
  get isTaken(): boolean {
    const [first] = this.#untaken;
    return first !== undefined && ((first.number - this.#parts.words.get(WORD.faultsTaken)) | 0) <= 0;
  }

  #passKnown(): void {
    this.#at++;
    this.next = this.#known[this.#at]?.position ?? Number.POSITIVE_INFINITY;
  }

  /** The event was read, and the state is what it was before it. */
  #giveUp(record: RecordPlace, stream: ShardStream, failure: Failure & { readonly now: number }): boolean {
    const isDue = this.#setAsideOrSkip(record, stream, failure);
    // Before another event is read: were the thread to end, all before that would count as done by images that outlive
    // it, and the next one would try the event again.
    this.#parts.completions.flush();
    return isDue;
  }

  #setAsideOrSkip(
    record: RecordPlace,
    stream: ShardStream,
    failure: Failure & { readonly now: number },
  ): boolean {
    const { position } = record;
    if (this.#policy.onPoison === 'skip') {
      const isDue = this.#parts.processor.skip(record, stream, failure.now);
      const fault = this.#textOf(record, failure);
      const letter = letterOf(fault);
      if (letter !== undefined) stream.letters = [...stream.letters, letter];
      this.#tell(COMPLETION.skipped, stream, { text: JSON.stringify(fault), position, isRestored: false });
      // Were it read again by a thread that follows, or before a later event that fails, it would fail again.
      if (stream.keptBytes === 0) this.#parts.frames.cover(stream, record.end, failure.now);
      return isDue;
    }
    this.#parts.processor.prepare(record, stream);
    const text = JSON.stringify(this.#textOf(record, failure));
    const metadata = encodeMetadata([[ASIDE_KEY, text], ...lettersEntries(stream.letters)]);
    this.#parts.wanted.remove(stream);
    // Of the event under way nothing is in the checkpoint.
    stream.seen--;
    this.#parts.frames.checkpoint(stream, position, failure.now, metadata);
    this.#tell(COMPLETION.aside, stream, { text, position, isRestored: false });
    stream.seen++;
    stream.isAside = true;
    return false;
  }

  /** A duplicate of an event that was skipped, perhaps by an earlier life: main knows which of these it is delivering. */
  #giveAgain(record: RecordPlace, stream: ShardStream): void {
    const { sequence, source, offset } = this.#placeOf(record);
    if (source === undefined) return;
    const letter = letterAt(stream.letters, { sequence, source, offset });
    if (letter === undefined) return;
    const { position } = record;
    this.#tell(COMPLETION.skipped, stream, { text: JSON.stringify(letter), position, isRestored: false });
    // As where it is given up: a thread that follows may not come to it again.
    this.#parts.completions.flush();
  }

  #tell(
    kind: typeof COMPLETION.aside | typeof COMPLETION.skipped,
    stream: ShardStream,
    fault: { readonly text: string; readonly position: number; readonly isRestored: boolean },
  ): void {
    const { completions, heap } = this.#parts;
    const bytes = Buffer.from(fault.text, 'utf8');
    const address = heap.allocateFrame(bytes.length, stream.name);
    this.#memory.copyIn(bytes, address);
    completions.fault(kind, stream, { ...fault, text: { address, bytes: bytes.length } });
    // Of what was restored the ring has nothing for main to take, and main counts what it takes.
    if (fault.isRestored) return;
    this.#told = (this.#told + 1) | 0;
    this.#untaken.push({ number: this.#told, position: fault.position });
  }

  /** The record has the event's sequence by now. */
  #textOf(record: RecordPlace, { attempts, error }: Failure): FaultText {
    const { source, offset } = this.#placeOf(record);
    return {
      sequence: `${this.#memory.u64[(record.address + AT.sequence) / 8]}`,
      ...(source === undefined ? {} : { source, offset: `${offset}` }),
      attempts,
      error: shortened(error),
    };
  }

  /** What the event itself brings. */
  #placeOf({ address }: RecordPlace): { sequence?: bigint; source?: string; offset: bigint } {
    const { u32, u64 } = this.#memory;
    const flags = (u32[(address >>> 2) + 1] as number) >>> 16;
    const source = this.#parts.table.sources[u32[(address + AT.source) >>> 2] as number];
    return {
      ...((flags & FLAG.sequence) === 0 ? {} : { sequence: u64[(address + AT.sequence) / 8] as bigint }),
      ...((flags & FLAG.source) === 0 ? {} : { source: source?.name as string }),
      offset: u64[(address + AT.offset) / 8] as bigint,
    };
  }

  /** The state of the stream is what it was before the event. @throws ThreadSpent with `error` as its cause */
  #goBack({ position }: RecordPlace, stream: ShardStream, error: TidemarkError): void {
    const { arena, beat, directory, processor, table, window } = this.#parts;
    if (stream.keptBytes > 0) {
      directory.undo(position);
      return;
    }
    let isBack = false;
    try {
      isBack = table.rewind(stream);
      const from = window.firstOf(stream) ?? position;
      let read = 0;
      for (const record of isBack ? recordsBetween(this.#memory, arena, { from, through: position }) : []) {
        const isOfStream = this.#isEventOf(stream, record.address);
        if (isOfStream) processor.redo(record.address, stream);
        // Operators may take long for each event.
        if (isOfStream || ++read % BEAT_EVERY === 0) beat();
      }
    } catch (cause) {
      // Its operators do not come again to what they came to before; what they were given is there for another thread.
      throw new ThreadSpent(cause);
    }
    if (!isBack) throw new ThreadSpent(error);
  }

  #isEventOf(stream: ShardStream, address: number): boolean {
    const { u32 } = this.#memory;
    const word = address >>> 2;
    return (
      ((u32[word + AT.kind / 4] as number) & 0xffff) === RECORD.event &&
      (u32[word + AT.index / 4] as number) === stream.index
    );
  }
}

/** @throws what is not an operator's */
function requireOfOperator(error: unknown): TidemarkError {
  if ((error as TidemarkError | null)?.code !== 'ERR_TIDEMARK_OPERATOR') throw error;
  return error as TidemarkError;
}

/** Well-formed, so that it can be written as UTF-8, and of bounded length. */
function shortened({ message, stack, cause, ...rest }: ErrorRecord): ErrorRecord {
  const cut = (text: string): string => text.slice(0, TEXT_MAX).toWellFormed();
  return {
    ...rest,
    message: cut(message),
    ...(stack === undefined ? {} : { stack: cut(stack) }),
    ...(cause === undefined ? {} : { cause: shortened(cause) }),
  };
}
