/**
 * A shard's life on its thread: load the operators, restore, loop until told to stop. Ends with an
 * outcome, never with an exception: errors lose their class and code on the way between threads.
 */
import { setImmediate as nextMacrotask } from 'node:timers/promises';
import { systemClock } from '../clock.ts';
import { TidemarkError, toErrorRecord } from '../error.ts';
import { ControlWords, ShardBell } from '../memory/doorbells.ts';
import { EngineMemory } from '../memory/engine-memory.ts';
import type { OperatorFactory } from './operator.ts';
import { ThreadSpent } from './poison.ts';
import { Shard } from './shard.ts';
import type { ShardOutcome, ShardTask } from './task.ts';
import { ShardStopped } from './waiting.ts';

/** While the loop runs, nothing else on the thread does: console output, messages and finalizers wait. */
const YIELD_EVERY_MS = 50;

export async function runShard(task: ShardTask): Promise<ShardOutcome> {
  try {
    const factory = await loadOperators(task.operators);
    const memory = new EngineMemory(task.memory, task.arena.control);
    const shard = new Shard(memory, task, {
      factory,
      clock: systemClock,
      bell: new ShardBell(memory, task.arena),
      words: new ControlWords(memory, task.arena),
    });
    shard.start();
    await loop(shard);
    return { kind: 'stopped' };
  } catch (error) {
    if (error instanceof ShardStopped) return { kind: 'stopped' };
    const isOfEvent = error instanceof ThreadSpent;
    return { kind: 'failed', error: toErrorRecord(isOfEvent ? error.cause : error), isOfEvent };
  }
}

async function loop(shard: Shard): Promise<void> {
  let yieldedAt = systemClock.now();
  while (!shard.isStopped) {
    const wasBusy = shard.step();
    const now = systemClock.now();
    if (now - yieldedAt >= YIELD_EVERY_MS) {
      await nextMacrotask();
      yieldedAt = systemClock.now();
    } else if (!wasBusy) {
      shard.sleep(YIELD_EVERY_MS);
    }
  }
}

async function loadOperators(url: string): Promise<OperatorFactory> {
  let module: { default?: unknown };
  try {
    module = (await import(url)) as { default?: unknown };
  } catch (cause) {
    throw new TidemarkError(
      'ERR_TIDEMARK_OPERATORS_MODULE',
      `the operators module ${url} cannot be loaded: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
  if (typeof module.default === 'function') return module.default as OperatorFactory;
  throw new TidemarkError(
    'ERR_TIDEMARK_OPERATORS_MODULE',
    `the operators module ${url} has no default export that is a function (stream) => operators`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
