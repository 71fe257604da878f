/** Events of one source, what they come to, and reading it again from where an engine says. */
import type { CheckpointEngine, Event } from '../../../src/index.ts';
import { expectStates } from '../../engine/support/engine.ts';
import { Model } from '../../engine/support/model.ts';

export const SOURCE = 'src';

export function at(stream: string, offset: number, payload = `${offset % 7}`): Event {
  return { stream, payload, source: SOURCE, offset };
}

export function modelOf(events: readonly Event[]): Model {
  const model = new Model();
  for (const event of events) model.apply(event);
  return model;
}

/** Pushes what of `events` is still to be read; then every event must count once, whatever happened before. */
export async function expectExactAfterReplay(
  engine: CheckpointEngine,
  events: readonly Event[],
): Promise<void> {
  const left = events.filter((event) => {
    const position = engine.position(event.source ?? '');
    return position === undefined || BigInt(event.offset ?? 0) >= position;
  });
  await engine.push(left);
  await engine.checkpoint();
  await expectStates(engine, modelOf(events));
}
