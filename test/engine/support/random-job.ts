/**
 * A random job, the same for the same seed in every process: records of some sources, each with events for some
 * streams, in one order. Whatever part of it several lives of an engine are given, the end is decided by it alone.
 */
import type { Event } from '../../../src/index.ts';
import { Random } from '../../support/random.ts';

interface Stream {
  readonly name: string;
  readonly bringsSequences: boolean;
}

interface Source {
  readonly name: string;
  /** Where its next record is. */
  offset: bigint;
}

/** The events of one record come together: same source, same offset. */
export type JobRecord = readonly Event[];

export function randomJob(seed: number): JobRecord[] {
  const random = new Random(seed);
  const streams = Array.from({ length: random.between(1, 12) }, (_, n): Stream => {
    const bringsSequences = random.chance(0.5);
    // Without sequences, events of two sources come in another order when one source is replayed further than the other.
    return { name: bringsSequences ? `stream ${n}` : `bag ${n}`, bringsSequences };
  });
  const sources = Array.from({ length: random.between(1, 3) }, (_, n): Source => {
    return { name: `source ${n}`, offset: random.chance(0.5) ? 0n : random.u64() >> 2n };
  });
  const records: JobRecord[] = [];
  const length = random.between(1_000, 12_000);
  for (let n = 0; n < length; n++) {
    const source = random.pick(sources);
    const offset = source.offset;
    source.offset += BigInt(random.between(1, 5));
    const targets = random.shuffle(streams).slice(0, random.chance(0.8) ? 1 : random.between(1, 3));
    records.push(
      targets.map((stream) => ({
        stream: stream.name,
        payload: `${random.below(8)}`,
        source: source.name,
        offset,
        nextOffset: source.offset,
        watermarkNs: random.chance(0.2) ? undefined : BigInt(random.below(1_000_000)),
        // A function of the record, as it has to be: its place in the job, with gaps in each stream.
        sequence: stream.bringsSequences ? BigInt(n) : undefined,
      })),
    );
  }
  return records;
}
