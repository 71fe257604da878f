import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NAME_BYTES_MAX, NameTable } from '../../src/codec/name-table.ts';

/** Reads `name` from somewhere between other bytes. */
function read(table: NameTable, name: string | Uint8Array, before = 3): string | undefined {
  const bytes = Buffer.from(name as string);
  const around = new Uint8Array(before + bytes.length + 3).fill(0xff);
  around.set(bytes, before);
  return table.read(new DataView(around.buffer), before, bytes.length);
}

const anyName = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: NAME_BYTES_MAX / 4 }),
    fc.string({ unit: fc.constantFrom('a', 'b', '\0'), maxLength: NAME_BYTES_MAX }),
  )
  .filter((name) => Buffer.byteLength(name) <= NAME_BYTES_MAX);

describe('NameTable', () => {
  test('gives the text of any bytes, seldom or often seen, in any order', () => {
    const table = new NameTable(4_096);
    fc.assert(
      fc.property(fc.array(anyName, { maxLength: 30 }), fc.nat(7), (names, before) => {
        for (const name of [...names, ...names, ...names.toReversed()])
          expect(read(table, name, before)).toBe(name);
      }),
    );
  });

  test('stays right when every name collides, and far more come than there is room for', () => {
    for (const slots of [1, 2, 4]) {
      const table = new NameTable(slots);
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 50; i++) expect(read(table, `operator-${i}`)).toBe(`operator-${i}`);
      }
    }
  });

  test('tells names apart that only differ in zeros, in length or in one byte', () => {
    const table = new NameTable(1);
    const names = [
      '',
      '\0',
      '\0\0\0\0',
      'a',
      'a\0',
      'a\0\0\0',
      'a\0\0\0\0',
      'abcd',
      'abcde',
      'abcdf',
      'bbcde',
    ];
    for (let round = 0; round < 3; round++) {
      for (const name of names) {
        expect(read(table, name)).toBe(name);
        expect(read(table, name)).toBe(name);
      }
    }
  });

  test('keeps names up to the longest', () => {
    const table = new NameTable(16);
    for (const length of [NAME_BYTES_MAX - 1, NAME_BYTES_MAX]) {
      const name = 'n'.repeat(length);
      for (const last of ['x', 'y', 'x', 'y'])
        expect(read(table, name.slice(1) + last)).toBe(name.slice(1) + last);
    }
  });

  test('refuses bytes that are not UTF-8 each time, also where another name is expected', () => {
    const table = new NameTable(16);
    for (let round = 0; round < 3; round++) {
      expect(read(table, 'tides')).toBe('tides');
      expect(read(table, Uint8Array.of(0xc0, 0xaf))).toBeUndefined();
      expect(read(table, Uint8Array.of(0x61, 0xe2, 0x82))).toBeUndefined();
      expect(read(table, '\ufeffé')).toBe('\ufeffé');
    }
  });

  test('is not misled by bytes that change while they are read', () => {
    const words = ['tide', 'ship'];
    class ChangingView extends DataView<ArrayBuffer> {
      #reads = 0;
      override getInt32(at: number, isLittleEndian: boolean): number {
        Buffer.from(this.buffer).write((words[this.#reads++ % 2] as string).repeat(2), 'latin1');
        return super.getInt32(at, isLittleEndian);
      }
    }
    const table = new NameTable(16);
    const changing = new ChangingView(new ArrayBuffer(11));
    const names = words.flatMap((first) => words.map((second) => first + second));
    for (let round = 0; round < 6; round++) {
      expect(names).toContain(table.read(changing, 0, 8));
      for (const name of names) expect(read(table, name)).toBe(name);
    }
  });
});
