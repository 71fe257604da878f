/** Counts events, and breaks in the way that a payload or the name of a stream asks for. */
import type { Operator } from '../../../src/index.ts';

function obey(payload: string): unknown {
  switch (payload) {
    case 'throw':
      throw new Error('broken on purpose');
    case 'throw nothing':
      // oxlint-disable-next-line typescript/only-throw-error -- users' code does throw such things
      throw undefined;
    case 'promise':
      return Promise.reject(new Error('nobody waits for this'));
    case 'thenable':
      // biome-ignore lint/suspicious/noThenProperty: what is not a promise but passes for one
      return { then: () => undefined };
    case 'exit':
      return process.exit(7);
    case 'exhaust the heap':
      for (let held: unknown; ; ) held = { held, more: [1, 2, 3, 4, 5, 6, 7, 8] };
    case 'throw late':
      setTimeout(() => {
        throw new Error('broken later on purpose');
      }, 0);
      return undefined;
    case 'reject late':
      void Promise.reject(new Error('rejected later on purpose'));
      return undefined;
    default:
      return undefined;
  }
}

const count: Operator = {
  kind: 'slot',
  name: 'count',
  version: 1,
  bytes: 8,
  process(event, { view }) {
    view.setBigUint64(0, view.getBigUint64(0, true) + 1n, true);
    return obey(event.text()) as void;
  },
};

function heap(methods: { create?: () => unknown; snapshot?: () => Uint8Array }): Operator {
  return {
    kind: 'heap',
    name: 'heap',
    version: 1,
    create: methods.create ?? (() => undefined),
    process: () => undefined,
    snapshot: methods.snapshot ?? (() => new Uint8Array()),
    restore: () => undefined,
  };
}

function broken(): never {
  throw new Error('broken on purpose');
}

export default (stream: string): readonly Operator[] => {
  switch (stream) {
    case 'factory throws':
      return broken();
    case 'factory returns nothing':
      return undefined as unknown as Operator[];
    case 'no operator':
      return [null as unknown as Operator];
    case 'twins':
      return [count, count];
    case 'no version':
      return [{ ...count, version: -1 }];
    case 'no such kind':
      return [{ ...count, kind: 'stack' } as unknown as Operator];
    case 'no process':
      return [{ ...count, process: undefined } as unknown as Operator];
    case 'beyond checking':
      return [
        {
          ...count,
          get version() {
            return broken();
          },
        },
      ];
    case 'create throws':
      return [heap({ create: broken })];
    case 'create returns a promise':
      return [heap({ create: () => Promise.resolve() })];
    case 'snapshot throws':
      return [heap({ snapshot: broken })];
    case 'snapshot returns text':
      return [heap({ snapshot: () => 'text' as unknown as Uint8Array })];
    default:
      return [count];
  }
};
