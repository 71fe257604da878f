import { describe, expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { decodeFrame, encodeFrame, FRAME_FOOTER_BYTES } from '../../src/codec/frame.ts';
import { viewFrame } from '../../src/codec/view.ts';
import { xxh64 } from '../../src/codec/xxh64.ts';
import { KERNEL_CODE, KERNEL_SOURCE_HASH } from '../../src/kernel/build/kernel-code.ts';
import { kernelSourceHash } from '../../src/kernel/build-kernel.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { type Random, seeded } from '../support/random.ts';

const memory = EngineMemory.reserve(1 << 20);
const { kernel } = memory;
const OUT = 8;

function checksum(start: number, length: number): bigint {
  kernel.checksum(OUT, start, length);
  return memory.view.getBigUint64(OUT, true);
}

describe('the kernel', () => {
  test('is built from the sources that are here', () => {
    expect(KERNEL_SOURCE_HASH, 'run `npm run kernel`').toBe(kernelSourceHash());
  });

  test('has no data, no table and no mutable state of its own', () => {
    const sections = sectionIds(Buffer.from(KERNEL_CODE, 'base64'));
    expect(sections).not.toContain(SECTION.data);
    expect(sections).not.toContain(SECTION.table);
    expect(sections).not.toContain(SECTION.start);
    expect(mutableGlobals(Buffer.from(KERNEL_CODE, 'base64'))).toBe(0);
  });

  test(
    'has the checksum of the codec, for every length up to 300 at every alignment',
    seeded((random) => {
      for (let at = 1024; at < 2048; at++) memory.u8[at] = random.between(0, 255);
      for (let length = 0; length <= 300; length++) {
        const start = 1024 + (length % 16);
        expect(checksum(start, length)).toBe(xxh64(memory.u8, start, start + length));
      }
    }),
  );

  test('copies overlapping ranges as if through a third place', () => {
    for (let at = 0; at < 64; at++) memory.u8[4096 + at] = at;
    kernel.copy(4096 + 8, 4096, 32);
    expect([...memory.u8.subarray(4104, 4136)]).toEqual(Array.from({ length: 32 }, (_, at) => at));
  });

  test(
    'makes of an image the very frame that the codec makes of the state',
    seeded((random) => {
      for (let round = 0; round < 200; round++) {
        const state = randomState(random);
        const expected = encodeFrame(state, { generation: 7 });
        const body = viewFrame(expected).bodyBytes().length;
        const extension = expected.length - body - FRAME_FOOTER_BYTES;
        const image = 8192 + 16 * random.between(0, 4);
        const frame = 65_536 + random.between(0, 16);
        memory.u8.set(expected.subarray(0, body + extension), image);
        memory.view.setBigUint64(image + body, 0n, true);
        kernel.encode(frame, image, body, extension, state.id.createdAt.getTime());
        expect(Buffer.from(memory.u8.slice(frame, frame + expected.length)).equals(expected)).toBe(true);
        expect(decodeFrame(memory.u8.slice(frame, frame + expected.length))).toEqual(decodeFrame(expected));
      }
    }),
  );

  test('traps instead of leaving the memory', () => {
    const end = memory.u8.length;
    expect(() => kernel.copy(end - 8, 4096, 16)).toThrow(/out of bounds/);
    expect(() => kernel.checksum(OUT, end - 8, 64)).toThrow(/out of bounds/);
  });
});

function randomState(random: Random): CheckpointState {
  const createdAt = new Date(random.between(0, 2 ** 31) * 1_000 + random.between(0, 999));
  const state = new CheckpointState(
    new CheckpointId(`stream-${random.between(0, 99)}`, random.between(0, 2 ** 31), createdAt),
  );
  for (let at = random.between(0, 4); at > 0; at--) {
    const bytes = Uint8Array.from({ length: random.between(0, 200) }, () => random.between(0, 255));
    state.setOperatorState(`operator-${at}`, bytes);
  }
  for (let at = random.between(0, 3); at > 0; at--)
    state.setSourceOffset(`source-${at}`, random.between(0, 2 ** 31));
  return state;
}

const SECTION = { table: 4, global: 6, start: 8, data: 11 } as const;

function* sections(code: Uint8Array): Generator<{ id: number; body: Uint8Array }> {
  let at = 8;
  while (at < code.length) {
    const id = code[at] as number;
    const [size, start] = varint(code, at + 1);
    yield { id, body: code.subarray(start, start + size) };
    at = start + size;
  }
}

function sectionIds(code: Uint8Array): number[] {
  return [...sections(code)].map(({ id }) => id);
}

function mutableGlobals(code: Uint8Array): number {
  const section = [...sections(code)].find(({ id }) => id === SECTION.global);
  return section === undefined ? 0 : varint(section.body, 0)[0];
}

function varint(bytes: Uint8Array, start: number): [value: number, next: number] {
  let value = 0;
  let at = start;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] as number;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return [value, at];
  }
}
