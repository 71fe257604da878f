/** One thing that a checkpoint store has to do. */
import type { StoreFactory } from './factory.ts';
import type { Session } from './session.ts';

export interface Clause {
  /** A sentence. */
  readonly name: string;
  /** Whether it is about stores such as the factory makes; undefined: about all. */
  readonly applies?: (factory: StoreFactory) => boolean;
  /** Needs a place that is full after a few megabytes. */
  readonly needsSmall?: boolean;
  /** Rejects when the store does not do it. */
  readonly check: (session: Session) => Promise<void>;
}
