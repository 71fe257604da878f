// Finds an entry by its name in what `verify` or `index` has let through. Should the bytes have changed since, what is
// found may be wrong, but nothing outside of the range is read.

import { OPERATOR_COUNT, OPERATORS_AT } from './body';
import { isSame } from './names';

/** Address of the length of the state of the operator named by the key; 0 if there is none. `end` is the body's. */
export function findState(body: usize, end: usize, key: usize, keyBytes: usize): usize {
  let at = body + OPERATORS_AT;
  for (let left = load<u32>(body, OPERATOR_COUNT); left > 0; left--) {
    if (end - at < 4) return 0;
    const nameBytes: usize = load<u32>(at);
    const name = at + 4;
    if (end - name < nameBytes) return 0;
    const state = name + nameBytes;
    if (end - state < 4) return 0;
    const stateBytes: usize = load<u32>(state);
    if (end - state - 4 < stateBytes) return 0;
    if (nameBytes == keyBytes && isSame(name, key, keyBytes)) return state;
    at = state + 4 + stateBytes;
  }
  return 0;
}

/** Address of the offset of the source named by the key; 0 if there is none. The first source is at `sources`. */
export function findOffset(sources: usize, end: usize, key: usize, keyBytes: usize): usize {
  let at = sources;
  for (let left = load<u32>(sources - 4); left > 0; left--) {
    if (end - at < 4) return 0;
    const nameBytes: usize = load<u32>(at);
    const name = at + 4;
    if (end - name < nameBytes) return 0;
    const offset = name + nameBytes;
    if (end - offset < 8) return 0;
    if (nameBytes == keyBytes && isSame(name, key, keyBytes)) return offset;
    at = offset + 8;
  }
  return 0;
}
