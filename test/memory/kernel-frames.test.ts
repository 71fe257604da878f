import { expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { encodeFrame } from '../../src/codec/frame.ts';
import type { CheckpointView } from '../../src/codec/view.ts';
import { TidemarkError } from '../../src/error.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { viewFrameAt } from '../../src/memory/frame-view.ts';
import { MAIN_BLOCK_BYTES, NAMES_BYTES } from '../../src/memory/layout.ts';
import { seeded } from '../support/random.ts';

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
  const before = memory.u8.slice(0, MAIN_BLOCK_BYTES - NAMES_BYTES);
  const view = viewOfNames(['a']);
  const frame = memory.u8.slice(MAIN_BLOCK_BYTES);
  for (const bytes of [NAMES_BYTES - 16, 1, NAMES_BYTES - 17, 1, 1]) {
    expect(view.operator('é'.repeat(bytes >> 1).padEnd(bytes - (bytes >> 1), '!'))).toBeUndefined();
  }
  expectFound(view, 'a', 0);
  expect(memory.u8.slice(0, MAIN_BLOCK_BYTES - NAMES_BYTES)).toEqual(before);
  expect(memory.u8.slice(MAIN_BLOCK_BYTES)).toEqual(frame);
});

test('a name with an unpaired surrogate is refused', () => {
  const view = viewOfNames(['a']);
  for (const ask of [() => view.operator('\ud800'), () => view.sourceOffset('\ud800')])
    expect(ask).toThrow(TidemarkError);
});
