/** Random jobs for a shard, run beside the model, and the comparison of one turn. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { CheckpointPolicy } from '../../src/checkpoint/schedule.ts';
import { U64_MAX } from '../../src/codec/u64.ts';
import { WORD } from '../../src/memory/layout.ts';
import { type Completion, type Pushed, type ShardHarness, type Stored, storedIn } from './shard-harness.ts';
import { frameOf, type ModelFrame, type ModelTurn, type ShardModel } from './shard-model.ts';
import { history, mixer, type PairedOperator } from './shard-operators.ts';

export interface EventDraw {
  readonly kind: 'event';
  readonly stream: number;
  /** -1: none. */
  readonly source: number;
  readonly offsetStep: bigint;
  /** 0n: the default. */
  readonly reading: bigint;
  readonly sequenceStep: bigint;
  readonly watermarkNs: bigint;
  readonly payload: Uint8Array;
  readonly isDurable: boolean;
}

export type Draw =
  | EventDraw
  | { readonly kind: 'turn' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'want' | 'forget'; readonly stream: number }
  | { readonly kind: 'all' };

export interface JobDraw {
  readonly operators: readonly PairedOperator[];
  readonly policy: CheckpointPolicy;
  readonly streams: readonly { readonly name: string; readonly firstSequence: bigint | undefined }[];
  readonly sources: readonly { readonly name: string; readonly firstOffset: bigint }[];
  readonly draws: readonly Draw[];
}

/** Ordinary names, empty ones, and those that sort differently by UTF-16 units. */
const names = [
  'a',
  'zebra',
  '',
  '\ufeffbom',
  '\uffff',
  '\u{1f600}',
  'a longer name that moves what follows it',
];
const extremes = [0n, 1n, 2n ** 32n - 2n, 2n ** 53n - 1n, U64_MAX - 40n, U64_MAX];
const OPERATORS: readonly (readonly PairedOperator[])[] = [
  [],
  [mixer('only', 8)],
  [mixer('\u{1f600}', 17), mixer('\uffff', 0, 2 ** 32 - 1), mixer('b', 3)],
  [history('lines', 3)],
  [mixer('z', 24), history('m', 2, 9), mixer('a', 1), history('', 4)],
];

const eventDraw: fc.Arbitrary<EventDraw> = fc.record({
  kind: fc.constant('event' as const),
  stream: fc.nat(3),
  source: fc.integer({ min: -1, max: 2 }),
  offsetStep: fc.bigInt(0n, 3n),
  reading: fc.oneof(fc.constant(0n), fc.bigInt(1n, 9n), fc.constant(2n ** 40n)),
  sequenceStep: fc.bigInt(-2n, 4n),
  watermarkNs: fc.oneof(fc.bigInt(0n, U64_MAX), fc.constantFrom(...extremes)),
  payload: fc.uint8Array({ maxLength: 24 }),
  isDurable: fc.nat(9).map((n) => n === 0),
});

const draw: fc.Arbitrary<Draw> = fc.oneof(
  { weight: 12, arbitrary: eventDraw },
  { weight: 4, arbitrary: fc.constant({ kind: 'turn' } as const) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('want' as const), stream: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), stream: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'all' } as const) },
);

const limit = (max: number): fc.Arbitrary<number | undefined> =>
  fc.option(fc.integer({ min: 1, max }), { nil: undefined, freq: 2 });

export const anyJob: fc.Arbitrary<JobDraw> = fc.record({
  operators: fc.constantFrom(...OPERATORS),
  policy: fc.record({
    everyEvents: limit(6),
    everyMs: limit(40),
    everyBytes: limit(60),
    idleMs: limit(20),
    minPauseMs: limit(50),
    maxReplayEvents: limit(20),
    jitter: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined, freq: 2 }),
  }),
  streams: fc
    .tuple(
      fc.shuffledSubarray(names, { minLength: 4, maxLength: 4 }),
      fc.array(fc.option(fc.constantFrom(...extremes), { nil: undefined }), { minLength: 4, maxLength: 4 }),
    )
    .map(([chosen, firsts]) => chosen.map((name, at) => ({ name, firstSequence: firsts[at] }))),
  sources: fc
    .tuple(
      fc.shuffledSubarray(names, { minLength: 3, maxLength: 3 }),
      fc.array(fc.constantFrom(...extremes), { minLength: 3, maxLength: 3 }),
    )
    .map(([chosen, firsts]) => chosen.map((name, at) => ({ name, firstOffset: firsts[at] as bigint }))),
  draws: fc.array(draw, { maxLength: 120, size: 'max' }),
});

/** Turns draws into events: offsets that never decrease, sequences that mostly increase. */
export class JobEvents {
  readonly #job: JobDraw;
  readonly #offsets: bigint[];
  readonly #sequences: (bigint | undefined)[];

  constructor(job: JobDraw) {
    this.#job = job;
    this.#offsets = job.sources.map(({ firstOffset }) => least(firstOffset, U64_MAX - 1n));
    this.#sequences = job.streams.map(({ firstSequence }) => firstSequence);
  }

  next(drawn: EventDraw): Pushed {
    const source = this.#job.sources[drawn.source];
    return {
      stream: this.nameOf(drawn.stream),
      payload: drawn.payload,
      watermarkNs: drawn.watermarkNs,
      isDurable: drawn.isDurable,
      ...this.#sequenceOf(drawn),
      ...(source === undefined ? {} : { source: source.name, ...this.#offsetsOf(drawn) }),
    };
  }

  /** What comes next of the stream is of a new one. */
  forget(stream: number): void {
    this.#sequences[stream] = this.#job.streams[stream]?.firstSequence;
  }

  nameOf(stream: number): string {
    return (this.#job.streams[stream] as { name: string }).name;
  }

  #sequenceOf(drawn: EventDraw): { sequence?: bigint } {
    const last = this.#sequences[drawn.stream];
    if (last === undefined) return {};
    const wanted = last + drawn.sequenceStep;
    const sequence = wanted < 0n ? 0n : least(wanted, U64_MAX);
    this.#sequences[drawn.stream] = sequence > last ? sequence : last;
    return { sequence };
  }

  #offsetsOf(drawn: EventDraw): { offset: bigint; nextOffset?: bigint } {
    const offset = least((this.#offsets[drawn.source] as bigint) + drawn.offsetStep, U64_MAX - 1n);
    this.#offsets[drawn.source] = offset;
    return drawn.reading === 0n ? { offset } : { offset, nextOffset: least(offset + drawn.reading, U64_MAX) };
  }
}

/**
 * Runs a part of a job on shard and model alike, comparing every turn; the frames it saw. `whole` is a model
 * that sees the same events and no turns.
 */
export function runDraws(
  draws: readonly Draw[],
  sides: {
    harness: ShardHarness;
    model: ShardModel;
    events: JobEvents;
    generation: bigint;
    whole?: ShardModel;
  },
): Stored[] {
  const { harness, model, events, generation } = sides;
  const frames: Stored[] = [];
  model.numberOf = (stream) => harness.numberOf(stream);
  let request = harness.words.get(WORD.checkpointRequest);
  const published: Completion[] = [];
  harness.onSleep = () => void published.push(...harness.take());
  const turn = (): void => {
    harness.shard.step();
    published.push(...harness.take());
    expectTurn(published, model.turn(harness.clock.ms), {
      model,
      frame: (frame) => frameOf(frame.state, new Date(harness.clock.wallMs()), generation),
    });
    for (const frame of storedIn(published)) {
      harness.giveBack(frame);
      frames.push(frame);
    }
    published.length = 0;
  };
  for (const drawn of draws) {
    if (drawn.kind === 'event') {
      const event = events.next(drawn);
      harness.push(event);
      model.push(event);
      sides.whole?.push(event);
    } else if (drawn.kind === 'want') {
      harness.requestStream(events.nameOf(drawn.stream));
      model.requestStream(events.nameOf(drawn.stream));
    } else if (drawn.kind === 'forget') {
      const name = events.nameOf(drawn.stream);
      if (!harness.forget(name)) continue;
      model.forget(name);
      events.forget(drawn.stream);
    } else if (drawn.kind === 'all') {
      harness.requestAll(++request);
      model.requestAll(request);
    } else if (drawn.kind === 'wait') {
      harness.clock.ms += drawn.ms;
    } else {
      turn();
    }
  }
  turn();
  return frames;
}

type Published = Exclude<Completion, { kind: 'low' }> & { readonly lows?: ReadonlyMap<string, bigint> };

/** What was published is exactly what the turn of the model says, in an order that it allows. */
export function expectTurn(
  completions: readonly Completion[],
  turn: ModelTurn,
  says: { model: ShardModel; frame: (frame: ModelFrame) => Uint8Array },
): void {
  const published = joinLows(completions);
  const take = (count: number): unknown[] => published.splice(0, count).map(plainOf);
  const plain = (frames: ModelTurn['byEvents']): unknown[] =>
    frames.map((frame) =>
      'forgotten' in frame
        ? { kind: 'forgotten', stream: frame.forgotten, lows: plainLows(frame.lows) }
        : plainFrame(frame, says.frame),
    );
  expect(take(turn.byEvents.length)).toEqual(plain(turn.byEvents));
  expect(sorted(take(turn.byTime.length))).toEqual(sorted(plain(turn.byTime)));
  expect(take(turn.wanted.length)).toEqual(
    turn.wanted.map((wanted) =>
      'covered' in wanted
        ? { kind: 'covered', stream: wanted.covered, seen: wanted.seen }
        : plainFrame(wanted, says.frame),
    ),
  );
  expect(sorted(take(turn.all.length))).toEqual(sorted(plain(turn.all)));
  const reports = [...turn.touched].map((source) => ({
    kind: 'source',
    source,
    read: says.model.sources.get(source)?.read ?? 0,
    lastOffset: `${says.model.sources.get(source)?.last ?? 0n}`,
    openLow: `${says.model.openLow(source)}`,
  }));
  expect(sorted(take(reports.length))).toEqual(sorted(reports));
  const answer = turn.answered === undefined ? [] : [{ kind: 'checkpointed', request: turn.answered }];
  expect(published.map(plainOf)).toEqual(answer);
}

/** Every low belongs to the frame, or the forgotten stream, right behind it. */
function joinLows(completions: readonly Completion[]): Published[] {
  const joined: Published[] = [];
  let lows = new Map<string, bigint>();
  let owner: string | undefined;
  for (const completion of completions) {
    if (completion.kind === 'low') {
      expect(owner ?? completion.stream).toBe(completion.stream);
      expect(lows.has(completion.source)).toBe(false);
      owner = completion.stream;
      lows.set(completion.source, completion.offset);
      continue;
    }
    const takesLows = completion.kind === 'stored' || completion.kind === 'forgotten';
    if (owner !== undefined) expect([takesLows, completion]).toMatchObject([true, { stream: owner }]);
    joined.push(takesLows ? { ...completion, lows } : completion);
    lows = new Map();
    owner = undefined;
  }
  expect(owner).toBeUndefined();
  return joined;
}

function plainOf(published: Published): unknown {
  if (published.kind === 'source') {
    return { ...published, lastOffset: `${published.lastOffset}`, openLow: `${published.openLow}` };
  }
  if (published.kind === 'forgotten')
    return { kind: 'forgotten', stream: published.stream, lows: plainLows(published.lows ?? new Map()) };
  if (published.kind !== 'stored') return published;
  const { kind, stream, sequence, seen, frame, lows = new Map<string, bigint>() } = published;
  return { kind, stream, sequence: `${sequence}`, seen, lows: plainLows(lows), frame: hex(frame) };
}

function plainFrame(frame: ModelFrame, encode: (frame: ModelFrame) => Uint8Array): unknown {
  const { stream, sequence, seen, lows } = frame;
  const bytes = hex(encode(frame));
  return { kind: 'stored', stream, sequence: `${sequence}`, seen, lows: plainLows(lows), frame: bytes };
}

function plainLows(lows: ReadonlyMap<string, bigint>): string[] {
  return [...lows].map(([source, offset]) => `${source}: ${offset}`).sort();
}

function sorted(values: readonly unknown[]): string[] {
  return values.map((value) => JSON.stringify(value)).sort();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
