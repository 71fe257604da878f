/** Copies of frames to where the engine wants them. */
import { expect, test } from 'vitest';
import { FrameCopies, TargetMemory } from '../../src/store/log/frame-copies.ts';

const PAGE_BYTES = 65_536;

test('reach the end of the largest memory', () => {
  // Reserved, and given by the system where it is written to.
  const pages = 2 ** 32 / PAGE_BYTES;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const target = new TargetMemory(memory);
  const bytes = Uint8Array.from({ length: 200 }, (_, at) => at + 1);
  for (const address of [PAGE_BYTES, 2 ** 32 - PAGE_BYTES]) {
    new FrameCopies({ memory: target, addresses: Float64Array.of(address) }, 0, bytes).copy(4, 101);
    expect(target.u8.slice(address, address + 102)).toEqual(Uint8Array.of(...bytes.subarray(4, 105), 0));
  }
});
