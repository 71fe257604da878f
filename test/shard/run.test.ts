/** A shard's whole life on its thread, here on this one: it ends with an outcome, never with an exception. */

import { describe, expect, test } from 'vitest';
import { firstHandover } from '../../src/engine/handover.ts';
import { ControlWords } from '../../src/memory/doorbells.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { COMPLETION, completionRing, ENTRY, EntryConsumer } from '../../src/memory/entry-rings.ts';
import { WORD } from '../../src/memory/layout.ts';
import { runShard } from '../../src/shard/run.ts';
import type { ShardOutcome } from '../../src/shard/task.ts';
import { arenaOf } from '../support/shard-harness.ts';

function moduleOf(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** Runs a shard that is told to stop from the start. */
async function life(operators: string): Promise<{ outcome: ShardOutcome; isReady: boolean }> {
  const memory = EngineMemory.reserve(2 ** 20);
  const arena = arenaOf(2 ** 20, 2 ** 12);
  new ControlWords(memory, arena).set(WORD.stop, 1);
  const outcome = await runShard({
    memory: memory.memory,
    arena,
    generation: 1n,
    operators,
    policy: {},
    poison: { onPoison: 'fail', attemptsMax: 1 },
    allowUnclaimedState: false,
    handover: firstHandover([], false),
  });
  const at = new EntryConsumer(memory, completionRing(arena)).peek();
  return { outcome, isReady: at !== 0 && memory.u32[at + ENTRY.kind] === COMPLETION.ready };
}

async function failure(
  operators: string,
): Promise<{ code: string | undefined; message: string; cause: string | undefined }> {
  const { outcome, isReady } = await life(operators);
  expect(isReady).toBe(false);
  if (outcome.kind !== 'failed') throw new Error('the shard did not fail');
  const { code, message, cause } = outcome.error;
  return { code, message, cause: cause?.message };
}

test('a shard that is told to stop says that it is ready, then ends as stopped', async () => {
  expect(await life(moduleOf('export default () => []'))).toEqual({
    outcome: { kind: 'stopped' },
    isReady: true,
  });
});

describe('an operators module', () => {
  test('that does not exist fails the shard, named', async () => {
    const error = await failure('file:///no/such/module.ts');
    expect(error.code).toBe('ERR_TIDEMARK_OPERATORS_MODULE');
    expect(error.message).toContain('file:///no/such/module.ts');
  });

  test('that throws while it loads fails the shard with the cause', async () => {
    const error = await failure(moduleOf("throw new Error('not today')"));
    expect(error).toMatchObject({ code: 'ERR_TIDEMARK_OPERATORS_MODULE', cause: 'not today' });
    expect(error.message).toContain('not today');
  });

  test('that throws something else than an error fails the shard, too', async () => {
    const error = await failure(moduleOf("throw 'words'"));
    expect(error.message).toContain('words');
  });

  test.each(['export const operators = () => []', 'export default []', 'export default undefined'])(
    'without a default function fails the shard: %s',
    async (source) => {
      const error = await failure(moduleOf(source));
      expect(error.code).toBe('ERR_TIDEMARK_OPERATORS_MODULE');
      expect(error.message).toMatch(/default export that is a function/);
    },
  );
});
