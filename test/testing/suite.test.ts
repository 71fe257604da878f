/** The stores of this package, held to the clauses that any store is held to. */
import { describe, expect, test } from 'vitest';
import { InMemoryPlace, type StoreFactory, suite } from '../../src/testing/index.ts';
import { Random } from '../support/random.ts';
import { realLog, simulatedLog } from './log-places.ts';
import { WRONG_STORES } from './wrong-stores.ts';

const inMemory: StoreFactory = {
  perStream: 3,
  secondOpener: 'fenced',
  canCrash: true,
  create: async () => new CrashingPlace(),
};

/** Nothing of a commit is left half done when the event loop turns, so a crash takes nothing away. */
class CrashingPlace extends InMemoryPlace {
  async crash(): Promise<void> {
    await this.store().open();
  }
}

describe('the log on a directory', () => {
  suite({ test, factory: realLog });
});

const random = new Random(Number(process.env['TIDEMARK_SEED'] ?? Math.floor(Math.random() * 2 ** 32)));
describe(`the log on a disk that loses power, seed ${random.seed}`, () => {
  suite({ test, factory: simulatedLog(random) });
});

describe('checkpoints in memory', () => {
  suite({ test, factory: inMemory });
});

/** Whether a store made by `factory` fails the clause. */
async function breaks(factory: StoreFactory, clause: string): Promise<boolean> {
  const clauses = new Map<string, () => Promise<void>>();
  suite({ test: (name, body) => clauses.set(name, body), factory });
  const check = clauses.get(clause);
  if (check === undefined) throw new Error(`no clause is named '${clause}'`);
  try {
    await check();
    return false;
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return true;
  }
}

describe('a wrong store', () => {
  test.each(WRONG_STORES)('breaks the clause: $clause', async ({ clause, factory }) => {
    expect(await breaks(factory, clause)).toBe(true);
  });

  test('is known for every clause', () => {
    const names: string[] = [];
    suite({ test: (name) => names.push(name), factory: realLog });
    suite({ test: (name) => names.push(name), factory: inMemory });
    expect(new Set(WRONG_STORES.map(({ clause }) => clause))).toEqual(new Set(names));
  });
});
