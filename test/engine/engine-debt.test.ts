/** `maxReplayEvents` of a whole engine: what its shards have in no checkpoint is within it, of all streams together. */
import { expect, test } from 'vitest';
import { shardOf } from '../../src/engine/router.ts';
import { openEngine } from './support/engine.ts';

const SHARDS = 3;
const STREAMS = 500;
const MOST = 1_000;

/** A stream on each shard. */
function oneOnEach(): string[] {
  const found = new Map<number, string>();
  for (let i = 0; found.size < SHARDS; i++) found.set(shardOf(`last-${i}`, SHARDS), `last-${i}`);
  return [...found.values()];
}

test('at any number of streams, no more events than the objective are uncovered', async () => {
  const engine = await openEngine({
    shards: SHARDS,
    checkpoint: { everyEvents: 1_000_000, minPauseMs: 1_000_000, maxReplayEvents: MOST },
  });
  const pushed = new Map<string, number>();
  const uncovered = async (): Promise<number> => {
    // A request for one stream is answered behind all that its shard was pushed before.
    for (const stream of oneOnEach()) {
      await engine.push({ stream, payload: 'x' });
      await engine.checkpoint(stream);
    }
    let events = 0;
    for (const [stream, count] of pushed)
      events += count - Number((await engine.latest(stream))?.eventCount ?? 0n);
    return events;
  };
  for (let round = 1; round <= 5; round++) {
    for (let i = 0; i < 4_321; i++) {
      const stream = `s${(i * i * round) % STREAMS}`;
      pushed.set(stream, (pushed.get(stream) ?? 0) + 1);
      await engine.push({ stream, payload: 'x' });
    }
    const events = await uncovered();
    expect(events).toBeLessThanOrEqual(MOST);
    // It is not that everything was checkpointed.
    expect(events).toBeGreaterThan(0);
  }
});
