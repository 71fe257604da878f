/** The queue of streams by the time at which to ask about them, against a plain list. */
import { expect, test } from 'vitest';
import { AskQueue } from '../../src/shard/ask-queue.ts';
import type { HostedOperators } from '../../src/shard/operator-host.ts';
import { ShardStream } from '../../src/shard/stream.ts';
import { StreamColumns } from '../../src/shard/stream-row.ts';
import { Triggers } from '../../src/shard/triggers.ts';
import { seeded } from '../support/random.ts';

const NONE: HostedOperators = { inOrder: [], byName: [], hasHeap: false };
const COLUMNS = new StreamColumns();
const streamAt = (index: number): ShardStream => new ShardStream(COLUMNS, index, `${index}`, NONE);

test(
  'has the earliest at its head, whatever is put, moved and removed',
  seeded((random) => {
    const queue = new AskQueue();
    const streams = Array.from({ length: 60 }, (_, index) => streamAt(index));
    const times = new Map<ShardStream, number>();
    for (let step = 0; step < 20_000; step++) {
      const stream = random.pick(streams);
      if (random.chance(0.4)) {
        queue.remove(stream);
        times.delete(stream);
      } else {
        const time = random.below(1_000);
        queue.put(stream, time);
        times.set(stream, time);
      }
      const { head } = queue;
      expect(queue.headTime).toBe(Math.min(...times.values()));
      expect(head === undefined ? times.size : times.get(head)).toBe(head === undefined ? 0 : queue.headTime);
      expect(queue.timeOf(stream)).toBe(times.get(stream) ?? Number.POSITIVE_INFINITY);
    }
  }),
);

test('lets go at once of a stream that is forgotten, not when its time comes', () => {
  const triggers = new Triggers({ everyMs: 1e9 });
  const streams = [streamAt(0), streamAt(1)] as const;
  for (const stream of streams) triggers.onEvent(stream, 1, 0);
  triggers.forget(streams[0]);
  expect(streams.map(({ askPlace }) => askPlace)).toEqual([-1, 0]);
});
