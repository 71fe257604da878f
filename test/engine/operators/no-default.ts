/** A module without a default export. */
import type { Operator } from '../../../src/index.ts';

export const operators: readonly Operator[] = [];
