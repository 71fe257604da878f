/** The suite: every clause that suits a factory becomes a test of whatever runner is at hand. */
import { CLOSING } from './closing.ts';
import { COMMITS } from './commits.ts';
import { CRASHES } from './crashes.ts';
import type { StoreFactory } from './factory.ts';
import { OPENING } from './opening.ts';
import { OWNERS } from './owners.ts';
import { READING } from './reading.ts';
import { REMOVAL } from './removal.ts';
import { RETENTION } from './retention.ts';
import { Trial } from './trial.ts';
import { VALUES } from './values.ts';

export interface SuiteOptions<Place> {
  /** Registers a test: that of `node:test`, of vitest, or anything alike. */
  readonly test: (name: string, body: () => Promise<void>) => unknown;
  readonly factory: StoreFactory<Place>;
}

const CLAUSES = [
  ...OPENING,
  ...READING,
  ...VALUES,
  ...COMMITS,
  ...REMOVAL,
  ...RETENTION,
  ...OWNERS,
  ...CRASHES,
  ...CLOSING,
];

/**
 * Registers one test for each clause of the contract of stores that suits the factory. A test rejects with an
 * `AssertionError` that says what is wrong, or with what the store threw; it leaves its place disposed of. The
 * clauses set no time limits, so let the runner have one: a store that never answers makes a test that never ends.
 */
export function suite<Place>({ test, factory }: SuiteOptions<Place>): void {
  for (const clause of CLAUSES) {
    if (clause.suits?.(factory) === false) continue;
    test(clause.name, () => Trial.run(factory, clause));
  }
}
