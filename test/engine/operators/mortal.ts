/**
 * Operators that end their thread at events whose payload says so, once for each: a payload is a number, and after a
 * space the way to die and a directory to leave a mark in. The state is the count of events and a hash of their numbers
 * in order, so any that is lost, doubled or out of order shows. By the name of the stream: a slot that lasts, one too
 * large for that, a value on the heap, or several of these.
 */
import { mkdirSync } from 'node:fs';
import process from 'node:process';
import type { Operator, OperatorEvent } from '../../../src/index.ts';

const LARGE_BYTES = 20_000;
const decoder = new TextDecoder();

/** True the first time. */
function isFirst(mark: string): boolean {
  try {
    mkdirSync(mark);
    return true;
  } catch {
    // It is there: this event has ended a thread before.
    return false;
  }
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

function hashed(hash: number, number: number): number {
  return (Math.imul(hash, 31) + number) >>> 0;
}

function slot(bytes: number): Operator {
  return {
    kind: 'slot',
    name: 'slot',
    version: 1,
    bytes,
    process(event, { view }) {
      // Half of it before, so that an event that is cut off leaves a mark if it is not undone.
      view.setUint32(0, view.getUint32(0, true) + 1, true);
      const number = numberOf(event);
      view.setUint32(4, hashed(view.getUint32(4, true), number), true);
    },
  };
}

const heap: Operator = {
  kind: 'heap',
  name: 'heap',
  version: 1,
  create: () => ({ count: 0, hash: 0 }),
  process(event, state: { count: number; hash: number }) {
    state.count++;
    state.hash = hashed(state.hash, numberOf(event));
  },
  snapshot: ({ count, hash }) => new Uint8Array(new Uint32Array([count, hash]).buffer),
  restore(bytes) {
    const [count = 0, hash = 0] = new Uint32Array(new Uint8Array(bytes).buffer);
    return { count, hash };
  },
} as Operator;

export default (stream: string): readonly Operator[] => {
  if (stream.startsWith('large')) return [slot(LARGE_BYTES)];
  if (stream.startsWith('heap')) return [heap];
  if (stream.startsWith('mixed')) return [slot(8), heap];
  return [slot(8)];
};
