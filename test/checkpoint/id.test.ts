import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';

const invalid = expect.objectContaining({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' });

describe('CheckpointId', () => {
  test('takes the sequence as a number or a bigint and keeps a bigint', () => {
    expect(new CheckpointId('s', 7).sequence).toBe(7n);
    expect(new CheckpointId('s', 2n ** 64n - 1n).sequence).toBe(18446744073709551615n);
  });

  test('is created now unless told otherwise', () => {
    const before = Date.now();
    const id = new CheckpointId('s', 1);
    expect(id.createdAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(id.createdAt.getTime()).toBeLessThanOrEqual(Date.now());
    expect(new CheckpointId('s', 1, new Date(5)).createdAt).toEqual(new Date(5));
  });

  test('does not change with the date it was given', () => {
    const date = new Date(5);
    const id = new CheckpointId('s', 1, date);
    date.setTime(6);
    expect(id.createdAt.getTime()).toBe(5);
  });

  test('gives the same date each time, and is equal whether or not it was asked for', () => {
    const asked = new CheckpointId('s', 1, new Date(5));
    expect(asked.createdAt).toBe(asked.createdAt);
    expect(asked).toEqual(new CheckpointId('s', 1, new Date(5)));
    expect(asked).not.toEqual(new CheckpointId('s', 1, new Date(6)));
  });

  test('has no names but those of the model', () => {
    const id = new CheckpointId('s', 1, new Date(5));
    expect(Object.keys(id)).toEqual(['streamId', 'sequence']);
    expect(inspect(id)).toBe(
      "CheckpointId { streamId: 's', sequence: 1n, createdAt: 1970-01-01T00:00:00.005Z }",
    );
  });

  test('keeps the time of its making, not that of the question', () => {
    vi.useFakeTimers({ now: 5 });
    const id = new CheckpointId('s', 1);
    vi.setSystemTime(6);
    expect(id.createdAt.getTime()).toBe(5);
    vi.useRealTimers();
  });

  test.each([-1, 1.5, 2n ** 64n, Number.NaN])('refuses the sequence %s', (sequence) => {
    expect(() => new CheckpointId('s', sequence)).toThrow(invalid);
  });

  test('refuses a stream id with an unpaired surrogate', () => {
    for (let i = 0; i < 2; i++) expect(() => new CheckpointId('\ud800', 1)).toThrow(invalid);
    expect(new CheckpointId('s', 1).streamId).toBe('s');
    expect(() => new CheckpointId('\ud800', 1)).toThrow(invalid);
  });

  test.each([new Date(Number.NaN), new Date(-1), new Date(18_446_744_073_710)])(
    'refuses a date that frames cannot hold',
    (date) => {
      expect(() => new CheckpointId('s', 1, date)).toThrow(invalid);
    },
  );

  test('orders by stream, then sequence, then time', () => {
    const ascending = [
      new CheckpointId('\uffff', 9, new Date(9)),
      new CheckpointId('\u{1f600}', 1, new Date(9)),
      new CheckpointId('\u{1f600}', 2, new Date(1)),
      new CheckpointId('\u{1f600}', 2, new Date(2)),
    ];
    expect([...ascending].reverse().sort(CheckpointId.compare)).toEqual(ascending);
    expect(
      CheckpointId.compare(new CheckpointId('s', 1, new Date(3)), new CheckpointId('s', 1, new Date(3))),
    ).toBe(0);
  });
});
