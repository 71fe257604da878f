/** Deliberately wrong stores: at least one for each clause of the suite. */
import type { WrongStore } from './wrong/base.ts';
import { WRONG_CLOSING } from './wrong/closing.ts';
import { WRONG_COMMITS } from './wrong/commits.ts';
import { WRONG_CRASHES } from './wrong/crashes.ts';
import { WRONG_OPENING } from './wrong/opening.ts';
import { WRONG_OWNERS } from './wrong/owners.ts';
import { WRONG_READING } from './wrong/reading.ts';
import { WRONG_REMOVAL } from './wrong/removal.ts';
import { WRONG_RETENTION } from './wrong/retention.ts';
import { WRONG_VALUES } from './wrong/values.ts';

export const WRONG_STORES: readonly WrongStore[] = [
  ...WRONG_OPENING,
  ...WRONG_READING,
  ...WRONG_VALUES,
  ...WRONG_COMMITS,
  ...WRONG_REMOVAL,
  ...WRONG_RETENTION,
  ...WRONG_OWNERS,
  ...WRONG_CRASHES,
  ...WRONG_CLOSING,
];
