/** The engine itself, as a service would open it: defaults, a directory, the case's cadence. */
import { once } from 'node:events';
import { CheckpointEngine } from '../../src/index.ts';
import type { EngineCase } from './cases.ts';
import { readState } from './load.ts';
import type { EngineSubject } from './subject.ts';

export async function openTidemark(each: EngineCase, directory: string): Promise<EngineSubject> {
  const engine = await CheckpointEngine.open({
    operators: new URL('./operators.ts', import.meta.url),
    directory,
    checkpoint: { everyEvents: each.everyEvents },
    memory: { ringBytes: each.ringBytes },
  });
  if (each.hasQuarantined === true) {
    const set = once(engine, 'quarantine');
    await engine.push({ stream: 'poison-0', payload: 'x' });
    await set;
  }
  const before = engine.metrics().checkpoints;
  return {
    push: (batch) => engine.push(batch),
    finish: async () => {
      await engine.checkpoint();
    },
    totals() {
      const { events, checkpoints } = engine.metrics();
      if (events.dropped > 0) throw new Error(`${events.dropped} events were dropped`);
      if (checkpoints.durable === 0 || engine.position('bench') !== BigInt(each.plan.events))
        throw new Error(`the position of the source is ${engine.position('bench')}`);
      return Promise.resolve({
        events: events.applied,
        checkpoints: checkpoints.stored - before.stored,
        durableBytes: checkpoints.durableBytes - before.durableBytes,
      });
    },
    async stateOf(stream) {
      const state = await engine.latest(stream);
      const [bytes] = state?.operatorStates.values() ?? [];
      if (state === undefined || bytes === undefined) return undefined;
      return {
        events: Number(state.eventCount),
        nextOffset: Number(state.sourceOffsets.get('bench') ?? -1n),
        ...readState(each.plan.kind, bytes),
      };
    },
    close: async () => {
      await engine.close();
    },
  };
}
