/**
 * Events that are skipped, and may not be delivered as dead letters yet. Their stream goes on past them, and its checkpoints
 * with it; so after a crash, when such an event comes again from its source, it is a duplicate. For it to be given as a
 * dead letter all the same, the checkpoints name these events until the main thread says that they are delivered.
 */
import type { ErrorRecord } from '../error.ts';

/** Key of the metadata of a checkpoint whose stream has such events. */
const LETTERS_KEY = 'tidemark.dead-letters';
/** UTF-16 units of a message that are kept in a checkpoint. */
const MESSAGE_MAX = 512;

/** What is said of an event that is set aside or skipped, as JSON. */
export interface FaultText {
  readonly sequence: string;
  readonly source?: string;
  readonly offset?: string;
  readonly attempts: number;
  readonly error: ErrorRecord;
}

/** Events of a stream that are given up: those up to a sequence, and those of a source before an offset. */
export interface GivenUpText {
  readonly sequence?: string;
  readonly source?: string;
  readonly nextOffset?: string;
}

/** Where an event is, if it brings that. */
export interface EventPlace {
  readonly sequence: bigint | undefined;
  readonly source: string;
  readonly offset: bigint;
}

/** What is kept of a skipped event; undefined: it has no source that would bring it again. */
export function letterOf({ error, ...text }: FaultText): FaultText | undefined {
  return text.source === undefined ? undefined : { ...text, error: brief(error) };
}

/** As a frame's metadata have them, or the main thread; none where there is no text. */
export function lettersIn(json: string | undefined): readonly FaultText[] {
  return json === undefined ? [] : (JSON.parse(json) as FaultText[]);
}

export function letterAt(
  letters: readonly FaultText[],
  { offset, sequence, source }: EventPlace,
): FaultText | undefined {
  return letters.find(
    (letter) =>
      letter.source === source &&
      letter.offset === `${offset}` &&
      (sequence === undefined || letter.sequence === `${sequence}`),
  );
}

/** The entries of a frame's metadata that name them. */
export function lettersEntries(letters: readonly FaultText[]): (readonly [string, string])[] {
  return letters.length === 0 ? [] : [[LETTERS_KEY, JSON.stringify(letters)]];
}

export function lettersOf(metadata: ReadonlyMap<string, string> | undefined): string | undefined {
  return metadata?.get(LETTERS_KEY);
}

/** An operator's error is told by what it threw. */
function brief({ name, message, code, retryable, cause }: ErrorRecord, depth = 0): ErrorRecord {
  return {
    name,
    message: message.slice(0, MESSAGE_MAX).toWellFormed(),
    ...(code === undefined ? {} : { code }),
    ...(retryable === undefined ? {} : { retryable }),
    ...(cause === undefined || depth > 0 ? {} : { cause: brief(cause, depth + 1) }),
  };
}
