import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compareUtf8,
  decodeUtf8,
  encodeUtf8,
  isUtf8Range,
  utf8ByteLength,
  writeUtf8,
} from '../../src/codec/utf8.ts';
import { shared } from './arbitrary-state.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 80 });

const malformed: [string, number[]][] = [
  ['a lone continuation byte', [0x80]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['a surrogate half', [0xed, 0xa0, 0x80]],
  ['a code point past U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['a cut sequence', [0x61, 0xe2, 0x82]],
];

describe('encodeUtf8', () => {
  test.each(['\ud800', 'a\udc00b', '\ude00\ud83d'])('refuses the unpaired surrogate in %j', (text) => {
    expect(() => encodeUtf8(text, 'stream id')).toThrow(
      expect.objectContaining({
        code: 'ERR_TIDEMARK_INVALID_ARGUMENT',
        message: expect.stringContaining('stream id'),
      }),
    );
  });

  test('refuses what is not a string', () => {
    expect(() => encodeUtf8(7 as unknown as string, 'stream id')).toThrow(
      expect.objectContaining({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' }),
    );
  });

  test('agrees with Buffer, in length and in place too', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const expected = Buffer.from(text);
        expect(Buffer.compare(encodeUtf8(text, 'text'), expected)).toBe(0);
        expect(utf8ByteLength(text)).toBe(expected.length);
        const target = new Uint8Array(expected.length + 5);
        expect(writeUtf8(target, 5, text)).toBe(target.length);
        expect(Buffer.compare(target.subarray(5), expected)).toBe(0);
      }),
    );
  });
});

describe('decodeUtf8', () => {
  test('gives back what was encoded, from shared memory too', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const bytes = Buffer.from(text);
        expect(decodeUtf8(bytes, 0, bytes.length)).toBe(text);
        expect(decodeUtf8(shared(bytes), 0, bytes.length)).toBe(text);
        expect(isUtf8Range(shared(bytes), 0, bytes.length)).toBe(true);
      }),
    );
  });

  test('keeps a leading U+FEFF', () => {
    expect(decodeUtf8(Buffer.from('\ufeffbom'), 0, 6)).toBe('\ufeffbom');
  });

  test('reads only its range', () => {
    const bytes = Uint8Array.of(0xff, 0x61, 0x62, 0xff);
    expect(decodeUtf8(bytes, 1, 3)).toBe('ab');
    expect(decodeUtf8(bytes, 2, 2)).toBe('');
  });

  test.each(malformed)('refuses %s', (_, bytes) => {
    for (const padding of ['', 'x'.repeat(100)]) {
      const all = Buffer.concat([Buffer.from(padding), Buffer.from(bytes)]);
      expect(decodeUtf8(all, 0, all.length)).toBeUndefined();
      expect(isUtf8Range(shared(all), 0, all.length)).toBe(false);
    }
  });
});

describe('compareUtf8', () => {
  test('orders any texts as their UTF-8 bytes', () => {
    const nearby = fc
      .tuple(anyText, anyText, anyText)
      .map(([start, a, b]) => [start + a, start + b] as const);
    fc.assert(
      fc.property(nearby, ([a, b]) => {
        const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareUtf8(a, b))).toBe(expected);
      }),
    );
  });

  test('puts an astral character after U+FFFF, where JavaScript puts it before', () => {
    expect(['\uffff', '\u{1f600}'].sort()).toEqual(['\u{1f600}', '\uffff']);
    expect(compareUtf8('\u{1f600}', '\uffff')).toBeGreaterThan(0);
  });
});
