/** Closing an engine that cannot make everything durable: until when it tries, and what it says then. */
import { type NotDurable, TidemarkError } from '../error.ts';
import { integer, section } from './options.ts';
import type { RoutedStream } from './router.ts';
import type { ShardHandle } from './shard-handle.ts';
import { ABANDON_MS, closeStore, type StoreConnection } from './store-connection.ts';

export interface CloseOptions {
  /** Milliseconds after which what is not durable is given up. Default: it is waited for, however long it takes. */
  readonly deadlineMs?: number | undefined;
}

const KNOWN_CLOSE: ReadonlySet<string> = new Set(['deadlineMs'] satisfies (keyof CloseOptions)[]);
/** Streams that a message names; the error has all. */
const NAMES_MAX = 5;

/**
 * Begins to close, and calls `onLate` if that has not ended by the deadline of `options`. Returns what closing comes to.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT, and does not begin
 */
export function closeWithin<Summary>(
  options: CloseOptions | undefined,
  begin: () => Promise<Summary>,
  onLate: (ms: number) => void,
): Promise<Summary> {
  let ms: number | undefined;
  try {
    ms = checkCloseOptions(options);
  } catch (error) {
    return Promise.reject(error);
  }
  const closed = begin();
  if (ms === undefined) return closed;
  const timer = setTimeout(onLate, ms, ms);
  const clear = (): void => clearTimeout(timer);
  closed.then(clear, clear);
  return closed;
}

/** What was to be closed is not durable by the deadline. */
export function closedLate(ms: number, streams: Iterable<RoutedStream>): TidemarkError {
  const notDurable = listNotDurable(streams);
  const error = new TidemarkError(
    'ERR_TIDEMARK_NOT_DURABLE',
    `closed after ${ms} ms ${describe(notDurable)}`,
  );
  error.notDurable = notDurable;
  return error;
}

/** A full store has kept closing from making everything durable. */
export function closedWhileFull(cause: TidemarkError, streams: Iterable<RoutedStream>): TidemarkError {
  const notDurable = listNotDurable(streams);
  const message = `closed ${describe(notDurable)}: ${cause.message}`;
  const error = new TidemarkError('ERR_TIDEMARK_STORE_FULL', message, { cause });
  error.notDurable = notDurable;
  return error;
}

/** @throws ERR_TIDEMARK_INVALID_ARGUMENT */
function checkCloseOptions(options: CloseOptions | undefined): number | undefined {
  const { deadlineMs } = section(options, KNOWN_CLOSE, 'close');
  return deadlineMs === undefined ? undefined : integer('close.deadlineMs', deadlineMs, 0, 2 ** 31 - 1);
}

function listNotDurable(streams: Iterable<RoutedStream>): NotDurable[] {
  const list: NotDurable[] = [];
  for (const { aside, name, pushed, settled } of streams) {
    // What is held out of it is told otherwise.
    const due = aside?.seen ?? pushed;
    if (due > settled) list.push({ stream: name, events: due - settled });
  }
  return list;
}

function describe(list: readonly NotDurable[]): string {
  if (list.length === 0) return 'before the frontiers were durable';
  const names = list.slice(0, NAMES_MAX).map(({ stream }) => `'${stream}'`);
  const more = list.length > NAMES_MAX ? ` and ${list.length - NAMES_MAX} more` : '';
  return `with events that are not durable, of ${names.join(', ')}${more}`;
}

/** Ends threads and store, orderly or at once. What fails of it is told to `onError`. */
export async function release(
  parts: {
    readonly shards: readonly ShardHandle[];
    readonly connection: StoreConnection | undefined;
    /** Given to the store to close, in milliseconds. */
    readonly storeMs: number;
    readonly onError: (error: unknown) => void;
  },
  isOrderly: boolean,
): Promise<void> {
  const { connection, onError, shards, storeMs } = parts;
  await Promise.all(shards.map((shard) => (isOrderly ? shard.stop() : shard.kill())));
  try {
    await closeStore(connection, isOrderly ? storeMs : Math.min(storeMs, ABANDON_MS));
  } catch (error) {
    onError(error);
  }
  await connection?.release();
}
