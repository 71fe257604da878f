/** What a pushed event must be. Checked on the caller's thread before anything of it is accepted. */
import { U64_MAX } from '../codec/u64.ts';
import { TidemarkError } from '../error.ts';
import { AT, recordBytes } from '../memory/ingest-ring.ts';
import type { Event, PushOptions, U64 } from './event.ts';
import { invalidArgument } from './options.ts';

/** A UTF-16 unit takes at most so many bytes of UTF-8. */
const UTF16_UNIT_BYTES_MAX = 3;

/**
 * Whether a push is to wait for durability.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT
 */
export function checkPushOptions(options: PushOptions | undefined, isDurable: boolean): boolean {
  if (options === undefined) return false;
  // A mistaken option must not pass for the weaker promise.
  if (options === null || typeof options !== 'object') {
    throw invalidArgument(
      `the options of push are an object such as { until: 'durable' }, got ${String(options)}`,
    );
  }
  for (const key of Object.keys(options)) {
    if (key !== 'until') throw invalidArgument(`unknown option of push ${key}; known is until`);
  }
  const { until = 'accepted' } = options;
  if (until === 'accepted') return false;
  if (until !== 'durable') {
    throw invalidArgument(`until must be 'accepted' or 'durable', got ${JSON.stringify(until)}`);
  }
  if (!isDurable) {
    throw invalidArgument(
      "until: 'durable' needs a directory or a store; this engine keeps checkpoints in memory only",
    );
  }
  return true;
}

/** Length of the payload in bytes. */
export function payloadBytes(payload: Uint8Array | string): number {
  return typeof payload === 'string' ? Buffer.byteLength(payload, 'utf8') : payload.byteLength;
}

/**
 * Checks everything about an event that does not depend on other events. A name needs no check that has passed it
 * before: the stream's if `isKnownStream`, the source's if it is `knownSource`.
 * @throws ERR_TIDEMARK_INVALID_ARGUMENT, ERR_TIDEMARK_PAYLOAD_TOO_LARGE
 */
export function checkEvent(
  event: Event,
  recordBytesMax: number,
  isKnownStream = false,
  knownSource?: string,
): void {
  if (event === null || typeof event !== 'object')
    throw invalidArgument(`an event is an object, got ${event === null ? 'null' : typeof event}`);
  const { stream, payload, source, offset, nextOffset } = event;
  if (!isKnownStream) checkName(stream, 'event.stream', recordBytesMax);
  checkPayload(payload, recordBytesMax);
  if (event.sequence !== undefined) checkU64(event.sequence, 'event.sequence');
  if (event.watermarkNs !== undefined) checkU64(event.watermarkNs, 'event.watermarkNs');
  if (source === undefined) {
    if (offset !== undefined || nextOffset !== undefined)
      throw invalidArgument('an event with an offset must name its source');
    return;
  }
  if (source !== knownSource) checkName(source, 'event.source', recordBytesMax);
  if (offset === undefined) throw invalidArgument('an event with a source must have an offset');
  checkU64(offset, 'event.offset');
  checkNext(offset, nextOffset);
}

function checkPayload(payload: unknown, recordBytesMax: number): void {
  let mostBytes: number;
  if (typeof payload === 'string') {
    if (!payload.isWellFormed())
      throw invalidArgument('event.payload is a string with an unpaired surrogate; push bytes instead');
    mostBytes = payload.length * UTF16_UNIT_BYTES_MAX;
  } else if (payload instanceof Uint8Array) {
    mostBytes = payload.byteLength;
  } else {
    throw invalidArgument('event.payload must be a string or a Uint8Array');
  }
  // To count the bytes of a string takes longer than all the other checks; short ones fit whatever they hold.
  if (recordBytes(AT.payload, mostBytes) <= recordBytesMax) return;
  const bytes = payloadBytes(payload);
  if (recordBytes(AT.payload, bytes) <= recordBytesMax) return;
  throw new TidemarkError(
    'ERR_TIDEMARK_PAYLOAD_TOO_LARGE',
    `a payload of ${bytes} bytes exceeds the limit of ${recordBytesMax - AT.payload} bytes, half the ring; raise memory.ringBytes`,
  );
}

/** The next offset of an event that passed the checks. */
export function nextOffsetOf(offset: U64, nextOffset: U64 | undefined): U64 {
  if (nextOffset !== undefined) return nextOffset;
  return typeof offset === 'number' && offset < Number.MAX_SAFE_INTEGER ? offset + 1 : BigInt(offset) + 1n;
}

function checkNext(offset: U64, nextOffset: U64 | undefined): void {
  if (nextOffset === undefined) {
    if (offset === U64_MAX)
      throw invalidArgument('event.offset is the greatest u64, which leaves no next offset');
    return;
  }
  checkU64(nextOffset, 'event.nextOffset');
  if (nextOffset <= offset) {
    throw invalidArgument(
      `event.nextOffset must be greater than event.offset, got ${nextOffset} after ${offset}`,
    );
  }
}

function checkName(name: unknown, what: string, recordBytesMax: number): void {
  if (typeof name !== 'string' || !name.isWellFormed())
    throw invalidArgument(`${what} must be a well-formed string`);
  if (name.length * UTF16_UNIT_BYTES_MAX + AT.name + 8 > recordBytesMax) {
    throw invalidArgument(`${what} of ${name.length} characters is too long for memory.ringBytes`);
  }
}

function checkU64(value: unknown, what: string): void {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && value >= 0) return;
  } else if (typeof value === 'bigint' && value >= 0n && value <= U64_MAX) {
    return;
  }
  throw invalidArgument(
    `${what} must be an unsigned 64-bit integer: a bigint, or a safe non-negative integer, got ${String(value)}`,
  );
}
