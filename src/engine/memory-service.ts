/** Answers a shard that asks for memory: what may leave does, and a request that cannot be met is denied. */
import type { CentralStore } from '../store/central-store.ts';
import type { ShardHandle } from './shard-handle.ts';

/** True if a request was seen for the first time. */
export function serveMemory(shard: ShardHandle, central: CentralStore): boolean {
  // An answer means that everything it gives back is in the return ring.
  const isFlushed = shard.flushReturns();
  const asked = shard.memoryRequest;
  if (asked === undefined) return false;
  const isNew = shard.memorySeen !== asked.request;
  if (isNew) {
    shard.memorySeen = asked.request;
    shard.memoryOwed = asked.bytes;
  }
  const freed = central.evict(shard.index, shard.memoryOwed);
  shard.memoryOwed -= freed;
  if (isFlushed && shard.flushReturns()) {
    if (shard.memoryOwed <= 0) shard.answerMemory(asked.request, false);
    // What the shard published before it asked may not have been read yet; it can become evictable.
    else if (shard.completions.peek() === 0 && !central.hasUnsettled(shard.index)) {
      shard.answerMemory(asked.request, true);
    }
  }
  if (freed > 0) shard.wake();
  return isNew;
}
