import { expect, test } from 'vitest';
import { onStop, type SignalHost, type StopSignal } from '../../src/cli/stop.ts';

function start() {
  const listeners = new Map<StopSignal, (signal: StopSignal) => void>();
  const log: (string | number)[] = [];
  const clock = { ms: 0 };
  const host: SignalHost = {
    on: (event, listener) => listeners.set(event, listener),
    off: (event) => listeners.delete(event),
    exit: (code) => log.push(code),
    now: () => clock.ms,
  };
  const release = onStop(host, (signal) => log.push(signal));
  return { listeners, log, clock, release };
}

test('the first signal ends reading, the second one the process', () => {
  const { listeners, log, clock } = start();
  listeners.get('SIGTERM')!('SIGTERM');
  clock.ms = 2_000;
  listeners.get('SIGTERM')!('SIGTERM');
  listeners.get('SIGINT')!('SIGINT');
  expect(log).toEqual(['SIGTERM', 143, 130]);
});

test('a signal that npx passes on a second time counts once', () => {
  const { listeners, log, clock } = start();
  listeners.get('SIGINT')!('SIGINT');
  clock.ms = 30;
  listeners.get('SIGINT')!('SIGINT');
  expect(log).toEqual(['SIGINT']);
});

test('the handlers are taken off again', () => {
  const { listeners, release } = start();
  expect(listeners.size).toBe(2);
  release();
  expect(listeners.size).toBe(0);
});
