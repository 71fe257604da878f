import { expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { encodeFrame } from '../../src/codec/frame.ts';
import { type CheckpointView, viewFrame } from '../../src/codec/view.ts';
import { TidemarkError } from '../../src/error.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { viewFrameAt } from '../../src/memory/frame-view.ts';
import { MAIN_BLOCK_BYTES, NAMES_AT, NAMES_BYTES } from '../../src/memory/layout.ts';
import { type Random, seeded } from '../support/random.ts';

/** Where in a known layout its number is. */
const LAYOUT_NUMBER = 4;

const memory = EngineMemory.reserve(2 ** 20);

/** State i of every view is the four bytes of i, offset i is i. */
function viewOfNames(names: readonly string[]): CheckpointView {
  const state = new CheckpointState(new CheckpointId('s', 1));
  for (const [i, name] of names.entries()) {
    state.setOperatorState(name, new Uint8Array(Uint32Array.of(i).buffer));
    state.setSourceOffset(name, i);
  }
  const frame = encodeFrame(state);
  memory.u8.set(frame, MAIN_BLOCK_BYTES);
  return viewFrameAt(memory, MAIN_BLOCK_BYTES, frame.length);
}

function expectFound(view: CheckpointView, name: string, i: number): void {
  expect(view.operator(name), name).toEqual(new Uint8Array(Uint32Array.of(i).buffer));
  expect(view.sourceOffset(name), name).toBe(BigInt(i));
  expect(view.operatorVersion(name), name).toBe(0);
}

test('names of every length are found, and those that only begin or end alike are not', () => {
  const names = Array.from({ length: 70 }, (_, length) => 'abcdefghij'.repeat(7).slice(0, length));
  const others = names.slice(1).flatMap((name) => [`${name.slice(0, -1)}X`, `X${name.slice(1)}`]);
  const view = viewOfNames(names);
  for (const [i, name] of names.entries()) expectFound(view, name, i);
  for (const name of others) {
    expect(view.operator(name), name).toBeUndefined();
    expect(view.sourceOffset(name), name).toBeUndefined();
    expect(view.operatorVersion(name), name).toBeUndefined();
  }
});

test(
  'names are found in whatever order they are asked for, more of them than there is room for',
  seeded((random) => {
    const names = Array.from({ length: 1_000 }, (_, i) => `${'é😀'.repeat(random.below(20))}-${i}`);
    const view = viewOfNames(names);
    expect(names.reduce((bytes, name) => bytes + Buffer.byteLength(name), 0)).toBeGreaterThan(NAMES_BYTES);
    for (let round = 0; round < 5_000; round++) {
      const i = random.below(names.length);
      expectFound(view, names[i] as string, i);
    }
  }),
);

test('a name is found that is longer than all the room for names', () => {
  const long = 'x'.repeat(NAMES_BYTES + 1);
  const view = viewOfNames(['a', long, 'z']);
  for (let round = 0; round < 2; round++) {
    expectFound(view, 'a', 0);
    expectFound(view, long, 1);
    expectFound(view, 'z', 2);
  }
});

test('names fill the room to its last byte and not beyond', () => {
  const view = viewOfNames(['a']);
  const before = memory.u8.slice(0, NAMES_AT);
  const after = memory.u8.slice(NAMES_AT + NAMES_BYTES);
  for (const bytes of [NAMES_BYTES - 16, 1, NAMES_BYTES - 17, 1, 1]) {
    expect(view.operator('é'.repeat(bytes >> 1).padEnd(bytes - (bytes >> 1), '!'))).toBeUndefined();
  }
  expectFound(view, 'a', 0);
  expect(memory.u8.slice(0, NAMES_AT)).toEqual(before);
  expect(memory.u8.slice(NAMES_AT + NAMES_BYTES)).toEqual(after);
});

test('a name with an unpaired surrogate is refused', () => {
  const view = viewOfNames(['a']);
  for (const ask of [() => view.operator('\ud800'), () => view.sourceOffset('\ud800')])
    expect(ask).toThrow(TidemarkError);
});

/** Of few names of like lengths, and states of few lengths: many frames are as long as others, few are laid out alike. */
function randomFrame(random: Random): Uint8Array {
  const state = new CheckpointState(new CheckpointId('s', random.below(100)));
  const names = ['aa', 'ab', 'ba', 'bb', 'é', 'a', 'long name of an operator'];
  for (let i = random.below(4); i > 0; i--)
    state.setOperatorState(random.pick(names), random.bytes(random.pick([2, 4, 6])));
  for (let i = random.below(3); i > 0; i--) state.setSourceOffset(random.pick(names), random.u64());
  return encodeFrame(state);
}

test(
  'what is found does not depend on the layouts of the frames before',
  seeded((random) => {
    const names = ['aa', 'ab', 'ba', 'bb', 'é', 'a', 'long name of an operator', 'none'];
    let frame = randomFrame(random);
    let known = 0;
    for (let round = 0; round < 20_000; round++) {
      if (random.chance(0.4)) frame = randomFrame(random);
      // Away from the end of the memory, and not always in one place.
      const address = MAIN_BLOCK_BYTES + random.below(64);
      memory.u8.set(frame, address);
      const view = viewFrameAt(memory, address, frame.length);
      if (memory.frames.checkedLayout !== 0) known++;
      const own = viewFrame(frame);
      for (let i = 0; i < 3; i++) {
        const name = random.pick(names);
        expect(view.operator(name), name).toEqual(own.operator(name));
        expect(view.sourceOffset(name), name).toBe(own.sourceOffset(name));
        expect(view.operatorVersion(name), name).toBe(own.operatorVersion(name));
      }
    }
    // Both kinds come up.
    expect(known).toBeGreaterThan(2_000);
    expect(known).toBeLessThan(18_000);
  }),
);

test('a view goes on finding its entries when frames of other layouts have been looked at since', () => {
  const first = encodeFrame(stateOf({ a: 1, b: 2 }));
  const second = encodeFrame(stateOf({ b: 1, c: 2 }));
  const [one, other] = [MAIN_BLOCK_BYTES, MAIN_BLOCK_BYTES + 4_096];
  memory.u8.set(first, one);
  memory.u8.set(second, other);
  const views = Array.from({ length: 6 }, (_, i) =>
    i % 4 < 2 ? viewFrameAt(memory, one, first.length) : viewFrameAt(memory, other, second.length),
  );
  for (const [i, view] of views.entries()) {
    expect(view.operator('b')?.[0]).toBe(i % 4 < 2 ? 2 : 1);
    expect(view.operator('a')?.[0]).toBe(i % 4 < 2 ? 1 : undefined);
    expect(view.sourceOffset('c')).toBe(i % 4 < 2 ? undefined : 2n);
  }
});

test('no two layouts have the same number, however many there were', () => {
  const first = encodeFrame(stateOf({ a: 1, b: 2 }));
  const second = encodeFrame(stateOf({ b: 1, c: 2, d: 3 }));
  const third = encodeFrame(stateOf({ aaaa: 1, b: 3 }));
  const fresh = EngineMemory.reserve(2 ** 20);
  // The second time its layout is kept, the third time it is recognised.
  const look = (frame: Uint8Array): CheckpointView => {
    fresh.u8.set(frame, MAIN_BLOCK_BYTES);
    for (let i = 0; i < 2; i++) viewFrameAt(fresh, MAIN_BLOCK_BYTES, frame.length);
    return viewFrameAt(fresh, MAIN_BLOCK_BYTES, frame.length);
  };
  expect(look(first).operator('b')?.[0]).toBe(2);
  expect(fresh.frames.checkedLayout).toBe(1);
  // As if there had been so many layouts in between.
  fresh.u32[(fresh.frames.knownLayout + LAYOUT_NUMBER) >>> 2] = 2 ** 32 - 2;
  expect(look(second).operator('c')?.[0]).toBe(2);
  expect(fresh.frames.checkedLayout).toBe(2 ** 32 - 1);
  for (const frame of [first, third, first, third]) {
    expect(look(frame).operator('b')?.[0]).toBe(frame === first ? 2 : 3);
    expect(fresh.frames.checkedLayout).toBe(0);
  }
  // The last one that was kept goes on being recognised.
  expect(look(second).operator('b')?.[0]).toBe(1);
  expect(fresh.frames.checkedLayout).toBe(2 ** 32 - 1);
});

function stateOf(values: Readonly<Record<string, number>>): CheckpointState {
  const state = new CheckpointState(new CheckpointId('s', 1));
  for (const [name, value] of Object.entries(values)) {
    state.setOperatorState(name, Uint8Array.of(value));
    state.setSourceOffset(name, value);
  }
  return state;
}
