import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { indexBody } from '../../src/codec/body.ts';
import { decodeFrame, encodeFrame, FRAME_FOOTER_BYTES, writeFooter } from '../../src/codec/frame.ts';
import { type FrameParts, framePartsOf } from '../../src/codec/frame-parts.ts';
import { TidemarkError } from '../../src/error.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { viewFrameAt } from '../../src/memory/frame-view.ts';
import { type Random, seeded } from '../support/random.ts';

/** About ten seconds; `TIDEMARK_FUZZ_ROUNDS` asks for more. */
const FUZZ_ROUNDS = Number(process.env['TIDEMARK_FUZZ_ROUNDS'] ?? 500_000);

const memory = EngineMemory.reserve(1 << 17);
const { frames, kernel } = memory;

/** Frames lie at the very end of the memory: a read behind them traps. */
function place(bytes: Uint8Array): number {
  const address = memory.u8.length - bytes.length;
  memory.u8.set(bytes, address);
  return address;
}

function kernelParts(bytes: Uint8Array): FrameParts | undefined {
  const sourcesAt = kernel.verify(place(bytes), bytes.length, frames.knownLayout);
  if (sourcesAt === 0) return undefined;
  const footer = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - FRAME_FOOTER_BYTES);
  return { sourcesAt, bodyEnd: footer.getUint32(0, true) };
}

function codecParts(bytes: Uint8Array): FrameParts | undefined {
  try {
    return framePartsOf(bytes);
  } catch (error) {
    if (error instanceof TidemarkError) return undefined;
    throw error;
  }
}

function isCanonical(body: Uint8Array): boolean {
  try {
    indexBody(body);
    return true;
  } catch (error) {
    if (error instanceof TidemarkError) return false;
    throw error;
  }
}

const NAMES = [
  '',
  'a',
  'operator',
  'operator-1',
  'é',
  '窗口',
  '😀',
  '\u{feff}bom',
  'a\u{0}b',
  'x'.repeat(40),
  // Around the length of a vector, like in all but one byte, ASCII or not.
  ...[15, 16, 17, 31, 32, 33].flatMap((length) => [
    'x'.repeat(length),
    `${'x'.repeat(length - 1)}y`,
    `${'x'.repeat(length - 2)}é`,
    `é${'x'.repeat(length - 2)}`,
  ]),
];

function randomFrame(random: Random): Uint8Array {
  const state = new CheckpointState(
    new CheckpointId(random.pick(NAMES), random.u64(), new Date(random.u32())),
  );
  for (let i = random.below(5); i > 0; i--)
    state.setOperatorState(random.pick(NAMES), random.bytes(random.below(60)));
  for (let i = random.below(4); i > 0; i--) state.setSourceOffset(random.pick(NAMES), random.u64());
  for (let i = random.below(3); i > 0; i--) state.metadata.set(random.pick(NAMES), random.pick(NAMES));
  return encodeFrame(state, { generation: random.u64() });
}

/** Changes bytes at random and, mostly, makes the checksum right again, so that the checks behind it are reached. */
function damage(random: Random, frame: Uint8Array): Uint8Array {
  const bytes = frame.slice(0, random.chance(0.1) ? random.below(frame.length + 1) : frame.length);
  const view = new DataView(bytes.buffer);
  for (let i = random.between(1, 4); i > 0 && bytes.length >= 4; i--) {
    const at = random.below(bytes.length - 3);
    if (random.chance(0.5)) bytes[at] = random.below(256);
    else view.setUint32(at, random.pick([0, 1, 2 ** 32 - 1, 2 ** 31, random.below(200)]), true);
  }
  if (random.chance(0.9) && bytes.length >= FRAME_FOOTER_BYTES) {
    const left = bytes.length - FRAME_FOOTER_BYTES;
    const body = Math.min(left, random.chance(0.8) ? bodyLength(frame) : random.below(left + 1));
    writeFooter(bytes, view, 0, body, left - body);
  }
  return bytes;
}

function bodyLength(frame: Uint8Array): number {
  return new DataView(frame.buffer).getUint32(frame.length - FRAME_FOOTER_BYTES, true);
}

test(
  'the kernel finds in an intact frame what the codec finds',
  seeded((random) => {
    for (let round = 0; round < 2_000; round++) {
      const frame = randomFrame(random);
      expect(kernelParts(frame)).toEqual(framePartsOf(frame));
      const state = viewFrameAt(memory, place(frame), frame.length).toState();
      expect(state).toEqual(decodeFrame(frame));
    }
  }),
);

test(
  'the kernel refuses exactly the bytes that the codec refuses, and reads nothing outside of them',
  seeded((random) => {
    let intact = 0;
    let frame = randomFrame(random);
    for (let round = 0; round < FUZZ_ROUNDS; round++) {
      if (random.chance(0.5)) frame = randomFrame(random);
      if (random.chance(0.3)) {
        // Met twice in a row, its layout is known, and damaged bytes as long as it are held against that.
        for (let i = 0; i < 2; i++) expect(kernelParts(frame)).toEqual(framePartsOf(frame));
      }
      const bytes = damage(random, frame);
      const expected = codecParts(bytes);
      if (expected !== undefined) intact++;
      expect(kernelParts(bytes), Buffer.from(bytes).toString('hex')).toEqual(expected);
    }
    // Both outcomes are reached, or else the test shows little.
    expect(intact).toBeGreaterThan(FUZZ_ROUNDS / 60);
    expect(intact).toBeLessThan(FUZZ_ROUNDS * 0.85);
  }),
  120_000,
);

test('the kernel and the codec agree on every body of the seed format', () => {
  const lines = readFileSync(new URL('../golden/seed-format.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  expect(lines).toHaveLength(136);
  for (const line of lines) {
    const { name, bytes } = JSON.parse(line) as { name: string; bytes: string };
    const body = Buffer.from(bytes, 'hex');
    expect(kernel.index(place(body), body.length, frames.knownLayout) !== 0, name).toBe(isCanonical(body));
  }
});

test('a view of a damaged frame in the memory says what is wrong', () => {
  const frame = encodeFrame(new CheckpointState(new CheckpointId('s', 1)));
  frame[3] = 1;
  expect(() => viewFrameAt(memory, place(frame), frame.length)).toThrow(/checksum/);
});
