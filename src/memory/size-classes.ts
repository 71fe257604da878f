/**
 * Size classes of the slab allocator: four per doubling from 64 bytes to 32 KiB, so that at most a
 * fifth of an allocation is padding. Larger allocations are runs of whole pages.
 *
 * A class follows from the length alone: a new owner of an arena can rebuild the allocator from a list
 * of (address, length).
 */

export const PAGE_BYTES = 4_096;
export const SLOT_BYTES_MIN = 64;
export const SLOT_BYTES_MAX = 32_768;

/** A span holds at least this many slots … */
const SLOTS_PER_SPAN_MIN = 4;
/** … and wastes at most this share of its pages behind the last slot. */
const SPAN_WASTE_MAX = 1 / 8;

export interface SizeClass {
  readonly slotBytes: number;
  readonly spanPages: number;
  readonly slots: number;
}

export const SIZE_CLASSES: readonly SizeClass[] = buildClasses();

/** Class of an allocation of `bytes`, 1 ≤ bytes ≤ SLOT_BYTES_MAX. */
export function classOf(bytes: number): number {
  if (bytes <= SLOT_BYTES_MIN) return 0;
  const exponent = 31 - Math.clz32(bytes - 1);
  const quarter = ((bytes - 1) >>> (exponent - 2)) & 3;
  return (exponent - 6) * 4 + quarter + 1;
}

function buildClasses(): SizeClass[] {
  const classes: SizeClass[] = [];
  for (let doubling = SLOT_BYTES_MIN; doubling < SLOT_BYTES_MAX; doubling *= 2) {
    for (let quarter = 0; quarter < 4; quarter++)
      classes.push(sizeClass(doubling + (doubling / 4) * quarter));
  }
  classes.push(sizeClass(SLOT_BYTES_MAX));
  return classes;
}

function sizeClass(slotBytes: number): SizeClass {
  let spanPages = 1;
  for (;;) {
    const bytes = spanPages * PAGE_BYTES;
    const slots = Math.floor(bytes / slotBytes);
    if (slots >= SLOTS_PER_SPAN_MIN && bytes - slots * slotBytes <= bytes * SPAN_WASTE_MAX) {
      return { slotBytes, spanPages, slots };
    }
    spanPages++;
  }
}
