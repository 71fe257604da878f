import { describe, expect, test } from 'vitest';
import { errorLine, exitCodeOf, formatBytes, formatTable, toJsonLine } from '../../src/cli/output.ts';
import { progressLine } from '../../src/cli/progress.ts';
import { REMEDIES } from '../../src/cli/remedy.ts';
import { TidemarkError } from '../../src/error.ts';

describe('errors', () => {
  test('one line: code, message, what to do', () => {
    const line = errorLine(new TidemarkError('ERR_TIDEMARK_NOT_FOUND', 'no stream\n  called x'));
    expect(line).toBe(
      `tidemark: ERR_TIDEMARK_NOT_FOUND: no stream called x; ${REMEDIES.ERR_TIDEMARK_NOT_FOUND}\n`,
    );
  });

  test('a message that says itself what to do is enough', () => {
    const message = "checkpoints on tape are not supported; use 'directory'";
    expect(errorLine(new TidemarkError('ERR_TIDEMARK_UNSUPPORTED', message))).toBe(
      `tidemark: ERR_TIDEMARK_UNSUPPORTED: ${message}\n`,
    );
  });

  test('a cause that the message leaves out is told', () => {
    const cause = new Error('EACCES: permission denied');
    expect(errorLine(new TidemarkError('ERR_TIDEMARK_STORE_FAILED', 'cannot open', { cause }))).toContain(
      'cannot open (EACCES: permission denied); ',
    );
    expect(
      errorLine(new TidemarkError('ERR_TIDEMARK_STORE_FAILED', `cannot open: ${cause.message}`, { cause })),
    ).toContain('STORE_FAILED: cannot open: EACCES: permission denied; ');
  });

  test('what is no error of ours is told as it is', () => {
    expect(errorLine(new RangeError('too far'))).toBe('tidemark: RangeError: too far\n');
    expect(errorLine(Object.assign(new Error('gone'), { code: 'ENOENT' }))).toBe('tidemark: ENOENT: gone\n');
    expect(errorLine('thrown text')).toBe('tidemark: Error: thrown text\n');
  });

  test('wrong requests end with 2, failures with 1', () => {
    expect(exitCodeOf(new TidemarkError('ERR_TIDEMARK_NOT_A_STORE', ''))).toBe(2);
    expect(exitCodeOf(new TidemarkError('ERR_TIDEMARK_STORE_FULL', ''))).toBe(1);
    expect(exitCodeOf(new Error(''))).toBe(1);
    expect(exitCodeOf(undefined)).toBe(1);
  });
});

describe('values', () => {
  test('u64 values are decimal strings in JSON', () => {
    expect(toJsonLine({ sequence: 2n ** 64n - 1n, bytes: 5 })).toBe(
      '{"sequence":"18446744073709551615","bytes":5}\n',
    );
  });

  test('bytes have the unit that is read best', () => {
    expect([0, 1023, 1024, 1536, 2 ** 30, 2 ** 50].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '1.5 KiB',
      '1.0 GiB',
      '1024.0 TiB',
    ]);
  });

  test('tables align words to the left and numbers to the right', () => {
    const table = formatTable(
      ['airport', 'flights'],
      [
        ['ABE', '1,234'],
        ['Z', '5'],
      ],
    );
    expect(table).toBe('airport  flights\nABE        1,234\nZ              5\n');
  });
});

describe('progress', () => {
  const facts = { events: 500, position: 1_500, end: 3_000, checkpoints: 7, durableLag: 120, unit: 'rows' };
  const rates = { events: 1234.4, checkpoints: 9 };

  test('a line elsewhere', () => {
    expect(progressLine(facts, rates, undefined)).toBe(
      '50%  1,500 rows  1,234 events/s  9 checkpoints/s  120 rows not yet durable',
    );
  });

  test('a bar on a terminal, as wide as there is room', () => {
    expect(progressLine(facts, rates, 200)).toMatch(/^\[#{12}\.{12}\] {2}50% {2}1,500 rows/);
    expect(progressLine(facts, rates, 20)).toHaveLength(19);
  });

  test('without positions it counts events', () => {
    const unknown = { ...facts, position: undefined, end: undefined, durableLag: undefined };
    expect(progressLine(unknown, rates, 80)).toBe('500 events  1,234 events/s  9 checkpoints/s');
  });
});
