/** The stores of one test, and the checkpoints that it saves. */
import { strict as assert } from 'node:assert';
import { CheckpointId } from '../checkpoint/id.ts';
import { CheckpointState } from '../checkpoint/state.ts';
import { decodeFrame, encodeFrame } from '../codec/frame.ts';
import { TidemarkError } from '../error.ts';
import type { CheckpointStore, FrameRef, RestorableCheckpoint, StoreContents } from '../store/contract.ts';
import type { StoreFactory, StorePlace } from './factory.ts';

const OPERATOR = 'state';
const NO_FRONTIERS: ReadonlyMap<string, bigint> = new Map();

export interface SaveOptions {
  readonly frontiers?: ReadonlyMap<string, bigint>;
  readonly generation?: bigint;
}

/** A store that is open, with what a test does to it in a line. */
export class OpenStore {
  readonly store: CheckpointStore;
  readonly contents: StoreContents;

  constructor(store: CheckpointStore, contents: StoreContents) {
    this.store = store;
    this.contents = contents;
  }

  save(frames: readonly FrameRef[], options: SaveOptions = {}): Promise<void> {
    const { frontiers = NO_FRONTIERS, generation = this.contents.generation } = options;
    return this.store.commit({ frames, frontiers, generation });
  }

  async checkpoints(): Promise<Map<string, RestorableCheckpoint>> {
    const found = new Map<string, RestorableCheckpoint>();
    for await (const checkpoint of this.contents.checkpoints) found.set(checkpoint.stream, checkpoint);
    return found;
  }

  async sequences(stream: string): Promise<bigint[]> {
    return (await this.store.list(stream)).map(({ sequence }) => sequence);
  }

  async streams(): Promise<string[]> {
    const names: string[] = [];
    for await (const name of this.store.streams()) names.push(name);
    return names.sort();
  }

  /** That the store has the checkpoint, with the state that `frameOf` gave it. */
  async has(expected: FrameRef, sequence?: bigint): Promise<void> {
    const { stream } = expected;
    const view = await this.store.read(stream, sequence);
    assert(view !== undefined, `the checkpoint of ${JSON.stringify(stream)} is not there`);
    expectSame(view.toState(), expected);
  }

  async lacks(stream: string, sequence?: bigint): Promise<void> {
    assert.equal(await this.store.read(stream, sequence), undefined);
  }
}

/** That the frame in `bytes` is of the same checkpoint as `expected`, with the same state. */
export function expectState(bytes: Uint8Array, expected: FrameRef): void {
  expectSame(decodeFrame(bytes), expected);
}

function expectSame({ id, operatorStates }: CheckpointState, expected: FrameRef): void {
  assert.equal(id.streamId, expected.stream);
  assert.equal(id.sequence, expected.sequence);
  const state = decodeFrame(expected.bytes).operatorStates.get(OPERATOR);
  assert.deepEqual(Uint8Array.from(operatorStates.get(OPERATOR) ?? []), Uint8Array.from(state ?? []));
}

export class Session {
  readonly factory: StoreFactory;
  readonly place: StorePlace;

  constructor(factory: StoreFactory, place: StorePlace) {
    this.factory = factory;
    this.place = place;
  }

  async open(): Promise<OpenStore> {
    const store = await this.place.store();
    return new OpenStore(store, await store.open());
  }

  /** Closes the store, and opens the place again. */
  async reopen(open: OpenStore): Promise<OpenStore> {
    await open.store.close();
    return this.open();
  }
}

export interface FrameShape {
  readonly bytes?: number;
  /** Makes checkpoints of one stream and sequence differ. */
  readonly salt?: number;
}

/** A checkpoint of `stream` at `sequence`; its state follows from both. */
export function frameOf(stream: string, sequence: bigint | number, shape: FrameShape = {}): FrameRef {
  const { bytes = 100, salt = 0 } = shape;
  const state = new CheckpointState(new CheckpointId(stream, sequence));
  const seed = Number(BigInt(sequence) % 251n) + 7 * stream.length + salt;
  state.setOperatorState(
    OPERATOR,
    Uint8Array.from({ length: bytes }, (_, i) => (seed + 31 * i) & 0xff),
  );
  return { stream, sequence: state.id.sequence, bytes: encodeFrame(state) };
}

/** That `work` is refused with an error of tidemark's, with one of `codes` if there are any. */
export async function refused(work: Promise<unknown>, ...codes: readonly string[]): Promise<TidemarkError> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof TidemarkError, `it is refused with ${String(error)}, which is no TidemarkError`);
    if (codes.length > 0) assert(codes.includes(error.code), `it is refused with ${error.code}`);
    return error;
  }
  throw new assert.AssertionError({
    message: `it is not refused${codes.length > 0 ? ` with ${codes}` : ''}`,
  });
}
