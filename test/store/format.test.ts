/** The bytes of FORMAT.md, spelled out: a change here is a change of the format. */
import { describe, expect, test } from 'vitest';
import { xxh64 } from '../../src/codec/xxh64.ts';
import { parseSegmentFileName, segmentFileName } from '../../src/store/log/layout.ts';
import { frameOf } from './support/frames.ts';
import { DIRECTORY, openOn } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const SEGMENT = `${DIRECTORY}/segment-00000001.log`;

function filledDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  const { store } = openOn(disk, { perStream: 5 });
  const frames = [frameOf('a', 1), frameOf('bb', 2)];
  store.commit({
    frames,
    frontiers: new Map([
      ['z', 9n],
      ['é', 3n],
      ['y', 7n],
    ]),
    generation: 1n,
  });
  store.commit({ frames: [], frontiers: new Map([['z', 10n]]), generation: 1n });
  store.forget('bb');
  store.deleteBefore('a', 2n);
  store.close();
  return disk;
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return new TextDecoder('latin1').decode(bytes.subarray(start, end));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

describe('the superblock', () => {
  test('has two slots with all fields in their first sector', () => {
    const bytes = filledDisk().bytesOf(`${DIRECTORY}/SUPERBLOCK`);
    expect(bytes).toHaveLength(8192);
    // Made with counters 1 and 2, then written by the opening and by the close.
    const fields = [0, 4096].map((at) => {
      const view = viewOf(bytes.subarray(at, at + 4096));
      expect(text(bytes, at, at + 8)).toBe('TDMKSUPR');
      expect(view.getUint32(8, true)).toBe(1);
      expect(view.getUint32(12, true)).toBe(5);
      expect(bytes.subarray(at + 16, at + 32)).toEqual(new Uint8Array(16).fill(7));
      expect(view.getBigUint64(504, true)).toBe(xxh64(bytes, at, at + 504));
      expect(bytes.subarray(at + 88, at + 504).every((byte) => byte === 0)).toBe(true);
      expect(bytes.subarray(at + 512, at + 4096).every((byte) => byte === 0)).toBe(true);
      return [32, 40, 48, 56, 64, 72, 80].map((field) => Number(view.getBigUint64(field, true)));
    });
    expect(fields).toEqual([
      [3, 1, 0, 0, 0, 4_194_304, 0],
      [4, 1, 4, 0, 0, 4_194_304, 4096 + 5 * 512],
    ]);
  });
});

describe('a segment', () => {
  test('has two equal copies of its header', () => {
    const bytes = filledDisk().bytesOf(SEGMENT);
    expect(bytes).toHaveLength(262_144);
    expect(bytes.subarray(0, 2048)).toEqual(bytes.subarray(2048, 4096));
    const view = viewOf(bytes);
    expect(text(bytes, 0, 8)).toBe('TDMKSEGM');
    expect(view.getUint32(8, true)).toBe(1);
    expect(bytes.subarray(16, 32)).toEqual(new Uint8Array(16).fill(7));
    const fields = [32, 40, 48, 56, 64].map((field) => Number(view.getBigUint64(field, true)));
    expect(fields).toEqual([1, 262_144, 1, 1, 1]);
    expect(view.getBigUint64(504, true)).toBe(xxh64(bytes, 0, 504));
  });

  test('has a name that says its number and nothing else', () => {
    expect(segmentFileName(1)).toBe('segment-00000001.log');
    expect(segmentFileName(123_456_789)).toBe('segment-123456789.log');
    for (const id of [0, 1, 99_999_999, 123_456_789]) {
      expect(parseSegmentFileName(segmentFileName(id))).toEqual({ id, temporary: false });
    }
    expect(parseSegmentFileName('segment-00000002.tmp')).toEqual({ id: 2, temporary: true });
    for (const name of [
      'segment-1.log',
      'segment-000000001.log',
      'segment-0000000x.log',
      'segment-00000001.log2',
    ]) {
      expect(parseSegmentFileName(name)).toBeUndefined();
    }
  });
});

describe('a commit', () => {
  const bytes = filledDisk().bytesOf(SEGMENT);
  const view = viewOf(bytes);

  function header(at: number): Record<string, number | string> {
    expect(view.getBigUint64(at + 56, true)).toBe(xxh64(bytes, at, at + 56));
    const [lap, commit, origin, generation] = [16, 24, 32, 40].map((field) =>
      Number(view.getBigUint64(at + field, true)),
    ) as [number, number, number, number];
    const length = view.getUint32(at + 8, true);
    const [kind, flags, index] = [bytes[at + 4], bytes[at + 5], view.getUint32(at + 12, true)] as [
      number,
      number,
      number,
    ];
    return { magic: text(bytes, at, at + 4), kind, flags, length, index, lap, commit, origin, generation };
  }

  const first = frameOf('a', 1).bytes;
  const second = frameOf('bb', 2).bytes;
  const secondAt = 4096 + 64 + Math.ceil(first.length / 64) * 64;
  const commitAt = secondAt + 64 + Math.ceil(second.length / 64) * 64;

  test('begins with its frames, each behind a header', () => {
    const common = { magic: 'TREC', kind: 1, flags: 0, lap: 1, commit: 1, origin: 1, generation: 1 };
    expect(header(4096)).toEqual({ ...common, length: first.length, index: 0 });
    expect(header(secondAt)).toEqual({ ...common, length: second.length, index: 1 });
    expect(bytes.subarray(4096 + 64, 4096 + 64 + first.length)).toEqual(first);
    // The payload checksum is the one in the frame's footer.
    expect(bytes.subarray(4096 + 48, 4096 + 56)).toEqual(first.subarray(-16, -8));
    expect(bytes.subarray(secondAt + 64, secondAt + 64 + second.length)).toEqual(second);
  });

  test('ends with its COMMIT record, which says what it holds', () => {
    const length = view.getUint32(commitAt + 8, true);
    const common = { magic: 'TREC', flags: 0, lap: 1, commit: 1, origin: 1, generation: 1 };
    expect(header(commitAt)).toEqual({ ...common, kind: 2, length, index: 2 });
    const start = commitAt + 64;
    expect(view.getBigUint64(commitAt + 48, true)).toBe(xxh64(bytes, start, start + length));
    const numbers = [0, 8, 16, 24].map((field) => view.getBigUint64(start + field, true));
    expect(numbers).toEqual([1_700_000_000_000_000_000n, 1n, 0n, 0n]);
    const checksums = new Uint8Array([
      ...bytes.subarray(4096 + 56, 4096 + 64),
      ...bytes.subarray(secondAt + 56, secondAt + 64),
    ]);
    expect(view.getBigUint64(start + 32, true)).toBe(xxh64(checksums));
    expect([40, 44, 48, 52].map((field) => view.getUint32(start + field, true))).toEqual([2, 3, 0, 0]);
    const body = [...bytes.subarray(start + 56, start + length)];
    const u64 = (value: number) => [value, 0, 0, 0, 0, 0, 0, 0];
    const str = (...utf8: number[]) => [utf8.length, 0, 0, 0, ...utf8];
    expect(body).toEqual([
      ...u64(1),
      ...str(97),
      ...u64(2),
      ...str(98, 98),
      ...u64(7),
      ...str(121),
      ...u64(9),
      ...str(122),
      ...u64(3),
      ...str(0xc3, 0xa9),
    ]);
  });

  test('begins on a sector and is padded to one with zeros', () => {
    const end = commitAt + 64 + view.getUint32(commitAt + 8, true);
    const next = Math.ceil(end / 512) * 512;
    expect(bytes.subarray(end, next).every((byte) => byte === 0)).toBe(true);
    expect(header(next)).toMatchObject({ kind: 2, commit: 2, index: 0 });
  });

  test('of a removal has tombstones and says so in its header', () => {
    const at = [...Array(20).keys()]
      .map((i) => 4096 + 512 * i)
      .find((place) => bytes[place + 5] === 1) as number;
    expect(header(at)).toMatchObject({ kind: 2, flags: 1, commit: 3, index: 0 });
    const length = view.getUint32(at + 8, true);
    const tombstone = at + 64 + length - (8 + 8 + 4 + 4 + 2);
    expect(view.getBigUint64(tombstone, true)).toBe(2n);
    expect(view.getUint32(tombstone + 16, true)).toBe(1);
    expect(text(bytes, tombstone + 24, tombstone + 26)).toBe('bb');
    const next = at + 512;
    expect(header(next)).toMatchObject({ flags: 1, commit: 4 });
    const below = next + 64 + view.getUint32(next + 8, true) - (8 + 8 + 4 + 4 + 1);
    expect(view.getBigUint64(below + 8, true)).toBe(2n);
    expect(view.getUint32(below + 16, true)).toBe(0);
  });
});

describe('an INDEX record', () => {
  function indexedDisk(): { disk: SimulatedDisk; bytes: Uint8Array; view: DataView } {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    const frames = [frameOf('a', 1), frameOf('bb', 2)];
    const frontiers = new Map([['z', 9n]]);
    store.commit({ frames, frontiers, generation: 1n });
    store.forget('nobody');
    store.forget('a');
    store.close();
    const bytes = disk.bytesOf(SEGMENT);
    return { disk, bytes, view: viewOf(bytes) };
  }

  test('says what lives in the segment, behind its last commit', () => {
    const { bytes, view } = indexedDisk();
    const at = [...Array(40).keys()]
      .map((i) => 4096 + 512 * i)
      .find((sector) => text(bytes, sector, sector + 4) === 'TREC' && bytes[sector + 4] === 3) as number;
    expect(view.getUint32(at + 12, true)).toBe(1);
    expect([16, 24, 32, 40].map((field) => Number(view.getBigUint64(at + field, true)))).toEqual([
      1, 2, 2, 1,
    ]);
    const length = view.getUint32(at + 8, true);
    const payload = at + 64;
    expect(view.getBigUint64(at + 48, true)).toBe(xxh64(bytes, payload, payload + length));
    expect(view.getBigUint64(at + 56, true)).toBe(xxh64(bytes, at, at + 56));
    // Last commit, end, tail lap, settled commit, carry commit.
    const fixed = [0, 8, 16, 24, 32].map((field) => Number(view.getBigUint64(payload + field, true)));
    expect(fixed).toEqual([2, at, 1, 0, 0]);
    // Streams, frontiers, tombstones, bytes of an entry.
    expect([40, 44, 48, 52].map((field) => view.getUint32(payload + field, true))).toEqual([1, 1, 1, 32]);
    const tombstone = payload + 56 + 8 + 4 + 1;
    const stream = tombstone + 8 + 8 + 4 + 4 + 1;
    expect(view.getUint32(stream, true)).toBe(1);
    expect(text(bytes, stream + 8, stream + 10)).toBe('bb');
    const entry = stream + 10;
    expect([0, 8, 16].map((field) => Number(view.getBigUint64(entry + field, true)))).toEqual([2, 1, 1]);
    const position = 64 * view.getUint32(entry + 24, true);
    expect(view.getUint32(position + 12, true)).toBe(1);
    expect(view.getUint32(entry + 28, true)).toBe(frameOf('bb', 2).bytes.length);
    expect(payload + length).toBe(entry + 32);
  });

  test('is written over by the next commit and found by none who scan', () => {
    const { disk } = indexedDisk();
    const log = openOn(disk);
    // The opening said that the directory is open, so the index does not count from here on.
    expect([...openOn(disk.copy()).store.streams()]).toEqual(['bb']);
    log.store.commit({ frames: [frameOf('c', 1)], frontiers: new Map(), generation: log.generation });
    const after = openOn(disk.copy());
    expect(after.damage).toEqual([]);
    expect([...after.store.streams()].sort()).toEqual(['bb', 'c']);
    expect(after.frontiers).toEqual(new Map([['z', 9n]]));
  });

  test('of a sealed segment is where the header of the next one says', () => {
    const disk = new SimulatedDisk();
    const { store } = openOn(disk);
    for (let i = 1; disk.list(DIRECTORY)?.includes('segment-00000002.log') !== true; i++) {
      store.commit({
        frames: [frameOf(`s${i}`, 1, { stateBytes: 40_000 })],
        frontiers: new Map(),
        generation: 1n,
      });
    }
    const header = viewOf(disk.bytesOf(`${DIRECTORY}/segment-00000002.log`));
    const at = Number(header.getBigUint64(72, true));
    const bytes = disk.bytesOf(SEGMENT);
    expect(text(bytes, at, at + 4)).toBe('TREC');
    expect(bytes[at + 4]).toBe(3);
    expect(Number(viewOf(bytes).getBigUint64(at + 24, true))).toBe(Number(header.getBigUint64(56, true)) - 1);
  });
});
