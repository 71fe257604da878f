/** Random jobs: whatever is pushed, whenever it is due, a shard publishes what a plain model says. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeFrame } from '../../src/codec/frame.ts';
import { ImageDirectory } from '../../src/memory/image-directory.ts';
import { WORD } from '../../src/memory/layout.ts';
import { PAGE_BYTES } from '../../src/memory/size-classes.ts';
import { type RestoredFrame, ShardHarness } from '../support/shard-harness.ts';
import { anyJob, type Draw, JobEvents, runDraws } from '../support/shard-jobs.ts';
import { ShardModel } from '../support/shard-model.ts';
import { factoryOf } from '../support/shard-operators.ts';

const GENERATION = 2n ** 63n + 5n;

test('a shard publishes exactly the frames, lows, reports and answers of the model, turn by turn', () => {
  let frames = 0;
  let dropped = 0;
  fc.assert(
    fc.property(anyJob, (job) => {
      const harness = ShardHarness.started({
        factory: factoryOf(job.operators),
        policy: job.policy,
        generation: GENERATION,
      });
      const model = new ShardModel(job.operators, job.policy);
      const sides = { harness, model, events: new JobEvents(job), generation: GENERATION };
      const stored = runDraws(job.draws, sides);
      for (const { frame, stream, sequence } of stored) {
        const state = decodeFrame(frame);
        expect([state.id.streamId, state.id.sequence]).toEqual([stream, sequence]);
      }
      expect(harness.words.get(WORD.appliedLow)).toBe(model.applied);
      expect(harness.words.get(WORD.droppedLow)).toBe(model.dropped);
      for (const name of model.streams.keys()) harness.forget(name);
      harness.run();
      // What is left are pages of the directory of images, which stay.
      expect(harness.words.get(WORD.heapUsed) % PAGE_BYTES).toBe(0);
      expect([...new ImageDirectory(harness.memory, harness.arena).indexes()]).toEqual([]);
      frames += stored.length;
      dropped += model.dropped;
    }),
    { numRuns: 400 },
  );
  // Otherwise the jobs never came to what is tested.
  expect(frames).toBeGreaterThan(1_000);
  expect(dropped).toBeGreaterThan(500);
});

test('a shard restored from frames goes on as if it had never ended', () => {
  fc.assert(
    fc.property(anyJob, fc.nat(100), (job, percent) => {
      const cut = Math.floor((job.draws.length * percent) / 100);
      const events = new JobEvents(job);
      const whole = new ShardModel(job.operators, {});
      const life = (
        generation: bigint,
        restored: readonly RestoredFrame[],
        draws: readonly Draw[],
      ): RestoredFrame[] => {
        const { operators, policy } = job;
        // What is restored here is the newest frame of each stream, whether or not it was forgotten.
        const kept = draws.filter(({ kind }) => kind !== 'forget');
        const factory = factoryOf(operators);
        const harness = ShardHarness.started({ factory, policy, generation, restored });
        const model = new ShardModel(operators, policy);
        for (const { stream, frame } of restored) model.restore(stream, frame);
        const frames = runDraws([...kept, { kind: 'all' }], { harness, model, events, generation, whole });
        const newest = new Map([...restored, ...frames].map(({ stream, frame }) => [stream, frame]));
        return [...newest].map(([stream, frame]) => ({ stream, frame }));
      };
      const first = life(GENERATION, [], job.draws.slice(0, cut));
      const second = life(GENERATION + 1n, first, job.draws.slice(cut));
      whole.turn(0);
      const bodies = new Map(second.map(({ stream, frame }) => [stream, decodeFrame(frame).serialize()]));
      for (const [name, { state }] of whole.streams) {
        if (state.eventCount > 0n) expect(bodies.get(name)).toEqual(state.serialize());
      }
    }),
    { numRuns: 150 },
  );
});
