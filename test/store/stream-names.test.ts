/** Names by number, against a map. */
import { describe, expect, test } from 'vitest';
import { NO_NUMBER, StreamNames } from '../../src/store/log/stream-names.ts';
import { type Random, seeded } from '../support/random.ts';

const ALPHABETS = [
  ['a', 'b'],
  ['stream', '-', '1'],
  ['ß', '£', 'ñ'],
  ['漢', '字'],
  ['😀', '𝔘'],
];

function anyName(random: Random): string {
  const letters = random.pick(ALPHABETS);
  return Array.from({ length: random.below(5) }, () => random.pick(letters)).join('');
}

function expectEqual(names: StreamNames, model: ReadonlyMap<string, number>): void {
  expect(names.size).toBe(model.size);
  const numbers = Array.from({ length: names.numbersEnd }, (_, number) => number);
  expect(numbers.filter((number) => names.has(number)).sort()).toEqual([...model.values()].sort());
  for (const [name, number] of model) {
    const bytes = Buffer.from(name);
    expect(names.find(name)).toBe(number);
    expect(names.findBytes(Buffer.concat([Buffer.from('x'), bytes]), 1, 1 + bytes.length)).toBe(number);
    expect(names.name(number)).toBe(name);
    expect(names.byteLength(number)).toBe(bytes.length);
    const copy = new Uint8Array(bytes.length + 2);
    expect(names.copy(number, copy, 1)).toBe(bytes.length + 1);
    expect(Buffer.from(copy.subarray(1, -1)).equals(bytes)).toBe(true);
  }
}

describe('stream names', () => {
  test(
    'have the number that they were given until they are removed, and no two the same',
    seeded((random) => {
      const names = new StreamNames(random.below(2 ** 31));
      const model = new Map<string, number>();
      // Long enough to grow, and to find no place for a name but where removed ones were.
      for (let step = 0; step < 4000; step++) {
        const name = random.chance(0.5) ? anyName(random) : `stream-${random.below(1500)}`;
        const known = model.get(name);
        expect(names.find(name)).toBe(known ?? NO_NUMBER);
        if (known !== undefined && random.chance(0.4)) {
          names.remove(known);
          model.delete(name);
        } else {
          const number = names.take(name);
          if (known === undefined) expect([...model.values()]).not.toContain(number);
          else expect(number).toBe(known);
          model.set(name, number);
        }
        if (step % 500 === 0) expectEqual(names, model);
      }
      expectEqual(names, model);
    }),
  );

  test('do not keep the bytes of those that were removed', () => {
    const names = new StreamNames();
    const kept = names.take('kept');
    for (let i = 0; i < 10_000; i++) names.remove(names.take(`${'long '.repeat(20)}${i}`));
    expect(names.find('kept')).toBe(kept);
    expect(names.name(kept)).toBe('kept');
    expect(names.roomBytes).toBeLessThan(10_000);
  });

  test('are found when those before them on their way are gone', () => {
    const names = new StreamNames();
    // In 512 places, so that many share a way.
    const numbers = Array.from({ length: 200 }, (_, i) => names.take(`${i}`));
    for (let i = 0; i < 200; i += 2) names.remove(numbers[i] as number);
    for (let i = 0; i < 200; i++) expect(names.find(`${i}`)).toBe(i % 2 === 0 ? NO_NUMBER : numbers[i]);
  });
});
