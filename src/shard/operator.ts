/**
 * What a user's operators module exports, and what its operators see. Operators run on a shard's
 * worker thread, are synchronous, and get a stream's events one at a time in order.
 */

/** An event as operators see it. Valid during the call only: the object and its payload are reused. */
export interface OperatorEvent {
  readonly stream: string;
  readonly sequence: bigint;
  /** Event time in nanoseconds since the Unix epoch; 0n if the event carries none. */
  readonly watermarkNs: bigint;
  /** `undefined` for an event that was pushed without a source. */
  readonly source: string | undefined;
  /** The event's own position in its source. */
  readonly offset: bigint | undefined;
  /** A view of shared memory. Copy what must outlive the call. */
  readonly payload: Uint8Array;
  /** The payload decoded as UTF-8; cheaper than decoding `payload` by hand. */
  text(): string;
}

/** An operator's fixed-size state in shared memory; zero at first, restored later on. */
export interface Slot {
  readonly bytes: Uint8Array;
  /** Over the same bytes. Any alignment, so reach multi-byte values through this view. */
  readonly view: DataView;
}

interface OperatorBase {
  /** Unique among the operators of a stream. */
  readonly name: string;
  /** u32, of the state's form. A restored state of another version goes through `migrate`. */
  readonly version: number;
  /** Turns a state of another version (or a slot of another size) into the present form. */
  migrate?(bytes: Uint8Array, version: number): Uint8Array;
}

/** State of fixed size that lives in shared memory in its final form: nothing runs at a checkpoint. */
export interface SlotOperator extends OperatorBase {
  readonly kind: 'slot';
  /** Size of the state in bytes. */
  readonly bytes: number;
  process(event: OperatorEvent, slot: Slot): void;
}

/** State is any JavaScript value. Equal states must give equal bytes, also after a restore. */
export interface HeapOperator<State> extends OperatorBase {
  readonly kind: 'heap';
  create(): State;
  process(event: OperatorEvent, state: State): void;
  snapshot(state: State): Uint8Array;
  restore(bytes: Uint8Array, version: number): State;
}

// The host passes to an operator only states which that operator made, so the type of the state is
// the operator's own business: `never` in parameter position lets every HeapOperator<S> be assigned.
export type Operator = SlotOperator | HeapOperatorOfAnyState;

export interface HeapOperatorOfAnyState extends OperatorBase {
  readonly kind: 'heap';
  create(): unknown;
  process(event: OperatorEvent, state: never): void;
  snapshot(state: never): Uint8Array;
  restore(bytes: Uint8Array, version: number): unknown;
}

/** Default export of an operators module; called once per stream on the stream's shard. */
export type OperatorFactory = (stream: string) => readonly Operator[];
