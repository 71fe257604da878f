/**
 * Streams that were to be forgotten when the thread before this one ended. They are not brought back; until the record
 * that ends one is read, its events only hold back frontiers: the durable store may still have a checkpoint without them.
 */
import { type ShardSource, type ShardStream, SourcePosition } from './stream.ts';

/**
 * An event of the stream was at `low`, as u64 halves, or later. For each source lows have to be told of in an order that
 * ascends, as events do.
 */
export function holdBack(
  stream: ShardStream,
  source: ShardSource,
  low: { readonly low: number; readonly high: number },
): void {
  if (stream.positions.some((position) => position.source === source)) return;
  const position = new SourcePosition(source, stream);
  position.isOpen = true;
  position.lowLow = low.low;
  position.lowHigh = low.high;
  source.lows.append(position.lowLink);
  stream.positions = [...stream.positions, position];
}
