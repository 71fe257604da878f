import { expect, test } from 'vitest';
import {
  classOf,
  PAGE_BYTES,
  SIZE_CLASSES,
  SLOT_BYTES_MAX,
  SLOT_BYTES_MIN,
} from '../../src/memory/size-classes.ts';

test('every length maps to the smallest class that holds it', () => {
  for (let bytes = 1; bytes <= SLOT_BYTES_MAX; bytes++) {
    const smallest = SIZE_CLASSES.findIndex(({ slotBytes }) => slotBytes >= bytes);
    if (classOf(bytes) !== smallest)
      expect.fail(`${bytes} bytes map to class ${classOf(bytes)}, not ${smallest}`);
  }
});

test('at most a fifth of an allocation is padding from the smallest slot up', () => {
  for (let bytes = SLOT_BYTES_MIN; bytes <= SLOT_BYTES_MAX; bytes++) {
    const slotBytes = SIZE_CLASSES[classOf(bytes)]?.slotBytes ?? 0;
    if (slotBytes - bytes > slotBytes / 5) expect.fail(`${bytes} bytes take a slot of ${slotBytes}`);
  }
});

test('classes ascend from the least slot to the greatest in multiples of 16 bytes', () => {
  const sizes = SIZE_CLASSES.map(({ slotBytes }) => slotBytes);
  expect(sizes[0]).toBe(SLOT_BYTES_MIN);
  expect(sizes.at(-1)).toBe(SLOT_BYTES_MAX);
  expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => a - b));
  expect(sizes.filter((bytes) => bytes % 16 !== 0)).toEqual([]);
});

test('a span holds at least four slots and wastes at most an eighth of its pages', () => {
  for (const { slotBytes, spanPages, slots } of SIZE_CLASSES) {
    const spanBytes = spanPages * PAGE_BYTES;
    expect(slots).toBe(Math.floor(spanBytes / slotBytes));
    expect(slots).toBeGreaterThanOrEqual(4);
    expect(spanBytes - slots * slotBytes).toBeLessThanOrEqual(spanBytes / 8);
  }
});
