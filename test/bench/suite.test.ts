import { describe, expect, test } from 'vitest';
import { makeState, makeVersions, requireSameState, SHAPES } from '../../bench/shapes.ts';
import { measureCase, summarize, summarizeByMedian } from '../../bench/suite.ts';

describe('the micro measure', () => {
  test('takes the least of at least seven batches and checks each subject before and after', () => {
    const checks: string[] = [];
    let calls = 0;
    const results = measureCase(
      { suite: 'test', case: 'case' },
      [
        {
          name: 'one',
          bytesPerOp: 8,
          operate: (turn) => Math.sqrt(turn),
          check: () => checks.push(`one at ${calls}`),
        },
        { name: 'two', bytesPerOp: 9, operate: () => calls++, check: () => checks.push(`two at ${calls}`) },
      ],
      { isSmoke: true },
    );
    expect(results.map(({ subject, bytesPerOp }) => [subject, bytesPerOp])).toEqual([
      ['one', 8],
      ['two', 9],
    ]);
    for (const { nsPerOp, samples, spread } of results) {
      expect(samples).toBeGreaterThanOrEqual(7);
      expect(nsPerOp).toBeGreaterThan(0);
      expect(spread.greatest).toBeGreaterThanOrEqual(spread.median);
    }
    expect(checks[0]).toBe('one at 0');
    expect(checks.at(-1)).toBe(`two at ${calls}`);
  });

  test('passes on what a check throws', () => {
    const wrong = {
      name: 'wrong',
      bytesPerOp: 1,
      operate: () => undefined,
      check: () => {
        throw new Error('the bytes differ');
      },
    };
    expect(() => measureCase({ suite: 'test', case: 'case' }, [wrong], { isSmoke: true })).toThrow(
      'the bytes differ',
    );
  });

  test('summarizes samples by the least of them', () => {
    expect(summarize([120, 100, 150])).toEqual({
      nsPerOp: 100,
      samples: 3,
      spread: { median: 120 / 100 - 1, greatest: 150 / 100 - 1 },
    });
    expect(() => summarize([])).toThrow('nothing was measured');
  });

  test('summarizes samples by the middle one, with how far the others reach', () => {
    expect(summarizeByMedian([120, 90, 150])).toEqual({
      nsPerOp: 120,
      samples: 3,
      spread: { median: 0, greatest: 150 / 120 - 1, least: 1 - 90 / 120 },
    });
    expect(() => summarizeByMedian([])).toThrow('nothing was measured');
  });
});

describe('the shapes', () => {
  test('two versions of a state differ in every operator, every offset, the watermark and the counts', () => {
    for (const shape of SHAPES.filter(({ name }) => name !== 'xl')) {
      const versions = makeVersions(shape);
      for (const [i, version] of versions.entries()) {
        const next = versions[(i + 1) % versions.length] ?? version;
        expect(version.sequence).not.toBe(next.sequence);
        expect(version.watermarkNs).not.toBe(next.watermarkNs);
        expect(version.eventCount).not.toBe(next.eventCount);
        for (const [name, bytes] of Object.entries(version.operators)) {
          expect(Buffer.compare(bytes, next.operators[name] ?? bytes)).not.toBe(0);
        }
        for (const [name, offset] of Object.entries(version.sources))
          expect(next.sources[name]).not.toBe(offset);
      }
    }
  });

  test('a difference of one byte, one offset or one name is found', () => {
    const shape = { name: 'test', operators: 2, operatorBytes: 4, sources: 2, versions: 1 };
    const expected = makeState(shape, 0);
    expect(() => requireSameState(makeState(shape, 0), expected, 'same')).not.toThrow();
    const wrong = [
      { ...expected, sequence: 0n },
      { ...expected, operators: { ...expected.operators, 'operator-1': new Uint8Array(4) } },
      { ...expected, operators: { ...expected.operators, more: new Uint8Array(4) } },
      { ...expected, sources: { ...expected.sources, 'kafka-topic-0': 0n } },
      { ...expected, sources: {} },
    ];
    for (const found of wrong) expect(() => requireSameState(found, expected, 'wrong')).toThrow('wrong');
  });
});
