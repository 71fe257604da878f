/** Every clause can fail: of each wrong store it finds the fault that was put there, and no other clause does. */
import { describe, expect, test } from 'vitest';
import { type StoreFactory, suite } from '../../src/testing/index.ts';
import { FENCING, LOCKING, type Place } from './wrong/base.ts';
import { WRONG_STORES } from './wrong-stores.ts';

type Clauses = Map<string, () => Promise<void>>;

function clausesFor<Value>(factory: StoreFactory<Value>): Clauses {
  const clauses: Clauses = new Map();
  suite({ factory, test: (name, body) => clauses.set(name, body) });
  return clauses;
}

async function failuresOf(factory: StoreFactory<Place>): Promise<Map<string, unknown>> {
  const failures = new Map<string, unknown>();
  for (const [name, body] of clausesFor(factory)) {
    await body().catch((error: unknown) => failures.set(name, error));
  }
  return failures;
}

describe('the suite', () => {
  test('finds no fault with the stores that the wrong ones deviate from', async () => {
    expect(await failuresOf(FENCING)).toEqual(new Map());
    expect(await failuresOf(LOCKING)).toEqual(new Map());
  });

  test.each(WRONG_STORES)('finds that $clause, not so if $fault', async ({ clause, factory }) => {
    expect([...(await failuresOf(factory))].map(([name]) => name)).toEqual([clause]);
  });

  test('has a wrong store for every clause', () => {
    const names = [...clausesFor(FENCING).keys(), ...clausesFor(LOCKING).keys()];
    const covered = new Set(WRONG_STORES.map(({ clause }) => clause));
    expect(names.filter((name) => !covered.has(name))).toEqual([]);
  });

  test('has a name of its own for every clause', () => {
    const names: string[] = [];
    suite({ factory: FENCING, test: (name) => names.push(name) });
    expect(new Set(names).size).toBe(names.length);
  });

  test('leaves out what a factory says nothing about', () => {
    const { create, connect } = FENCING;
    const all = [...clausesFor(FENCING).keys()];
    const few = [...clausesFor({ create, connect, secondOpener: 'fences' }).keys()];
    expect(few.length).toBeLessThan(all.length);
    expect(few.filter((name) => /crash|full store/.test(name))).toEqual([]);
    expect(clausesFor(LOCKING).has('a second opener is refused, and the first one goes on')).toBe(true);
    expect(all).not.toContain('a second opener is refused, and the first one goes on');
  });

  test('closes the stores and disposes of the place of a clause that fails', async () => {
    const disposed: Place[] = [];
    const closed: unknown[] = [];
    const [wrong] = WRONG_STORES;
    const clauses = clausesFor<Place>({
      ...FENCING,
      async connect(place) {
        const store = await wrong!.factory.connect(place);
        const close = store.close.bind(store);
        store.close = () => {
          closed.push(store);
          return close();
        };
        return store;
      },
      dispose: (place) => {
        disposed.push(place);
      },
    });
    await expect(clauses.get(wrong!.clause)!()).rejects.toThrow('frontiers of a new place');
    expect(closed).toHaveLength(1);
    expect(disposed).toHaveLength(1);
  });
});
