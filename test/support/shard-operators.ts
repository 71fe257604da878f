/**
 * Operators for tests of a shard, each beside a pure function of state bytes and event that says what its
 * bytes must be. All depend on the order of events and on most fields of an event.
 */
import type { HeapOperator, Operator, OperatorEvent, SlotOperator } from '../../src/shard/operator.ts';

/** What an operator may look at, as plain values. */
export interface PlainEvent {
  readonly sequence: bigint;
  readonly watermarkNs: bigint;
  readonly source: string | undefined;
  readonly offset: bigint | undefined;
  readonly payload: Uint8Array;
}

export interface PairedOperator {
  readonly operator: Operator;
  readonly initial: Uint8Array;
  /** The state after `event`, in new memory. */
  readonly apply: (state: Uint8Array, event: PlainEvent) => Uint8Array;
}

/** A slot of `bytes` bytes in which every byte of the payload and of the sequence is mixed. */
export function mixer(name: string, bytes: number, version = 1): PairedOperator {
  const operator: SlotOperator = {
    kind: 'slot',
    name,
    version,
    bytes,
    process(event, slot) {
      mix(slot.bytes, event.payload);
      if (bytes >= 8) slot.view.setBigUint64(bytes - 8, event.sequence, true);
    },
  };
  return {
    operator,
    initial: new Uint8Array(bytes),
    apply(state, event) {
      const next = state.slice();
      mix(next, event.payload);
      if (bytes >= 8) new DataView(next.buffer).setBigUint64(bytes - 8, event.sequence, true);
      return next;
    },
  };
}

function mix(state: Uint8Array, payload: Uint8Array): void {
  if (state.length === 0) return;
  for (const [at, byte] of payload.entries()) {
    const place = at % state.length;
    state[place] = Math.imul((state[place] as number) + 1, 31) + byte;
  }
}

/** Keeps the last few events as text: a state whose size changes. */
export function history(name: string, kept: number, version = 1): PairedOperator {
  const operator: HeapOperator<string[]> = {
    kind: 'heap',
    name,
    version,
    create: () => [],
    process(event, lines) {
      lines.push(lineOf(event, event.text()));
      if (lines.length > kept) lines.shift();
    },
    snapshot: (lines) => new TextEncoder().encode(lines.join('\n')),
    restore: (bytes) => (bytes.length === 0 ? [] : new TextDecoder().decode(bytes).split('\n')),
  };
  return {
    operator,
    initial: new Uint8Array(0),
    apply(state, event) {
      const lines = state.length === 0 ? [] : Buffer.from(state).toString('utf8').split('\n');
      lines.push(lineOf(event, Buffer.from(event.payload).toString('utf8')));
      return new Uint8Array(Buffer.from(lines.slice(-kept).join('\n')));
    },
  };
}

function lineOf(event: PlainEvent | OperatorEvent, text: string): string {
  const { sequence, watermarkNs, source, offset } = event;
  return JSON.stringify([`${sequence}`, `${watermarkNs}`, source, `${offset}`, text]);
}

/** Operators that are the same for every stream. */
export function factoryOf(paired: readonly PairedOperator[]): () => readonly Operator[] {
  const operators = paired.map(({ operator }) => operator);
  return () => operators;
}

/** A slot operator that counts its events in one u64, and does whatever else a test wants. */
export function counter(
  name = 'count',
  also: (event: OperatorEvent) => unknown = () => undefined,
): SlotOperator {
  return {
    kind: 'slot',
    name,
    version: 1,
    bytes: 8,
    process(event, slot) {
      slot.view.setBigUint64(0, slot.view.getBigUint64(0, true) + 1n, true);
      return also(event) as undefined;
    },
  };
}
