import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { encodeFrame } from '../../src/codec/frame.ts';
import { viewFrame } from '../../src/codec/view.ts';
import { anyState, shared } from './arbitrary-state.ts';

function sample(): CheckpointState {
  const state = new CheckpointState(new CheckpointId('harbour', 258, new Date(1_700_000_000_123)));
  state.setOperatorState('tides', Uint8Array.of(1, 2, 3));
  state.setOperatorState('ships', Uint8Array.of(4));
  state.operatorVersions.set('tides', 7);
  state.setSourceOffset('ais', 5);
  return state;
}

describe('CheckpointView', () => {
  test('shows everything that is in the frame', () => {
    fc.assert(
      fc.property(anyState, fc.bigInt(0n, 2n ** 64n - 1n), (state, generation) => {
        const frame = shared(encodeFrame(state, { generation }));
        const view = viewFrame(frame);
        expect(view.streamId).toBe(state.id.streamId);
        expect(view.sequence).toBe(state.id.sequence);
        expect(view.createdAt).toEqual(state.id.createdAt);
        expect(view.generation).toBe(generation);
        expect(view.watermarkNs).toBe(state.watermarkNs);
        expect(view.eventCount).toBe(state.eventCount);
        expect(view.byteLength).toBe(frame.length);
        expect(view.bodyBytes().slice()).toEqual(state.serialize());
        expect(new Map(view.sources())).toEqual(state.sourceOffsets);
        expect(view.metadata()).toEqual(state.metadata);
        expect(view.toState()).toEqual(state);
        for (const [name, bytes] of state.operatorStates) {
          expect(view.operator(name)?.slice()).toEqual(bytes);
          expect(view.operatorVersion(name)).toBe(state.operatorVersions.get(name));
        }
        for (const [name, offset] of state.sourceOffsets) expect(view.sourceOffset(name)).toBe(offset);
      }),
    );
  });

  test('lists operators and sources ascending by name', () => {
    const view = viewFrame(encodeFrame(sample()));
    expect([...view.operators()]).toEqual([
      ['ships', Uint8Array.of(4)],
      ['tides', Uint8Array.of(1, 2, 3)],
    ]);
    expect([...view.sources()]).toEqual([['ais', 5n]]);
  });

  test('says undefined for names that are not there', () => {
    const view = viewFrame(encodeFrame(sample()));
    for (const name of ['', 'ship', 'shipss', 'zz', '\u{1f600}']) {
      expect(view.operator(name)).toBeUndefined();
      expect(view.operatorVersion(name)).toBeUndefined();
      expect(view.sourceOffset(name)).toBeUndefined();
    }
  });

  test('refuses names that are not well-formed where there is something to look for', () => {
    const view = viewFrame(encodeFrame(sample()));
    for (const name of ['\ud800', 7 as unknown as string]) {
      for (const ask of [
        () => view.operator(name),
        () => view.operatorVersion(name),
        () => view.sourceOffset(name),
      ])
        expect(ask).toThrow(expect.objectContaining({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' }));
    }
  });

  test('does not copy operators, and a state made from it does', () => {
    const frame = encodeFrame(sample());
    const view = viewFrame(frame);
    const state = view.toState();
    const operator = view.operator('tides') as Uint8Array;
    expect(operator.buffer).toBe(frame.buffer);
    operator[0] = 99;
    expect(view.operator('tides')?.[0]).toBe(99);
    expect(state.operatorStates.get('tides')).toEqual(Uint8Array.of(1, 2, 3));
  });

  test('refuses bytes that are not an undamaged frame', () => {
    const frame = encodeFrame(sample());
    frame[40] = (frame[40] as number) ^ 1;
    expect(() => viewFrame(frame)).toThrow(expect.objectContaining({ code: 'ERR_TIDEMARK_DAMAGED_FRAME' }));
    expect(() => viewFrame(sample().serialize())).toThrow(
      expect.objectContaining({ code: 'ERR_TIDEMARK_DAMAGED_FRAME' }),
    );
  });

  test('notices names that were overwritten after it was made', () => {
    const frame = encodeFrame(sample());
    const view = viewFrame(frame);
    frame.fill(0xff, 32, 37);
    expect(() => [...view.operators()]).toThrow(
      expect.objectContaining({ code: 'ERR_TIDEMARK_DAMAGED_FRAME' }),
    );
  });
});
