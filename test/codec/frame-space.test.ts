import { expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { encodeFrame } from '../../src/codec/frame.ts';
import { keyOf } from '../../src/codec/frame-space.ts';
import { viewFrame } from '../../src/codec/view.ts';

const LONGEST_KEPT = 'é'.repeat(128);

test('the UTF-8 of a name is kept, but not that of a long one', () => {
  expect(keyOf(LONGEST_KEPT)).toBe(keyOf(LONGEST_KEPT));
  expect(keyOf(LONGEST_KEPT)).toEqual(new TextEncoder().encode(LONGEST_KEPT));
  const long = `${LONGEST_KEPT}!`;
  expect(keyOf(long)).not.toBe(keyOf(long));
  expect(keyOf(long)).toEqual(new TextEncoder().encode(long));
});

test('the UTF-8 of no more than 4,096 names is kept', () => {
  const first = keyOf('name 0');
  for (let i = 1; i <= 4_096; i++) keyOf(`name ${i}`);
  expect(keyOf('name 0')).not.toBe(first);
  expect(keyOf('name 0')).toEqual(first);
});

test('a long name is found as often as it is asked for', () => {
  const state = new CheckpointState(new CheckpointId('s', 1));
  const names = [LONGEST_KEPT, `${LONGEST_KEPT}!`, `${LONGEST_KEPT}?`];
  for (const [i, name] of names.entries()) {
    state.setOperatorState(name, Uint8Array.of(i));
    state.setSourceOffset(name, i);
  }
  const view = viewFrame(encodeFrame(state));
  for (const [i, name] of [...names, ...names].entries()) {
    expect(view.operator(name)).toEqual(Uint8Array.of(i % 3));
    expect(view.sourceOffset(name)).toBe(BigInt(i % 3));
  }
});
