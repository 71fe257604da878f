/** The number of shards is a matter of speed: it shows in no state. */
import { expect, test } from 'vitest';
import type { Event } from '../../src/index.ts';
import { type Random, seeded } from '../support/random.ts';
import { openEngine } from './support/engine.ts';
import { Model, readable } from './support/model.ts';

function randomEvents(random: Random): Event[] {
  const streams = Array.from({ length: random.between(1, 40) }, (_, n) =>
    n % 3 === 0 ? `bag ${n}` : `s${n}`,
  );
  return Array.from({ length: random.between(500, 3_000) }, (_, offset) => ({
    stream: random.pick(streams),
    payload: random.bytes(random.below(20)).fill(random.below(5)),
    source: `source ${random.below(3)}`,
    offset,
    watermarkNs: random.u64(),
  }));
}

test(
  'one to four shards give the same bodies for the same events',
  seeded(async (random) => {
    const events = randomEvents(random);
    const model = new Model();
    for (const event of events) model.apply(event);
    for (const shards of [1, 2, 3, 4]) {
      const everyEvents = random.between(1, 200);
      const engine = await openEngine({ shards, checkpoint: { everyEvents, everyMs: 1 } });
      for (let at = 0; at < events.length; ) {
        const size = random.between(1, 200);
        await engine.push(events.slice(at, at + size));
        at += size;
      }
      await engine.checkpoint();
      for (const stream of model.streams) {
        const context = `${shards} shards, stream ${stream}`;
        expect(readable(await engine.latest(stream)), context).toEqual(readable(model.state(stream)));
      }
      expect(engine.metrics().shards.length).toBe(shards);
      await engine.close();
    }
  }),
);
