/**
 * What main can know of a stream that is given up, or goes on, when the shard begins the next event: were its thread to
 * end at that, the one that follows would not come to it again.
 */
import { describe, expect, test } from 'vitest';
import type { SlotOperator } from '../../src/index.ts';
import type { PoisonPolicy } from '../../src/shard/task.ts';
import { type Completion, ShardHarness } from '../support/shard-harness.ts';

/** Runs what was pushed in one turn; what main could see at the first event of stream `next`. */
function seenAtNext(onPoison: PoisonPolicy['onPoison'], push: (harness: ShardHarness) => void): Completion[] {
  let seen: Completion[] | undefined;
  const operator: SlotOperator = {
    kind: 'slot',
    name: 'slot',
    version: 1,
    bytes: 8,
    process({ stream, sequence }) {
      if (stream === 'next') seen ??= harness.take();
      else if (sequence === 2n) throw new Error('no good');
    },
  };
  const harness = ShardHarness.started({
    factory: () => [operator],
    poison: { onPoison, attemptsMax: 2 },
  });
  push(harness);
  harness.run();
  if (seen === undefined) throw new Error('the next event was not read');
  return seen;
}

const pushPoison = (harness: ShardHarness): void => {
  harness.push({ stream: 'bad', sequence: 1n, source: 'x', offset: 1n });
  harness.push({ stream: 'bad', sequence: 2n, source: 'x', offset: 2n });
};
const pushNext = (harness: ShardHarness): void => harness.push({ stream: 'next', sequence: 1n });

describe('before another event is read, main can see', () => {
  test('that a stream is set aside, and its checkpoint', () => {
    const seen = seenAtNext('quarantine', (harness) => {
      pushPoison(harness);
      pushNext(harness);
    });
    expect(seen).toContainEqual(expect.objectContaining({ kind: 'stored', stream: 'bad', sequence: 1n }));
    expect(seen.at(-1)).toEqual({ kind: 'aside', stream: 'bad' });
  });

  test('that an event is skipped', () => {
    const seen = seenAtNext('skip', (harness) => {
      pushPoison(harness);
      pushNext(harness);
    });
    expect(seen.at(-1)).toEqual({ kind: 'skipped', stream: 'bad' });
  });

  test('the checkpoint of a stream that goes on', () => {
    const seen = seenAtNext('quarantine', (harness) => {
      pushPoison(harness);
      harness.run();
      harness.resume('bad');
      pushNext(harness);
    });
    expect(seen.at(-1)).toMatchObject({ kind: 'stored', stream: 'bad', sequence: 1n });
  });
});
