/**
 * The user's operators on a shard: made and checked per stream, called per event, and turned into
 * errors that say which operator of which stream did what.
 */
import { compareUtf8, encodeUtf8 } from '../codec/utf8.ts';
import { TidemarkError } from '../error.ts';
import type { EngineMemory } from '../memory/engine-memory.ts';
import type { HeapOperator, Operator, OperatorEvent, OperatorFactory, SlotOperator } from './operator.ts';
import { StreamSlot } from './stream-slot.ts';

const U32_MAX = 2 ** 32 - 1;

interface HostedSlot {
  readonly kind: 'slot';
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly version: number;
  readonly operator: SlotOperator;
  readonly slot: StreamSlot;
}

export interface HostedHeap {
  readonly kind: 'heap';
  readonly name: string;
  readonly nameBytes: Uint8Array;
  readonly version: number;
  readonly operator: HeapOperator<unknown>;
  state: unknown;
}

export type HostedOperator = HostedSlot | HostedHeap;

/** The operators of one stream. */
export interface HostedOperators {
  /** In the order in which they process an event. */
  readonly inOrder: readonly HostedOperator[];
  /** Ascending by the UTF-8 bytes of their names, as a body holds them. */
  readonly byName: readonly HostedOperator[];
  readonly hasHeap: boolean;
}

export class OperatorHost {
  readonly #memory: EngineMemory;
  readonly #factory: OperatorFactory;
  /** Names recur in every stream; their bytes are kept once. */
  readonly #nameBytes = new Map<string, Uint8Array>();

  constructor(memory: EngineMemory, factory: OperatorFactory) {
    this.#memory = memory;
    this.#factory = factory;
  }

  /** @throws ERR_TIDEMARK_OPERATOR when the factory throws or does not return proper operators */
  host(stream: string): HostedOperators {
    let operators: readonly Operator[];
    try {
      operators = this.#factory(stream);
    } catch (cause) {
      throw operatorError(`the operators module threw for stream '${stream}'`, cause);
    }
    if (!Array.isArray(operators)) {
      throw operatorError(`the operators module returned no array for stream '${stream}'`);
    }
    const inOrder = operators.map((operator) => this.#hostOne(stream, operator));
    const byName = inOrder.toSorted((a, b) => compareUtf8(a.name, b.name));
    for (let at = 1; at < byName.length; at++) {
      if (byName[at]?.name === byName[at - 1]?.name) {
        throw operatorError(`stream '${stream}' has two operators named '${byName[at]?.name}'`);
      }
    }
    return { inOrder, byName, hasHeap: inOrder.some((operator) => operator.kind === 'heap') };
  }

  #hostOne(stream: string, operator: Operator): HostedOperator {
    const flaw = flawOf(operator);
    if (flaw !== undefined) throw operatorError(`an operator of stream '${stream}' ${flaw}`);
    const { name, version } = operator;
    const nameBytes = this.#bytesOfName(name);
    if (operator.kind === 'slot') {
      return {
        kind: 'slot',
        name,
        nameBytes,
        version,
        operator,
        slot: new StreamSlot(this.#memory, operator),
      };
    }
    // An operator is only ever given states that it made itself, so its state type is its own affair.
    const heap = operator as HeapOperator<unknown>;
    return {
      kind: 'heap',
      name,
      nameBytes,
      version,
      operator: heap,
      state: call(stream, name, 'create', () => heap.create()),
    };
  }

  #bytesOfName(name: string): Uint8Array {
    let bytes = this.#nameBytes.get(name);
    if (bytes === undefined) {
      bytes = encodeUtf8(name, 'operator name');
      this.#nameBytes.set(name, bytes);
    }
    return bytes;
  }
}

/** @throws ERR_TIDEMARK_OPERATOR with what the operator threw as cause; ERR_TIDEMARK_ASYNC_OPERATOR */
export function processEvent(hosted: HostedOperator, event: OperatorEvent): void {
  if (hosted.kind === 'slot') processSlot(hosted.slot, event);
  else process(hosted.operator, hosted.state, event);
}

/** The same for an operator's slot. */
export function processSlot(slot: StreamSlot, event: OperatorEvent): void {
  process(slot.operator, slot, event);
}

function process<State>(
  operator: { readonly name: string; process(event: OperatorEvent, state: State): unknown },
  state: State,
  event: OperatorEvent,
): void {
  let returned: unknown;
  try {
    returned = operator.process(event, state);
  } catch (cause) {
    const where = event.source === undefined ? '' : `, offset ${event.offset} of '${event.source}'`;
    throw operatorError(
      `operator '${operator.name}' threw at sequence ${event.sequence} of stream '${event.stream}'${where}`,
      cause,
    );
  }
  if (returned !== undefined) refuseThenable(returned, operator.name, event.stream);
}

/** The bytes of a heap operator's state. @throws ERR_TIDEMARK_OPERATOR */
export function snapshotOf(stream: string, hosted: HostedHeap): Uint8Array {
  const bytes = call(stream, hosted.name, 'snapshot', () => hosted.operator.snapshot(hosted.state));
  if (!(bytes instanceof Uint8Array)) {
    throw operatorError(
      `snapshot() of operator '${hosted.name}' of stream '${stream}' returned no Uint8Array`,
    );
  }
  return bytes;
}

/**
 * Puts a restored state into an operator, through `migrate` when its form is another one. The slot's
 * address must be set.
 * @throws ERR_TIDEMARK_STATE_VERSION, ERR_TIDEMARK_OPERATOR
 */
export function restoreState(
  stream: string,
  hosted: HostedOperator,
  bytes: Uint8Array,
  version: number,
): void {
  const present =
    hosted.version === version && (hosted.kind === 'heap' || hosted.slot.length === bytes.length);
  const state = present ? bytes : migrated(stream, hosted, bytes, version);
  if (hosted.kind === 'heap') {
    // The frame may be evicted and its memory reused, and an operator may keep what it is given.
    const copy = new Uint8Array(state);
    hosted.state = call(stream, hosted.name, 'restore', () => hosted.operator.restore(copy, hosted.version));
    return;
  }
  if (state.length !== hosted.slot.length) {
    throw operatorError(
      `migrate() of operator '${hosted.name}' of stream '${stream}' returned ${state.length} bytes, its slot has ${hosted.slot.length}`,
    );
  }
  hosted.slot.bytes.set(state);
}

/** Gives an operator the state that it begins with. @throws ERR_TIDEMARK_OPERATOR */
export function resetState(stream: string, hosted: HostedOperator): void {
  if (hosted.kind === 'heap')
    hosted.state = call(stream, hosted.name, 'create', () => hosted.operator.create());
  else hosted.slot.bytes.fill(0);
}

function migrated(stream: string, hosted: HostedOperator, bytes: Uint8Array, version: number): Uint8Array {
  if (hosted.operator.migrate === undefined) {
    const found = `version ${version}, ${bytes.length} bytes`;
    const expected =
      hosted.kind === 'slot'
        ? `version ${hosted.version}, ${hosted.slot.length} bytes`
        : `version ${hosted.version}`;
    throw new TidemarkError(
      'ERR_TIDEMARK_STATE_VERSION',
      `the stored state of operator '${hosted.name}' of stream '${stream}' is ${found}, the operator has ${expected}; give the operator a migrate(bytes, version)`,
    );
  }
  const copy = new Uint8Array(bytes);
  const result = call(stream, hosted.name, 'migrate', () => hosted.operator.migrate?.(copy, version));
  if (result instanceof Uint8Array) return result;
  throw operatorError(`migrate() of operator '${hosted.name}' of stream '${stream}' returned no Uint8Array`);
}

function call<Result>(stream: string, operator: string, method: string, run: () => Result): Result {
  let result: Result;
  try {
    result = run();
  } catch (cause) {
    throw operatorError(`${method}() of operator '${operator}' of stream '${stream}' threw`, cause);
  }
  refuseThenable(result, operator, stream);
  return result;
}

function refuseThenable(returned: unknown, operator: string, stream: string): void {
  if (typeof (returned as { then?: unknown } | null | undefined)?.then !== 'function') return;
  // Nobody else would handle its rejection, which would then end the thread.
  void Promise.resolve(returned as PromiseLike<unknown>).catch(() => undefined);
  throw new TidemarkError(
    'ERR_TIDEMARK_ASYNC_OPERATOR',
    `operator '${operator}' of stream '${stream}' returned a promise; operators are synchronous: do asynchronous work before push()`,
  );
}

function flawOf(operator: Operator): string | undefined {
  if (operator === null || typeof operator !== 'object') return 'is not an object';
  const { kind, name, version } = operator;
  if (typeof name !== 'string' || !name.isWellFormed()) return 'has no well-formed name';
  if (!Number.isInteger(version) || version < 0 || version > U32_MAX)
    return `('${name}') has no version from 0 to 2^32 - 1`;
  const methods =
    kind === 'slot'
      ? ['process']
      : kind === 'heap'
        ? ['create', 'process', 'snapshot', 'restore']
        : undefined;
  if (methods === undefined) return `('${name}') has kind ${JSON.stringify(kind)}, not 'slot' or 'heap'`;
  for (const method of methods) {
    if (typeof (operator as unknown as Record<string, unknown>)[method] !== 'function')
      return `('${name}') lacks ${method}()`;
  }
  if (
    kind === 'slot' &&
    (!Number.isInteger(operator.bytes) || operator.bytes < 0 || operator.bytes > U32_MAX)
  ) {
    return `('${name}') has no size in bytes`;
  }
  return undefined;
}

function operatorError(message: string, cause?: unknown): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_OPERATOR', message, { cause });
}
