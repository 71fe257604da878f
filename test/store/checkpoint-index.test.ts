/** The index against the plainest thing that could do the same. */
import { describe, expect, test } from 'vitest';
import { CheckpointIndex, type CheckpointLocation } from '../../src/store/log/checkpoint-index.ts';
import { recordFootprint } from '../../src/store/log/layout.ts';
import { seeded } from '../support/random.ts';

type Model = Map<string, CheckpointLocation[]>;

/** From the newest to the oldest, one for a sequence, at most `perStream`. */
function addTo(model: Model, stream: string, entry: CheckpointLocation, perStream: number): void {
  const entries = model.get(stream) ?? [];
  const same = entries.find(({ sequence }) => sequence === entry.sequence);
  if (same !== undefined && same.origin > entry.origin) return;
  const others = entries.filter((other) => other !== same);
  others.push(entry);
  others.sort((a, b) => (a.sequence > b.sequence ? -1 : 1));
  model.set(stream, others.slice(0, perStream));
}

function expectEqual(index: CheckpointIndex, model: Model): void {
  expect(new Set(index.streams())).toEqual(new Set(model.keys()));
  let live = 0;
  let newest = 0;
  const bySegment = new Map<number, number>();
  for (const [stream, entries] of model) {
    expect(index.entries(stream)).toEqual(entries);
    expect(index.newest(stream)).toEqual(entries[0]);
    newest += 2 * recordFootprint(entries[0]?.length ?? 0);
    for (const { length, segment, sequence } of entries) {
      live += recordFootprint(length);
      bySegment.set(segment, (bySegment.get(segment) ?? 0) + recordFootprint(length));
      expect(index.find(stream, sequence)?.segment).toBe(segment);
    }
  }
  expect(index.liveBytes).toBe(live);
  expect(index.newestWeight).toBe(newest);
  for (let segment = 0; segment < 6; segment++) {
    expect(index.segmentBytes(segment)).toBe(bySegment.get(segment) ?? 0);
  }
}

describe('a checkpoint index', () => {
  test(
    'holds what a map of sorted arrays holds, after any changes',
    seeded((random) => {
      const perStream = random.between(1, 4);
      const index = new CheckpointIndex(perStream, (bytes) => 2 * bytes);
      const model: Model = new Map();
      for (let step = 0; step < 3000; step++) {
        const stream = `stream-${random.below(12)}`;
        const entries = model.get(stream) ?? [];
        const kind = random.below(10);
        if (kind < 7) {
          const entry = {
            sequence: BigInt(random.below(30)),
            origin: random.below(50),
            segment: random.below(6),
            position: 64 * step,
            length: random.magnitude(5000),
            generation: random.below(5),
          };
          index.add(stream, entry);
          addTo(model, stream, entry, perStream);
        } else if (kind === 7) {
          const removal = {
            below: random.chance(0.5) ? BigInt(random.below(30)) : undefined,
            through: random.below(50),
          };
          index.remove(stream, removal);
          const { below, through } = removal;
          keep(model, stream, (e) => e.origin > through || (below !== undefined && e.sequence >= below));
        } else if (entries.length > 0) {
          const { segment, position } = random.pick(entries);
          index.removeAt(stream, segment, position);
          keep(model, stream, (entry) => entry.position !== position);
        }
        if (step % 100 === 0) expectEqual(index, model);
      }
      expectEqual(index, model);
      for (const stream of model.keys()) index.remove(stream, { below: undefined, through: 100 });
      expect(index.liveBytes).toBe(0);
      expect(index.newestWeight).toBe(0);
      expect([...index.streams()]).toEqual([]);
    }),
  );

  function keep(model: Model, stream: string, matches: (entry: CheckpointLocation) => boolean): void {
    const left = (model.get(stream) ?? []).filter(matches);
    if (left.length === 0) model.delete(stream);
    else model.set(stream, left);
  }
});
