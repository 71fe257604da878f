import { expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { encodeFrame } from '../../src/codec/frame.ts';
import { framePartsOf } from '../../src/codec/frame-parts.ts';
import { OwnBytes } from '../../src/codec/frame-space.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { type Random, seeded } from '../support/random.ts';

const memory = EngineMemory.reserve(1 << 17);
const { frames } = memory;

/** Like beginnings, like ends, lengths around that of a vector. */
const NAMES = ['', 'a', 'b', 'ab', 'operator-1', 'operator-2', 'é', '窗口', '😀'].concat(
  [15, 16, 17, 31, 32, 33, 48].flatMap((length) => [
    'x'.repeat(length),
    `${'x'.repeat(length - 1)}y`,
    `y${'x'.repeat(length - 1)}`,
  ]),
);

function randomBody(random: Random): { bytes: Uint8Array; sourcesAt: number } {
  const state = new CheckpointState(new CheckpointId('s', 1));
  for (let i = random.below(12); i > 0; i--)
    state.setOperatorState(random.pick(NAMES), random.bytes(random.below(40)));
  for (let i = random.below(12); i > 0; i--) state.setSourceOffset(random.pick(NAMES), random.u64());
  const frame = encodeFrame(state);
  const { sourcesAt, bodyEnd } = framePartsOf(frame);
  return { bytes: frame.slice(0, bodyEnd), sourcesAt };
}

/** Bodies lie at the very end of the memory: a read behind them traps. */
function place(body: Uint8Array): number {
  const address = memory.u8.length - body.length;
  memory.u8.set(body, address);
  return address;
}

test(
  'the kernel finds the entries that the codec finds',
  seeded((random) => {
    for (let round = 0; round < 5_000; round++) {
      const { bytes, sourcesAt } = randomBody(random);
      const start = place(bytes);
      const own = new OwnBytes(bytes);
      for (const name of NAMES) {
        const state = own.findState(0, bytes.length, name);
        const offset = own.findOffset(sourcesAt, bytes.length, name);
        expect(frames.findState(start, start + bytes.length, name, 0)).toBe(state === 0 ? 0 : start + state);
        expect(frames.findOffset(start + sourcesAt, start + bytes.length, name, 0)).toBe(
          offset === 0 ? 0 : start + offset,
        );
      }
    }
  }),
);

test(
  'in bytes that have changed since they were checked the kernel reads nothing outside of the body',
  seeded((random) => {
    let found = 0;
    for (let round = 0; round < 50_000; round++) {
      const { bytes, sourcesAt } = randomBody(random);
      const view = new DataView(bytes.buffer);
      for (let i = random.between(1, 6); i > 0; i--) {
        const at = random.below(bytes.length - 3);
        if (random.chance(0.3)) bytes[at] = random.below(256);
        else
          view.setUint32(at, random.pick([0, 1, 16, 2 ** 32 - 1, 2 ** 31, 2 ** 32 - 16, bytes.length]), true);
      }
      const start = place(bytes);
      const end = start + bytes.length;
      const name = random.pick(NAMES);
      const state = frames.findState(start, end, name, 0);
      const offset = frames.findOffset(start + sourcesAt, end, name, 0);
      if (state !== 0) {
        found++;
        expect(state).toBeGreaterThan(start);
        expect(state + 4 + memory.view.getUint32(state, true)).toBeLessThanOrEqual(end);
      }
      if (offset !== 0) {
        expect(offset).toBeGreaterThan(start);
        expect(offset + 8).toBeLessThanOrEqual(end);
      }
    }
    expect(found).toBeGreaterThan(100);
  }),
);
