/** One thread for everything: streams in a Map, msgpackr with shared structures, lmdb. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { load } from '../compare/packages.ts';
import type { EngineCase } from './cases.ts';
import { type DiyCheckpoint, DiyStreams, foundIn, LmdbLog } from './diy.ts';
import type { EngineSubject } from './subject.ts';

/** As many batches without a turn of the event loop as tidemark accepts. */
const BATCHES_PER_TURN = 4;

interface Packr {
  pack(value: unknown): Buffer;
  unpack(bytes: Uint8Array): unknown;
}

export async function openDiySingle(each: EngineCase, directory: string): Promise<EngineSubject> {
  const { Packr } = await load<{
    Packr: new (options: { structures: unknown[]; maxSharedStructures: number }) => Packr;
  }>('msgpackr');
  const packr = new Packr({ structures: [], maxSharedStructures: 256 });
  const log = await LmdbLog.open(directory);
  // lmdb keeps the bytes until they are written, so they cannot go into a reused buffer.
  const streams = new DiyStreams(
    { kind: each.plan.kind, everyEvents: each.everyEvents },
    (name, checkpoint) => log.put(name, packr.pack(checkpoint)),
  );
  let batches = 0;
  return {
    async push(batch) {
      streams.apply(batch);
      if (log.isFull) await log.drain();
      if (++batches % BATCHES_PER_TURN === 0) await nextTurn();
    },
    async finish() {
      streams.checkpointAll();
      await log.flush();
    },
    totals: () => Promise.resolve({ events: streams.events, checkpoints: streams.checkpoints }),
    stateOf(name) {
      const bytes = log.get(name);
      return Promise.resolve(bytes && foundIn(packr.unpack(bytes) as DiyCheckpoint));
    },
    close: () => log.close(),
  };
}
