/**
 * What a shard must publish, said as plainly as possible: Maps, bigints, no rings, and every stream looked
 * at whenever a trigger could fire. The completions of a turn come as a list; where the shard is free to
 * choose an order, `turn` groups them.
 */
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { type CheckpointPolicy, dueTrigger, limitShare } from '../../src/checkpoint/schedule.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { decodeFrame, encodeFrame } from '../../src/codec/frame.ts';
import type { Pushed } from './shard-harness.ts';
import type { PairedOperator } from './shard-operators.ts';

export interface ModelStream {
  readonly name: string;
  state: CheckpointState;
  hasEvents: boolean;
  seen: number;
  /** By source: offset of the first event since the last checkpoint. */
  lows: Map<string, bigint>;
  uncoveredEvents: number;
  uncoveredBytes: number;
  firstUncoveredAt: number;
  lastEventAt: number;
  lastCheckpointAt: number;
  limitShare: number;
  checkpoints: number;
  /** Ordinal of its first uncovered event among those of all streams. */
  dirtied: number;
}

export interface ModelFrame {
  readonly stream: string;
  readonly sequence: bigint;
  readonly seen: number;
  readonly lows: ReadonlyMap<string, bigint>;
  readonly state: CheckpointState;
}

export interface ModelForgotten {
  readonly forgotten: string;
  readonly lows: ReadonlyMap<string, bigint>;
}

/** What one turn publishes, in this order. */
export interface ModelTurn {
  /** Frames that events made due, and forgotten streams, in order. */
  readonly byEvents: (ModelFrame | ModelForgotten)[];
  /** Frames that are due by time, in any order, and then those asked for, in order. */
  byTime: ModelFrame[];
  wanted: (ModelFrame | { readonly covered: string; readonly seen: number })[];
  /** Frames of a request to checkpoint everything, in any order. */
  all: ModelFrame[];
  answered: number | undefined;
  readonly touched: Set<string>;
}

type Command =
  | { readonly kind: 'event'; readonly event: Pushed; readonly number: number }
  | { readonly kind: 'want'; readonly stream: string }
  | { readonly kind: 'forget'; readonly stream: string }
  | { readonly kind: 'all'; readonly request: number };

export class ShardModel {
  readonly streams = new Map<string, ModelStream>();
  readonly sources = new Map<string, { read: number; last: bigint }>();
  applied = 0;
  dropped = 0;
  readonly #operators: readonly PairedOperator[];
  readonly #policy: CheckpointPolicy;
  /** The number of a stream on the shard, by which the limits of streams with jitter differ. */
  numberOf: (stream: string) => number = () => 0;
  #dirtied = 0;
  #queue: Command[] = [];

  constructor(operators: readonly PairedOperator[], policy: CheckpointPolicy) {
    this.#operators = operators;
    this.#policy = policy;
  }

  restore(stream: string, frame: Uint8Array): void {
    const added = this.#stream(stream);
    added.state = decodeFrame(frame);
    added.hasEvents = added.state.eventCount > 0n;
  }

  push(event: Pushed): void {
    this.#queue.push({ kind: 'event', event, number: this.numberOf(event.stream) });
  }

  requestStream(stream: string): void {
    this.#queue.push({ kind: 'want', stream });
  }

  forget(stream: string): void {
    this.#queue.push({ kind: 'forget', stream });
  }

  requestAll(request: number): void {
    this.#queue.push({ kind: 'all', request });
  }

  /** One turn at `now`, in which all that is queued is read. */
  turn(now: number): ModelTurn {
    const turn: ModelTurn = {
      byEvents: [],
      byTime: [],
      wanted: [],
      all: [],
      answered: undefined,
      touched: new Set(),
    };
    let wanted: ModelStream[] = [];
    const want = (stream: ModelStream): void => {
      if (!wanted.includes(stream)) wanted.push(stream);
    };
    for (const command of this.#queue) {
      if (command.kind === 'want') want(this.#stream(command.stream));
      else if (command.kind === 'all') turn.answered = command.request;
      else if (command.kind === 'forget') {
        this.#forget(command.stream, turn);
        wanted = wanted.filter(({ name }) => name !== command.stream);
      } else this.#onEvent(command, now, turn, want);
    }
    this.#queue = [];
    turn.byTime = this.#checkpointWhere((stream) => this.#isDue(stream, now), now, turn);
    turn.wanted = wanted.map((stream) =>
      stream.uncoveredEvents > 0
        ? this.#checkpoint(stream, now, turn)
        : { covered: stream.name, seen: stream.seen },
    );
    if (turn.answered !== undefined) {
      turn.all = this.#checkpointWhere((stream) => stream.uncoveredEvents > 0, now, turn);
    }
    return turn;
  }

  /** The least offset of the source that is in no frame. */
  openLow(source: string): bigint | undefined {
    let least: bigint | undefined;
    for (const { lows } of this.streams.values()) {
      const low = lows.get(source);
      if (low !== undefined && (least === undefined || low < least)) least = low;
    }
    return least;
  }

  #forget(name: string, turn: ModelTurn): void {
    const { lows } = this.#stream(name);
    for (const source of lows.keys()) turn.touched.add(source);
    turn.byEvents.push({ forgotten: name, lows });
    this.streams.delete(name);
  }

  #onEvent(
    { event, number }: Extract<Command, { kind: 'event' }>,
    now: number,
    turn: ModelTurn,
    want: (stream: ModelStream) => void,
  ): void {
    const stream = this.#stream(event.stream);
    stream.seen++;
    if (event.isDurable) want(stream);
    if (event.source !== undefined) {
      const read = this.sources.get(event.source)?.read ?? 0;
      this.sources.set(event.source, { read: read + 1, last: event.offset as bigint });
      turn.touched.add(event.source);
    }
    if (isDuplicate(event, stream)) {
      this.dropped++;
      return;
    }
    if (stream.uncoveredEvents === 0) {
      stream.firstUncoveredAt = now;
      stream.dirtied = ++this.#dirtied;
      stream.limitShare = limitShare(this.#policy, number, stream.checkpoints);
    }
    this.#apply(event, stream, now);
    if (this.#isDue(stream, now)) turn.byEvents.push(this.#checkpoint(stream, now, turn));
    for (let next = this.#inDebt(now); next !== undefined; next = this.#inDebt(now))
      turn.byEvents.push(this.#checkpoint(next, now, turn));
  }

  /** The stream that is to be checkpointed for what all of them together have uncovered. */
  #inDebt(now: number): ModelStream | undefined {
    const dirty = [...this.streams.values()].filter(({ uncoveredEvents }) => uncoveredEvents > 0);
    const debt = dirty.reduce((sum, { uncoveredEvents }) => sum + uncoveredEvents, 0);
    const oldest = dirty.sort((a, b) => a.dirtied - b.dirtied)[0];
    return oldest !== undefined && dueTrigger(this.#policy, oldest, now, debt) === 'debt'
      ? oldest
      : undefined;
  }

  #apply(event: Pushed, stream: ModelStream, now: number): void {
    const { state } = stream;
    const sequence = event.sequence ?? state.id.sequence + 1n;
    const payload =
      typeof event.payload === 'string' ? Buffer.from(event.payload) : (event.payload ?? new Uint8Array(0));
    const plain = {
      sequence,
      watermarkNs: event.watermarkNs ?? 0n,
      source: event.source,
      offset: event.offset,
      payload,
    };
    const next = copyOf(state, sequence);
    for (const { operator, apply } of this.#operators) {
      next.setOperatorState(
        operator.name,
        apply(state.operatorStates.get(operator.name) as Uint8Array, plain),
      );
    }
    if (plain.watermarkNs > state.watermarkNs) next.watermarkNs = plain.watermarkNs;
    next.eventCount = state.eventCount + 1n;
    if (event.source !== undefined) this.#moveOn(event, stream, next);
    stream.state = next;
    stream.hasEvents = true;
    this.applied++;
    stream.uncoveredEvents++;
    stream.uncoveredBytes += payload.length;
    stream.lastEventAt = now;
  }

  #moveOn(event: Pushed, stream: ModelStream, next: CheckpointState): void {
    const source = event.source as string;
    const offset = event.offset as bigint;
    const reading = event.nextOffset ?? offset + 1n;
    const known = next.sourceOffsets.get(source) ?? 0n;
    next.setSourceOffset(source, reading > known ? reading : known);
    if (!stream.lows.has(source)) stream.lows.set(source, offset);
  }

  #isDue(stream: ModelStream, now: number): boolean {
    return dueTrigger(this.#policy, stream, now) !== undefined;
  }

  #checkpointWhere(isChosen: (stream: ModelStream) => boolean, now: number, turn: ModelTurn): ModelFrame[] {
    return [...this.streams.values()].filter(isChosen).map((stream) => this.#checkpoint(stream, now, turn));
  }

  #checkpoint(stream: ModelStream, now: number, turn: ModelTurn): ModelFrame {
    const { name, state, seen, lows } = stream;
    for (const source of lows.keys()) turn.touched.add(source);
    stream.lows = new Map();
    stream.uncoveredEvents = 0;
    stream.uncoveredBytes = 0;
    stream.lastCheckpointAt = now;
    stream.checkpoints++;
    return { stream: name, sequence: state.id.sequence, seen, lows, state };
  }

  #stream(name: string): ModelStream {
    let stream = this.streams.get(name);
    if (stream === undefined) {
      const state = new CheckpointState(new CheckpointId(name, 0n));
      for (const { operator, initial } of this.#operators) {
        state.setOperatorState(operator.name, initial);
        state.operatorVersions.set(operator.name, operator.version);
      }
      stream = {
        name,
        state,
        hasEvents: false,
        seen: 0,
        lows: new Map(),
        uncoveredEvents: 0,
        uncoveredBytes: 0,
        firstUncoveredAt: 0,
        lastEventAt: 0,
        lastCheckpointAt: Number.NEGATIVE_INFINITY,
        limitShare: 1,
        checkpoints: 0,
        dirtied: 0,
      };
      this.streams.set(name, stream);
    }
    return stream;
  }
}

function isDuplicate(event: Pushed, stream: ModelStream): boolean {
  if (event.sequence !== undefined) return stream.hasEvents && event.sequence <= stream.state.id.sequence;
  if (event.source === undefined) return false;
  const next = stream.state.sourceOffsets.get(event.source);
  return next !== undefined && (event.offset as bigint) < next;
}

function copyOf(state: CheckpointState, sequence: bigint, createdAt?: Date): CheckpointState {
  const copy = new CheckpointState(new CheckpointId(state.id.streamId, sequence, createdAt));
  copy.watermarkNs = state.watermarkNs;
  copy.eventCount = state.eventCount;
  for (const [name, bytes] of state.operatorStates) copy.operatorStates.set(name, bytes);
  for (const [name, version] of state.operatorVersions) copy.operatorVersions.set(name, version);
  for (const [name, offset] of state.sourceOffsets) copy.sourceOffsets.set(name, offset);
  return copy;
}

/** The frame of `state` as if taken at `createdAt` by a shard of this generation. */
export function frameOf(state: CheckpointState, createdAt: Date, generation: bigint): Uint8Array {
  return encodeFrame(copyOf(state, state.id.sequence, createdAt), { generation });
}
