/** The conformance kit: what a `CheckpointStore` promises the engine, clause by clause, as tests for any runner. */
import { strict as assert } from 'node:assert';
import type { Clause } from './clause.ts';
import type { StoreFactory, StorePlace } from './factory.ts';
import { owningClauses } from './owning.ts';
import { removingClauses } from './removing.ts';
import { savingClauses } from './saving.ts';
import { Session } from './session.ts';

const CLAUSES: readonly Clause[] = [...savingClauses, ...removingClauses, ...owningClauses];

export interface SuiteOptions {
  /** Of vitest, node:test or any other runner: a name, and a function whose rejection is a failure. */
  readonly test: (name: string, body: () => Promise<void>) => unknown;
  readonly factory: StoreFactory;
}

/** Defines a test for every clause that applies to the factory's stores, each on a place of its own. */
export function suite({ test, factory }: SuiteOptions): void {
  for (const clause of CLAUSES) {
    if (clause.applies?.(factory) === false) continue;
    test(clause.name, () => run(clause, factory));
  }
}

async function run(clause: Clause, factory: StoreFactory): Promise<void> {
  const place = await placeFor(clause, factory);
  try {
    await clause.check(new Session(factory, place));
  } finally {
    await place.dispose?.();
  }
}

function placeFor(clause: Clause, factory: StoreFactory): Promise<StorePlace> {
  if (clause.needsSmall !== true) return factory.create();
  assert(factory.createSmall !== undefined);
  return factory.createSmall();
}
