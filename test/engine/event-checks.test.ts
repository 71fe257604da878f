/** What a pushed event must be, whatever came before it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { U64_MAX } from '../../src/codec/u64.ts';
import type { Event } from '../../src/engine/event.ts';
import { checkEvent, nextOffsetOf, payloadBytes } from '../../src/engine/event-checks.ts';
import { TidemarkError } from '../../src/error.ts';
import { AT, recordBytes } from '../../src/memory/ingest-ring.ts';

const RECORD_BYTES_MAX = 2_048;

function refusal(event: unknown): TidemarkError {
  try {
    checkEvent(event as Event, RECORD_BYTES_MAX);
  } catch (error) {
    if (error instanceof TidemarkError) return error;
    throw error;
  }
  throw new Error('the event was accepted');
}

function accept(event: Partial<Event>): void {
  expect(() => checkEvent({ stream: 's', payload: '', ...event }, RECORD_BYTES_MAX)).not.toThrow();
}

const base = { stream: 's', payload: 'p' };
const from = { ...base, source: 'file', offset: 5 };

describe('accepted are', () => {
  test('any name that is well-formed, also the empty one', () => {
    for (const stream of ['', '\ufeff', '\u{1f600}', '\uffff', 'x'.repeat(600)]) accept({ stream });
    for (const source of ['', '\u{1f600}', 'x'.repeat(600)]) accept({ source, offset: 0 });
  });

  test('payloads of bytes and text, up to half the ring', () => {
    const most = RECORD_BYTES_MAX - AT.payload;
    for (const payload of [
      '',
      'ä',
      new Uint8Array(0),
      Buffer.from('x'),
      new Uint8Array(most),
      'x'.repeat(most),
    ]) {
      accept({ payload });
    }
  });

  test('u64 values as bigint or as safe number', () => {
    for (const value of [0, 0n, -0, Number.MAX_SAFE_INTEGER, 2n ** 53n, U64_MAX]) {
      accept({ sequence: value, watermarkNs: value });
      if (value !== U64_MAX) accept({ source: 'file', offset: value });
      if (value !== 0 && value !== 0n) accept({ source: 'file', offset: 0, nextOffset: value });
    }
    accept({ source: 'file', offset: U64_MAX - 1n });
    accept({ sequence: undefined, watermarkNs: undefined, source: undefined, offset: undefined });
  });
});

const wrong: readonly (readonly [what: string, event: unknown, message: RegExp])[] = [
  ['nothing', undefined, /an event is an object, got undefined/],
  ['null', null, /an event is an object, got null/],
  ['text', 'event', /an event is an object/],
  ['no stream', { payload: '' }, /event\.stream/],
  ['a stream that is a number', { ...base, stream: 5 }, /event\.stream/],
  ['a stream with an unpaired surrogate', { ...base, stream: '\ud800' }, /event\.stream/],
  ['a stream too long for the ring', { ...base, stream: 'x'.repeat(700) }, /event\.stream of 700 characters/],
  ['no payload', { stream: 's' }, /event\.payload/],
  ['a payload of null', { ...base, payload: null }, /event\.payload/],
  ['a payload that is an object', { ...base, payload: {} }, /event\.payload/],
  ['a payload that is an ArrayBuffer', { ...base, payload: new ArrayBuffer(2) }, /event\.payload/],
  ['a payload of another array', { ...base, payload: new Uint16Array(2) }, /event\.payload/],
  ['a payload with an unpaired surrogate', { ...base, payload: 'a\udc00' }, /event\.payload.*surrogate/],
  ['an offset without source', { ...base, offset: 1 }, /must name its source/],
  ['a next offset without source', { ...base, nextOffset: 1 }, /must name its source/],
  ['a source without offset', { ...base, source: 'file' }, /must have an offset/],
  ['a source that is a number', { ...from, source: 5 }, /event\.source/],
  ['a source with an unpaired surrogate', { ...from, source: '\udfff' }, /event\.source/],
  ['a source too long for the ring', { ...from, source: 'x'.repeat(700) }, /event\.source/],
  [
    'a next offset that is the offset',
    { ...from, nextOffset: 5 },
    /greater than event\.offset, got 5 after 5/,
  ],
  ['a next offset below the offset', { ...from, nextOffset: 4n }, /greater than event\.offset/],
  ['the greatest offset, which has no next one', { ...from, offset: U64_MAX }, /leaves no next offset/],
];

describe('refused, and named, is an event with', () => {
  test.each(wrong)('%s', (_what, event, message) => {
    const error = refusal(event);
    expect(error.code).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
    expect(error.message).toMatch(message);
  });

  const fields = ['sequence', 'watermarkNs', 'offset', 'nextOffset'];
  const values = [-1, -1n, 1.5, Number.NaN, 2 ** 53, U64_MAX + 1n, '5', null, true, {}];
  test.each(fields.flatMap((field) => values.map((value) => [field, value] as const)))(
    '%s = %o',
    (field, value) => {
      const error = refusal({ ...from, [field]: value });
      expect(error.code).toBe('ERR_TIDEMARK_INVALID_ARGUMENT');
      expect(error.message).toContain(`event.${field}`);
    },
  );

  test('a payload of more than half the ring, by its bytes', () => {
    const most = RECORD_BYTES_MAX - AT.payload;
    for (const payload of [new Uint8Array(most + 1), 'ä'.repeat(most / 2 + 1)]) {
      const error = refusal({ stream: 's', payload });
      expect(error.code).toBe('ERR_TIDEMARK_PAYLOAD_TOO_LARGE');
      expect(error.message).toContain(`${payloadBytes(payload)} bytes exceeds the limit of ${most} bytes`);
      expect(error.message).toContain('memory.ringBytes');
    }
  });
});

test('every name that is accepted fits a definition record, whatever its UTF-8', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 800, size: 'max' }), (stream) => {
      fc.pre(stream.isWellFormed());
      let isAccepted = true;
      try {
        checkEvent({ stream, payload: '' }, RECORD_BYTES_MAX);
      } catch {
        isAccepted = false;
      }
      if (isAccepted)
        expect(recordBytes(AT.name, Buffer.byteLength(stream))).toBeLessThanOrEqual(RECORD_BYTES_MAX);
    }),
  );
});

test('the next offset is the one that is given, or the offset plus 1 without losing a bit', () => {
  expect(nextOffsetOf(5, undefined)).toBe(6);
  expect(nextOffsetOf(5, 9n)).toBe(9n);
  expect(nextOffsetOf(Number.MAX_SAFE_INTEGER, undefined)).toBe(2n ** 53n);
  expect(nextOffsetOf(U64_MAX - 1n, undefined)).toBe(U64_MAX);
});
