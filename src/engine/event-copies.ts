/** Events that have to outlast the call which pushed them. */
import type { Event } from './event.ts';

/** The events, those from `first` on as copies that share nothing with the caller's. */
export function copiesFrom(first: number, events: readonly Event[]): readonly Event[] {
  const copies = [...events];
  let bytes: Uint8Array | undefined;
  let bytesCopy: Uint8Array | undefined;
  for (let at = first; at < copies.length; at++) {
    const { stream, payload, sequence, watermarkNs, source, offset, nextOffset } = copies[at] as Event;
    // A record that goes to several streams brings the same bytes to each: one copy does for them.
    if (typeof payload !== 'string' && payload !== bytes) {
      bytes = payload;
      bytesCopy = copyOf(payload);
    }
    const own = typeof payload === 'string' ? payload : (bytesCopy as Uint8Array);
    copies[at] = { stream, payload: own, sequence, watermarkNs, source, offset, nextOffset };
  }
  return copies;
}

function copyOf(bytes: Uint8Array): Uint8Array {
  // From Node's pool: to make small ones each with memory of its own takes several times as long.
  const copy = Buffer.allocUnsafe(bytes.byteLength);
  copy.set(bytes);
  return copy;
}
