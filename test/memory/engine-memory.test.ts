import { expect, test } from 'vitest';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { PAGE_BYTES } from '../../src/memory/size-classes.ts';
import { seeded } from '../support/random.ts';

const memory = EngineMemory.reserve(1 << 17);

test(
  'bytes are copied in whole, whatever their length and alignment, and nothing beside them is touched',
  seeded((random) => {
    const lengths = [
      0,
      1,
      7,
      63,
      64,
      65,
      255,
      PAGE_BYTES - 9,
      PAGE_BYTES - 8,
      PAGE_BYTES,
      3 * PAGE_BYTES + 5,
    ];
    for (const length of lengths) {
      for (let alignment = 0; alignment < 64; alignment++) {
        const from = random.bytes(length + 8).subarray(alignment & 7, (alignment & 7) + length);
        const to = 65_536 + (alignment >>> 3);
        memory.u8.fill(0xa5, to - 8, to + length + 8);
        memory.copyIn(from, to);
        const around = memory.u8.slice(to - 8, to + length + 8);
        expect(Buffer.from(around.subarray(8, 8 + length)).equals(from)).toBe(true);
        expect([...around.subarray(0, 8), ...around.subarray(8 + length)]).toEqual(new Array(16).fill(0xa5));
      }
    }
  }),
);
