// The layout of the last body that had few and short names: where its entries are, and how they are named. The
// checkpoints of a stream of slots, and of streams with the same operators, are laid out alike. A body is well formed
// if it has the lengths and the names of one that was, and to compare them waits for no length to be read first.
//
// At `known`, in the thread's own block (see KNOWN_LAYOUT in memory/layout.ts):
//   0 u32 number of the layout of the body that was looked at last; 0: it is not known
//   4 u32 number of the known layout, 0 at first     8 u32 bytes of its body      12 u32 position of its first source
//  16 u32 operators   20 u32 sources                24 u32 bytes of the last body that was not laid out so
//  32 entries of 32 bytes: u32 bytes of the name, u32 of the value, u32 of the entry, u32 unused; the 16 bytes that end
//     with the name

import { OPERATOR_COUNT, OPERATORS_AT } from './body';
import { isSameTail, VECTOR_BYTES } from './names';

const CURRENT: usize = 0;
const NUMBER: usize = 4;
const BODY_BYTES: usize = 8;
const SOURCES_AT: usize = 12;
const OPERATORS: usize = 16;
const SOURCES: usize = 20;
const OTHER_BYTES: usize = 24;
const ENTRIES: usize = 32;
const ENTRY_BYTES: usize = 32;
const VALUE_BYTES: usize = 4;
const WHOLE_BYTES: usize = 8;
const TAIL: usize = 16;

/** More entries than these are not kept: 4 KiB less the header. */
const ENTRIES_MAX: u32 = 127;

/** Where the first source is in a body that is laid out as the known one; 0 if it is laid out otherwise. */
// @ts-ignore: decorator
@inline
export function recognise(body: usize, length: usize, known: usize): usize {
  if (load<u32>(known, BODY_BYTES) != <u32>length) return 0;
  const operators = load<u32>(known, OPERATORS);
  if (load<u32>(body, OPERATOR_COUNT) != operators) return 0;
  const entries = known + ENTRIES;
  const sourceCount = behindEntries(body + OPERATORS_AT, entries, operators, true);
  const sources = load<u32>(known, SOURCES);
  if (sourceCount == 0 || load<u32>(sourceCount) != sources) return 0;
  if (behindEntries(sourceCount + 4, entries + operators * ENTRY_BYTES, sources, false) == 0) return 0;
  store<u32>(known, load<u32>(known, NUMBER), CURRENT);
  return load<u32>(known, SOURCES_AT);
}

/** The address behind `count` entries that are as the known ones from `entry` on; 0 if they are not. */
// @ts-ignore: decorator
@inline
function behindEntries(start: usize, first: usize, count: u32, hasStates: bool): usize {
  let at = start;
  let entry = first;
  for (let left = count; left > 0; left--) {
    const nameBytes: usize = load<u32>(entry);
    const nameEnd = at + 4 + nameBytes;
    if (load<u32>(at) != <u32>nameBytes) return 0;
    if (hasStates && load<u32>(nameEnd) != load<u32>(entry, VALUE_BYTES)) return 0;
    if (!isSameTail(nameEnd, entry + TAIL + VECTOR_BYTES, nameBytes)) return 0;
    at += load<u32>(entry, WHOLE_BYTES);
    entry += ENTRY_BYTES;
  }
  return at;
}

/**
 * Keeps the layout of a body that is well formed. Not before the second body of its length in a row: where lengths
 * change, none would be met again.
 */
export function remember(body: usize, length: usize, sourcesAt: usize, known: usize): void {
  store<u32>(known, 0, CURRENT);
  if (load<u32>(known, OTHER_BYTES) != <u32>length) {
    store<u32>(known, <u32>length, OTHER_BYTES);
    return;
  }
  // Readers keep what they found under the number for as long as they like, so none is given twice: when there are no
  // more, all that is lost is that further layouts are not recognised.
  const number = load<u32>(known, NUMBER) + 1;
  if (number == 0) return;
  const operators = load<u32>(body, OPERATOR_COUNT);
  const sources = load<u32>(body + sourcesAt - 4);
  if (operators > ENTRIES_MAX || sources > ENTRIES_MAX || operators + sources > ENTRIES_MAX) return;
  // Until all of it is written, there is none.
  store<u32>(known, 0, BODY_BYTES);
  let entry = known + ENTRIES;
  let at = body + OPERATORS_AT;
  for (let i: u32 = 0; i < operators + sources; i++) {
    if (i == operators) at = body + sourcesAt;
    const nameBytes = load<u32>(at);
    if (nameBytes > VECTOR_BYTES) return;
    const nameEnd = at + 4 + nameBytes;
    const hasState = i < operators;
    const valueBytes: u32 = hasState ? load<u32>(nameEnd) : 8;
    const whole: u32 = 4 + nameBytes + (hasState ? 4 : 0) + valueBytes;
    store<u32>(entry, nameBytes);
    store<u32>(entry, valueBytes, VALUE_BYTES);
    store<u32>(entry, whole, WHOLE_BYTES);
    v128.store(entry, v128.load(nameEnd - VECTOR_BYTES), TAIL);
    at += whole;
    entry += ENTRY_BYTES;
  }
  store<u32>(known, number, NUMBER);
  store<u32>(known, number, CURRENT);
  store<u32>(known, <u32>length, BODY_BYTES);
  store<u32>(known, <u32>sourcesAt, SOURCES_AT);
  store<u32>(known, operators, OPERATORS);
  store<u32>(known, sources, SOURCES);
}
