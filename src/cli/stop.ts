/**
 * SIGTERM and SIGINT: the first one ends reading, so that what was accepted is applied and made durable; the
 * second one ends the process at once, which loses nothing that was durable.
 */

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

export type StopSignal = keyof typeof EXIT_CODES;

/**
 * npx and npm pass a signal on to a process that the terminal signalled already, so that one Ctrl-C arrives
 * twice. Nobody means two within this time.
 */
const ECHO_MS = 500;

export interface SignalHost {
  on(event: StopSignal, listener: (signal: StopSignal) => void): unknown;
  off(event: StopSignal, listener: (signal: StopSignal) => void): unknown;
  exit(code: number): void;
  /** Monotonic milliseconds. */
  now(): number;
}

/** Returns what takes the handlers off again. */
export function onStop(host: SignalHost, stop: (signal: StopSignal) => void): () => void {
  let firstMs: number | undefined;
  const listener = (signal: StopSignal): void => {
    if (firstMs === undefined) {
      firstMs = host.now();
      stop(signal);
    } else if (host.now() - firstMs >= ECHO_MS) {
      host.exit(EXIT_CODES[signal]);
    }
  };
  const signals = Object.keys(EXIT_CODES) as StopSignal[];
  for (const signal of signals) host.on(signal, listener);
  return () => {
    for (const signal of signals) host.off(signal, listener);
  };
}
