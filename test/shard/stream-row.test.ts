/** Rows of streams: each has its own, whatever their number, and its fields are apart from each other. */
import { describe, expect, test } from 'vitest';
import type { HostedOperators } from '../../src/shard/operator-host.ts';
import { ShardSource, ShardStream, SourcePosition } from '../../src/shard/stream.ts';
import { StreamColumns, StreamRow } from '../../src/shard/stream-row.ts';

const NONE: HostedOperators = { inOrder: [], byName: [], hasHeap: false };

/** Every field that a row has, set to something that depends on `seed` in all of its bits. */
function fill(row: StreamRow, seed: number): Record<string, unknown> {
  const odd = seed % 2 === 1;
  const facts = {
    seen: 2 ** 40 + seed,
    uncoveredEvents: 2 ** 41 + seed,
    uncoveredBytes: 2 ** 42 + seed,
    firstUncoveredAt: seed + 0.5,
    image: 2 ** 32 - 16 * (seed + 1),
    keptBytes: 4_096 - seed,
    isOnlyOpen: odd,
    isAside: !odd,
    isPassedOver: odd,
    isHeld: !odd,
  };
  Object.assign(row, facts);
  return facts;
}

function read(row: StreamRow, facts: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(facts).map((name) => [name, row[name as keyof StreamRow]]));
}

function position(stream: ShardStream, source: ShardSource, offsetAddress: number): SourcePosition {
  const made = new SourcePosition(source, stream);
  made.offsetAddress = offsetAddress;
  return made;
}

test('a thousand streams keep their own facts while their rows move to make room', () => {
  const columns = new StreamColumns();
  // Numbers come in any order.
  const indexes = Array.from({ length: 1_000 }, (_, i) => (i * 617) % 1_000);
  const filled = indexes.map((index) => {
    const stream = new ShardStream(columns, index, `s${index}`, NONE);
    return { stream, facts: fill(stream, index) };
  });
  const cursor = new StreamRow(columns, 0);
  for (const { stream, facts } of filled) {
    expect(read(stream, facts)).toEqual(facts);
    cursor.index = stream.index;
    expect(read(cursor, facts)).toEqual(facts);
    expect(cursor.stream).toBe(stream);
  }
});

test('no field shows in another one', () => {
  const stream = new ShardStream(new StreamColumns(), 3, 's', NONE);
  const facts = fill(stream, 1);
  for (const [name, value] of Object.entries(facts)) {
    const other = typeof value === 'boolean' ? !value : (value as number) - 1;
    const before = read(stream, facts);
    Object.assign(stream, { [name]: other });
    expect(read(stream, facts)).toEqual({ ...before, [name]: other });
    Object.assign(stream, { [name]: value });
  }
});

test('a number that is given anew begins with nothing', () => {
  const columns = new StreamColumns();
  const facts = fill(new ShardStream(columns, 5, 'first', NONE), 5);
  columns.end(5);
  expect(columns.streams[5]).toBeUndefined();
  const second = new ShardStream(columns, 5, 'second', NONE);
  const nothing = Object.entries(facts).map(([name, value]) => [
    name,
    typeof value === 'boolean' ? false : 0,
  ]);
  expect(read(second, facts)).toEqual(Object.fromEntries(nothing));
});

describe('the only source', () => {
  const first = new ShardSource(1, 'a', Buffer.from('a'));
  const second = new ShardSource(2, 'b', Buffer.from('b'));

  test('is known by where its offset is, as long as there is no other', () => {
    const stream = new ShardStream(new StreamColumns(), 0, 's', NONE);
    expect(stream.onlyOffsetAddress(first)).toBe(0);
    const only = position(stream, first, 4_096);
    stream.setPositions([only]);
    expect(stream.onlyOffsetAddress(first)).toBe(4_096);
    expect(stream.onlyOffsetAddress(second)).toBe(0);
    stream.setPositions([only, position(stream, second, 8_192)]);
    expect(stream.onlyOffsetAddress(first)).toBe(0);
    expect(stream.onlyOffsetAddress(second)).toBe(0);
    expect(stream.offsetAddress).toBe(0);
  });

  test('is open in the row when its position is, and the row of several sources is not', () => {
    const stream = new ShardStream(new StreamColumns(), 0, 's', NONE);
    const only = position(stream, first, 4_096);
    only.isOpen = true;
    expect(stream.isOnlyOpen).toBe(false);
    stream.setPositions([only]);
    expect(stream.isOnlyOpen).toBe(true);
    only.isOpen = false;
    expect(stream.isOnlyOpen).toBe(false);
    only.isOpen = true;
    const other = position(stream, second, 8_192);
    stream.setPositions([only, other]);
    expect(stream.isOnlyOpen).toBe(false);
    other.isOpen = true;
    expect(stream.isOnlyOpen).toBe(false);
  });
});
