/** The one port through which time comes in, so that tests and simulations can bring their own. */

export interface Clock {
  /** Monotonic, in milliseconds; only differences mean anything. */
  now(): number;
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
};
