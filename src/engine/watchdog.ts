/**
 * Notices an operator that does not return. A shard beats with each turn and each wait and marks each event
 * that it begins, so one whose marks stand still while it is not asleep is inside of an operator.
 */
import { systemClock } from '../clock.ts';
import { TidemarkError } from '../error.ts';
import { RECORD } from '../memory/ingest-ring.ts';
import { WORD } from '../memory/layout.ts';
import type { Router } from './router.ts';
import type { ShardHandle } from './shard-handle.ts';

/** Looks at the shards this often in the time that an operator has. */
const LOOKS = 4;

interface Seen {
  heartbeat: number;
  event: number;
  since: number;
}

export class Watchdog {
  readonly #timer: NodeJS.Timeout;

  /** Calls `onStuck` once a shard has stood still for `timeoutMs`. `now` is monotonic, in milliseconds. */
  constructor(
    shards: readonly ShardHandle[],
    watch: { timeoutMs: number; now: () => number; onStuck: (shard: ShardHandle) => void },
  ) {
    const seen: Seen[] = shards.map(() => ({ heartbeat: -1, event: -1, since: watch.now() }));
    const look = (): void => {
      const now = watch.now();
      for (const [index, shard] of shards.entries()) {
        const last = seen[index] as Seen;
        const heartbeat = shard.words.get(WORD.heartbeat);
        const event = shard.words.get(WORD.currentEvent);
        const isAsleep = shard.words.get(WORD.sleeping) === 1;
        if (!shard.isReady || isAsleep || heartbeat !== last.heartbeat || event !== last.event) {
          seen[index] = { heartbeat, event, since: now };
        } else if (now - last.since >= watch.timeoutMs) {
          watch.onStuck(shard);
        }
      }
    };
    this.#timer = setInterval(look, Math.max(1, watch.timeoutMs / LOOKS)).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Calls `onStuck` with what to say of it when an operator does not return for `timeoutMs`. */
export function watchOperators(
  shards: readonly ShardHandle[],
  router: Router,
  watch: { timeoutMs: number; onStuck: (shard: ShardHandle, error: TidemarkError) => void },
): Watchdog {
  const { timeoutMs } = watch;
  const onStuck = (shard: ShardHandle): void => watch.onStuck(shard, operatorStuck(shard, router, timeoutMs));
  return new Watchdog(shards, { timeoutMs, now: () => systemClock.now(), onStuck });
}

function operatorStuck(shard: ShardHandle, router: Router, timeoutMs: number): TidemarkError {
  const position = shard.currentPosition;
  const { kind, index } = position === undefined ? { kind: 0, index: 0 } : shard.recordAt(position);
  const where = kind === RECORD.event ? ` of stream '${router.streamAt(shard.index, index).name}'` : '';
  return new TidemarkError(
    'ERR_TIDEMARK_OPERATOR',
    `an operator${where} has not returned for ${timeoutMs} ms (shard ${shard.index}); make it return, or raise operatorTimeoutMs`,
  );
}
