/** Operators whose calls may be the last of their shard: a fuse counts them. */
import type { HeapOperator, Operator, OperatorEvent } from '../../../src/index.ts';

/** Calls that are left; the one that finds none throws, as a thread ends in the middle of it. */
export interface Fuse {
  left: number;
}

/** Count of events, and a hash of their numbers in order. */
export interface Folded {
  readonly count: number;
  readonly hash: number;
}

const LARGE_BYTES = 3_000;
const decoder = new TextDecoder();

export function folded({ count, hash }: Folded, number: number): Folded {
  return { count: count + 1, hash: (Math.imul(hash, 31) + number) >>> 0 };
}

export function readFolded(bytes: Uint8Array): Folded {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { count: view.getUint32(0, true), hash: view.getUint32(4, true) };
}

function burn(fuse: Fuse): void {
  if (--fuse.left <= 0) throw new Error('the thread ends');
}

function numberOf(event: OperatorEvent): number {
  return Number(decoder.decode(new Uint8Array(event.payload)));
}

function slot(name: string, bytes: number, fuse: Fuse): Operator {
  return {
    kind: 'slot',
    name,
    version: 1,
    bytes,
    process(event, { view }) {
      const { count, hash } = folded(
        { count: view.getUint32(0, true), hash: view.getUint32(4, true) },
        numberOf(event),
      );
      // Half of the event is in the state when the thread ends.
      view.setUint32(0, count, true);
      burn(fuse);
      view.setUint32(4, hash, true);
    },
  };
}

function heap(fuse: Fuse): Operator {
  return {
    kind: 'heap',
    name: 'heap',
    version: 1,
    create: () => ({ state: { count: 0, hash: 0 } }),
    process(event, kept: { state: Folded }) {
      kept.state = folded(kept.state, numberOf(event));
      burn(fuse);
    },
    snapshot({ state }) {
      burn(fuse);
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setUint32(0, state.count, true);
      new DataView(bytes.buffer).setUint32(4, state.hash, true);
      return bytes;
    },
    restore(bytes) {
      burn(fuse);
      return { state: readFolded(bytes) };
    },
  } satisfies HeapOperator<{ state: Folded }> as Operator;
}

export function operatorsFor(stream: string, fuse: Fuse): readonly Operator[] {
  if (stream.startsWith('large')) return [slot('slot', LARGE_BYTES, fuse)];
  if (stream.startsWith('heap')) return [heap(fuse)];
  if (stream.startsWith('mixed')) return [slot('slot', 8, fuse), heap(fuse)];
  return [slot('slot', 8, fuse)];
}
