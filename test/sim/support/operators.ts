/**
 * Operators whose calls may be the last of their shard: a fuse counts them. They throw at an event whose payload ends with
 * `!`, and one that ends with `?` burns the fuse; both each time, until somebody mends them for that event.
 */
import type { HeapOperator, Operator, OperatorEvent } from '../../../src/index.ts';
import { type Folded, folded, foldedBytes, NOTHING_FOLDED, readFolded } from '../../support/folded.ts';

/** Calls that are left; the one that finds none throws, as a thread ends in the middle of it. */
export interface Fuse {
  left: number;
  /** Numbers of events that do no harm any more. */
  readonly healed: ReadonlySet<number>;
}

const LARGE_BYTES = 3_000;
const decoder = new TextDecoder();

function burn(fuse: Fuse, event?: OperatorEvent): void {
  const poison = event === undefined || fuse.healed.has(numberOf(event)) ? undefined : textOf(event).at(-1);
  if (poison === '?') fuse.left = 0;
  if (--fuse.left <= 0) throw new Error('the thread ends');
  if (poison === '!') throw new Error('poison');
}

function textOf(event: OperatorEvent): string {
  return decoder.decode(new Uint8Array(event.payload));
}

function numberOf(event: OperatorEvent): number {
  return Number.parseInt(textOf(event), 10);
}

function slot(name: string, bytes: number, fuse: Fuse): Operator {
  return {
    kind: 'slot',
    name,
    version: 1,
    bytes,
    process(event, { bytes, view }) {
      const { count, hash } = folded(readFolded(bytes), numberOf(event));
      // Half of the event is in the state when the thread ends.
      view.setUint32(0, count, true);
      burn(fuse, event);
      view.setUint32(4, hash, true);
    },
  };
}

function heap(fuse: Fuse): Operator {
  return {
    kind: 'heap',
    name: 'heap',
    version: 1,
    create: () => ({ state: NOTHING_FOLDED }),
    process(event, kept: { state: Folded }) {
      kept.state = folded(kept.state, numberOf(event));
      burn(fuse, event);
    },
    snapshot({ state }) {
      burn(fuse);
      return foldedBytes(state);
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
