/** An object-mode Writable over an engine, for `stream.pipeline`. */
import { Writable } from 'node:stream';
import type { Event } from './event.ts';

/** Events buffered before the stream asks its source to pause. */
const HIGH_WATER_MARK = 1_024;

/**
 * Ending the stream waits until everything is accepted; it does not close the engine. What is written may be held
 * here before it is pushed, so it must not change until `write` has called back.
 */
export function writableOver(engine: { push(events: Event | readonly Event[]): Promise<void> }): Writable {
  return new Writable({
    objectMode: true,
    highWaterMark: HIGH_WATER_MARK,
    write: (event: Event, _encoding, done) => {
      void settle(engine.push(event), done);
    },
    writev: (chunks, done) => {
      const events = chunks.map(({ chunk }) => chunk as Event);
      void settle(engine.push(events), done);
    },
  });
}

async function settle(accepted: Promise<void>, done: (error?: Error) => void): Promise<void> {
  try {
    await accepted;
  } catch (error) {
    done(error instanceof Error ? error : new Error(String(error)));
    return;
  }
  done();
}
