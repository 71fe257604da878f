/**
 * Random pushes, checkpoints and forgettings over a few names, in lives that end in a crash: what the store has at that
 * moment is where the next life begins. At times the store is full, but for forgettings. Lost would be: a stream that was forgotten comes back, streams of the same name
 * mix, an event below the frontier is in no checkpoint and its stream not forgotten, a promise never settles.
 */
import { expect, test } from 'vitest';
import { type CheckpointEngine, type Event, TidemarkError, viewFrame } from '../../src/index.ts';
import { type Random, seeded } from '../support/random.ts';
import { openEngine } from './support/engine.ts';
import { LatchedStore, Shelf } from './support/latched-store.ts';
import { Model } from './support/model.ts';

const NAMES = ['a', 'b', 'bag c', 'd', 'e'];
const FULL = new TidemarkError('ERR_TIDEMARK_STORE_FULL', 'there is no room', { retryable: true });
const LIVES = 12;
const STEPS = 150;

/** One of the streams that had a name, one after the other. */
class Stream {
  readonly name: string;
  /** Among all streams of the test, in the order in which they began. */
  readonly number: number;
  readonly bringsSequences: boolean;
  events: Event[] = [];
  model = new Model();
  isForgotten = false;

  constructor(name: string, number: number, bringsSequences: boolean) {
    this.name = name;
    this.number = number;
    this.bringsSequences = bringsSequences;
  }

  push(event: Event): void {
    this.events.push(event);
    this.model.apply(event);
  }

  /** As after its first `count` events. */
  goBack(count: number): void {
    const events = this.events.slice(0, count);
    this.events = [];
    this.model = new Model();
    for (const event of events) this.push(event);
    this.isForgotten = false;
  }

  get body(): string {
    return bodyOf(this.model.state(this.name));
  }
}

interface Place {
  readonly stream: Stream;
  /** Events of the stream so far. */
  readonly count: number;
}

function bodyOf(state: { serialize(): Uint8Array }): string {
  return Buffer.from(state.serialize()).toString('hex');
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

class World {
  readonly #random: Random;
  /** The stream that each name means now. */
  readonly #streams = new Map<string, Stream>();
  /** Every state that a checkpoint may have. */
  readonly #places = new Map<string, Place>();
  /** By name: the greatest number of a stream whose forgetting was promised. */
  #promised = new Map<string, number>();
  /** Of this life. */
  #pushed: (Place & { readonly offset: number })[] = [];
  #source = '';
  #streamsBegun = 0;
  #eventsBegun = 0;
  #pending: Promise<unknown>[] = [];
  forgotten = 0;
  broughtBack = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Runs one life on what the shelf holds; what it holds at the crash. */
  async live(shelf: Shelf, life: number): Promise<Shelf> {
    const random = this.#random;
    const store = new LatchedStore(shelf);
    this.#settleLater(store);
    const engine = await openEngine({
      store,
      checkpoint: { everyEvents: random.between(1, 6) },
      memory: { bytes: 2 ** 22, ringBytes: 2 ** 12 },
    });
    this.#source = `source ${life}`;
    this.#pushed = [];
    this.#pending = [];
    const steps = random.below(STEPS);
    for (let step = 0; step < steps; step++) {
      if (random.chance(0.05)) store.refusal = random.chance(0.5) ? FULL : undefined;
      this.#step(engine);
      if (random.chance(0.3)) await turns(random.below(4));
    }
    const crashed = store.shelf.copy();
    this.#expectSafe(crashed);
    store.refusal = undefined;
    const promised = new Map(this.#promised);
    await this.#end(engine, store);
    // The crash was before that.
    this.#promised = promised;
    this.#goBackTo(crashed);
    return crashed;
  }

  #settleLater(store: LatchedStore): void {
    store.isHolding = true;
    store.isHoldingForgets = true;
    store.canForget = true;
    const pump = async (next: () => Promise<{ settle(): void }>): Promise<void> => {
      for (;;) {
        const held = await next();
        void turns(this.#random.below(6)).then(() => held.settle());
      }
    };
    void pump(() => store.held());
    void pump(() => store.heldForget());
  }

  #step(engine: CheckpointEngine): void {
    const random = this.#random;
    const name = random.pick(NAMES);
    const known = this.#streams.get(name);
    const drawn = random.below(20);
    if (drawn < 3 && known !== undefined) this.#forget(engine, known);
    else if (drawn < 5 && known !== undefined) this.#pending.push(engine.checkpoint(name));
    else if (drawn < 6) this.#pending.push(engine.checkpoint());
    else this.#push(engine);
  }

  #push(engine: CheckpointEngine): void {
    const events = Array.from({ length: this.#random.between(1, 12) }, () => this.#event());
    this.#pending.push(engine.push(events, this.#random.chance(0.2) ? { until: 'durable' } : {}));
  }

  #event(): Event {
    const random = this.#random;
    const name = random.pick(NAMES);
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = new Stream(name, ++this.#streamsBegun, random.chance(0.5));
      this.#streams.set(name, stream);
    }
    const offset = this.#pushed.length;
    const payload = `event ${++this.#eventsBegun}`.padEnd(random.below(60), '.');
    const sequence = stream.bringsSequences ? { sequence: 3 * stream.events.length } : {};
    const event = { stream: name, payload, source: this.#source, offset, ...sequence };
    stream.push(event);
    const place = { stream, count: stream.events.length };
    this.#places.set(stream.body, place);
    this.#pushed.push({ ...place, offset });
    return event;
  }

  #forget(engine: CheckpointEngine, stream: Stream): void {
    const { name, number } = stream;
    stream.isForgotten = true;
    this.#streams.delete(name);
    this.forgotten++;
    const forget = engine.forget(name).then(() => {
      this.#promised.set(name, Math.max(number, this.#promised.get(name) ?? 0));
    });
    this.#pending.push(forget);
  }

  /** What the store has of a name is one state of one stream. */
  #placeOf(shelf: Shelf, name: string): Place | undefined {
    const newest = shelf.streams.get(name)?.at(-1);
    if (newest === undefined) return undefined;
    const place = this.#places.get(bodyOf(viewFrame(newest.bytes).toState()));
    expect(place, `a state that no stream '${name}' was ever in`).toBeDefined();
    return place;
  }

  #expectSafe(shelf: Shelf): void {
    const places = new Map(NAMES.map((name) => [name, this.#placeOf(shelf, name)]));
    for (const [name, number] of this.#promised) {
      const place = places.get(name);
      if (place !== undefined) expect(place.stream.number).toBeGreaterThan(number);
    }
    const frontier = shelf.frontiers.get(this.#source) ?? 0n;
    for (const { stream, count, offset } of this.#pushed) {
      if (BigInt(offset) >= frontier) break;
      const place = places.get(stream.name);
      const isCovered =
        place === undefined
          ? stream.isForgotten
          : place.stream.number > stream.number || (place.stream === stream && place.count >= count);
      expect([stream.name, offset, isCovered]).toEqual([stream.name, offset, true]);
    }
  }

  /** An orderly end: everything settles, and what is left are the last states of the streams that are. */
  async #end(engine: CheckpointEngine, store: LatchedStore): Promise<void> {
    await Promise.all([...this.#pending, engine.close()]);
    expect([...store.shelf.streams.keys()].sort()).toEqual([...this.#streams.keys()].sort());
    for (const [name, stream] of this.#streams)
      expect(this.#placeOf(store.shelf, name)).toEqual({ stream, count: stream.events.length });
    expect(store.shelf.frontiers.get(this.#source) ?? 0n).toBe(BigInt(this.#pushed.length));
    this.#expectSafe(store.shelf);
  }

  #goBackTo(shelf: Shelf): void {
    for (const name of NAMES) {
      const place = this.#placeOf(shelf, name);
      this.#streams.delete(name);
      if (place === undefined) continue;
      if (place.stream.isForgotten) this.broughtBack++;
      place.stream.goBack(place.count);
      this.#streams.set(name, place.stream);
    }
  }
}

test(
  'what a crash leaves is some state of the newest stream of each name that was not promised to be forgotten',
  seeded(async (random) => {
    const world = new World(random);
    let shelf = new Shelf();
    for (let life = 0; life < LIVES; life++) shelf = await world.live(shelf, life);
    console.log(`${world.forgotten} forgotten, of these ${world.broughtBack} brought back by a crash`);
    expect(world.forgotten).toBeGreaterThan(LIVES);
  }),
  60_000,
);
