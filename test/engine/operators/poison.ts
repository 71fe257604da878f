/**
 * Operators that an event may be poison for. A payload is a number, and after a space what happens at it and a directory:
 * `throw`, `exit` and `hang` each time until the directory has a file `healed`, `once` the first time only. Each attempt
 * leaves a line in the file `attempts`. Half of the event is in the state by then. By the name of the stream: a slot
 * that lasts, one too large for that, a value on the heap, or several of these.
 */
import { appendFileSync, existsSync } from 'node:fs';
import process from 'node:process';
import type { HeapOperator, Operator, OperatorEvent } from '../../../src/index.ts';
import { type Folded, folded, foldedBytes, NOTHING_FOLDED, readFolded } from '../../support/folded.ts';

const LARGE_BYTES = 20_000;
const decoder = new TextDecoder();

interface Told {
  readonly number: number;
  readonly fail: () => void;
}

function read(event: OperatorEvent): Told {
  const [number, way, directory] = decoder.decode(new Uint8Array(event.payload)).split(' ');
  const fail = (): void => {
    if (way === undefined || existsSync(`${directory}/healed`)) return;
    const isFirst = !existsSync(`${directory}/attempts`);
    appendFileSync(`${directory}/attempts`, `${event.stream} ${number}\n`);
    if (way === 'exit') process.exit(3);
    if (way === 'hang') for (;;);
    if (way === 'throw' || isFirst) throw new Error(`no good: ${number}`);
  };
  return { number: Number(number), fail };
}

function slot(bytes: number): Operator {
  return {
    kind: 'slot',
    name: 'slot',
    version: 1,
    bytes,
    process(event, { bytes: state, view }) {
      const { number, fail } = read(event);
      const after = folded(readFolded(state), number);
      view.setUint32(0, after.count, true);
      fail();
      view.setUint32(4, after.hash, true);
    },
  };
}

const heap: HeapOperator<{ state: Folded }> = {
  kind: 'heap',
  name: 'heap',
  version: 1,
  create: () => ({ state: NOTHING_FOLDED }),
  process(event, kept) {
    const { number, fail } = read(event);
    kept.state = folded(kept.state, number);
    fail();
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
