/** A state that shows any event that is lost, doubled or out of order: their count, and a hash of their numbers in order. */
export interface Folded {
  readonly count: number;
  readonly hash: number;
}

export const NOTHING_FOLDED: Folded = { count: 0, hash: 0 };

export function folded({ count, hash }: Folded, number: number): Folded {
  return { count: count + 1, hash: (Math.imul(hash, 31) + number) >>> 0 };
}

export function readFolded(bytes: Uint8Array): Folded {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { count: view.getUint32(0, true), hash: view.getUint32(4, true) };
}

export function foldedBytes({ count, hash }: Folded): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, count, true);
  view.setUint32(4, hash, true);
  return bytes;
}
