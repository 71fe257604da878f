/**
 * Operators that end their thread at events whose payload says so, once for each: a payload is a number, and after a
 * space the way to die and a directory to leave a mark in. By the name of the stream: a slot that lasts, one too
 * large for that, a value on the heap, or several of these.
 */
import { mkdirSync } from 'node:fs';
import process from 'node:process';
import type { HeapOperator, Operator, OperatorEvent } from '../../../src/index.ts';
import { type Folded, folded, foldedBytes, NOTHING_FOLDED, readFolded } from '../../support/folded.ts';

const LARGE_BYTES = 20_000;
const decoder = new TextDecoder();

/** True the first time: only then is there a directory to be made. */
function isFirst(mark: string): boolean {
  return mkdirSync(mark, { recursive: true }) !== undefined;
}

function numberOf(event: OperatorEvent): number {
  const [number, way, directory] = decoder.decode(new Uint8Array(event.payload)).split(' ');
  if (way !== undefined && isFirst(`${directory}/${event.stream}-${number}`)) die(way);
  return Number(number);
}

function die(way: string): void {
  if (way === 'exit') process.exit(3);
  if (way === 'late')
    setImmediate(() => {
      throw new Error('late');
    });
  if (way === 'hang') for (;;);
  if (way === 'memory') {
    const hoard: unknown[] = [];
    for (;;) hoard.push(new Array(100_000).fill(hoard.length));
  }
}

function slot(bytes: number): Operator {
  return {
    kind: 'slot',
    name: 'slot',
    version: 1,
    bytes,
    process(event, { bytes: state, view }) {
      const before = readFolded(state);
      // Half of it before, so that an event that is cut off leaves a mark if it is not undone.
      view.setUint32(0, before.count + 1, true);
      view.setUint32(4, folded(before, numberOf(event)).hash, true);
    },
  };
}

const heap: HeapOperator<{ state: Folded }> = {
  kind: 'heap',
  name: 'heap',
  version: 1,
  create: () => ({ state: NOTHING_FOLDED }),
  process(event, kept) {
    kept.state = folded(kept.state, numberOf(event));
  },
  snapshot: ({ state }) => foldedBytes(state),
  restore: (bytes) => ({ state: readFolded(bytes) }),
};

export default (stream: string): readonly Operator[] => {
  if (stream.startsWith('large')) return [slot(LARGE_BYTES)];
  if (stream.startsWith('heap')) return [heap as Operator];
  if (stream.startsWith('mixed')) return [slot(8), heap as Operator];
  return [slot(8)];
};
