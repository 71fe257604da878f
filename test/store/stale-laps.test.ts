/**
 * Crash: writes of the newest lap of a segment are lost, and what an earlier lap left there stands in their place: whole
 * records, every checksum right. Believing them would bring back what was removed long ago, or take an old place for
 * the new one. They are told by the lap in their headers, and by numbers of commits that came before the segment's first.
 */
import { describe, expect, test } from 'vitest';
import { verifyFrame } from '../../src/codec/frame.ts';
import { viewOf } from '../../src/store/log/layout.ts';
import type { OpenedLog } from '../../src/store/log/open-log.ts';
import { decodeRecordHeader, finishRecordHeader, RECORD_HEADER_BYTES } from '../../src/store/log/record.ts';
import { decodeSegmentHeaders } from '../../src/store/log/segment-header.ts';
import { frameOf } from './support/frames.ts';
import { DIRECTORY, MIB, newestOf, openOn, segmentFiles } from './support/log.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const OPTIONS = { diskBytes: MIB, perStream: 1 };
const RECORDS_AT = 4096;

function commit(
  { store, generation }: OpenedLog,
  sequence: number,
  stream: string,
  stateBytes: number,
): void {
  const frontiers = new Map([['s', BigInt(sequence)]]);
  store.commit({ frames: [frameOf(stream, sequence, { stateBytes })], frontiers, generation });
}

interface Recycled {
  readonly disk: SimulatedDisk;
  /** The segment that has just been used again, and its records of the lap before. */
  readonly file: string;
  readonly earlier: Uint8Array;
  readonly newest: bigint;
}

/** The first segment, full of commits of a stream that is forgotten, has its second lap with one commit in it. */
function recycled(): Recycled {
  const disk = new SimulatedDisk();
  const log = openOn(disk, OPTIONS);
  const file = (): string => segmentFiles(disk)[0] as string;
  for (let i = 1; i <= 10; i++) commit(log, i, 'forgotten', 5000);
  log.store.forget('forgotten');
  const lap = (): number | undefined =>
    decodeSegmentHeaders(disk.bytesOf(file()).subarray(0, RECORDS_AT)).header?.lap;
  let earlier = new Uint8Array();
  let newest = 10;
  while (lap() === 1) {
    earlier = disk.bytesOf(file()).slice(RECORDS_AT);
    newest += 1;
    commit(log, newest, 'a', 5000);
  }
  return { disk: disk.copy(), file: file(), earlier, newest: BigInt(newest) };
}

describe('a scan that meets records of an earlier lap', () => {
  test('behind those of the new one passes over them', () => {
    const { disk, newest } = recycled();
    const log = openOn(disk, OPTIONS);
    expect(newestOf(log)).toEqual(new Map([['a', newest]]));
    expect(log.frontiers).toEqual(new Map([['s', newest]]));
    expect(log.damage).toEqual([]);
  });

  test('in place of all records of the new one believes none of them', () => {
    const { disk, file, earlier, newest } = recycled();
    disk.bytesOf(file).set(earlier, RECORDS_AT);
    const log = openOn(disk, OPTIONS);
    expect(newestOf(log)).toEqual(new Map([['a', newest - 1n]]));
    expect(log.frontiers).toEqual(new Map([['s', newest - 1n]]));
  });

  test('in a segment that lost both copies of its header believes those of its last lap only', () => {
    const { disk, file, newest } = recycled();
    disk.bytesOf(file).fill(0, 0, RECORDS_AT);
    const log = openOn(disk, OPTIONS);
    expect(newestOf(log)).toEqual(new Map([['a', newest]]));
    expect(log.damage.map(({ kind }) => kind)).toEqual(['segment-header']);
  });
});

describe('an index that points to where a frame of an earlier lap still stands', () => {
  /** A checkpoint that compaction carried around the log; it is written at the same place lap after lap. */
  function carried(): { disk: SimulatedDisk; file: string; position: number; origin: number } {
    const disk = new SimulatedDisk();
    const log = openOn(disk, OPTIONS);
    commit(log, 1, 'kept', 3000);
    const places = new Set<string>();
    for (let sequence = 2; ; sequence++) {
      commit(log, sequence, 'a', 30_000);
      const { segment, position, origin } = log.store.newest('kept')!;
      const place = `${segment} at ${position}`;
      const file = `${DIRECTORY}/segment-${String(segment).padStart(8, '0')}.log`;
      // In this segment for the second time.
      if (places.has(place) && headerAt(disk, file, position).lap > segmentFiles(disk).length) {
        log.store.close();
        return { disk: disk.copy(), file, position, origin };
      }
      places.add(place);
      if (sequence > 2000) throw new Error('it never came to the same place again');
    }
  }

  function headerAt(disk: SimulatedDisk, file: string, position: number) {
    const bytes = disk.bytesOf(file);
    const header = decodeRecordHeader(bytes, viewOf(bytes), position, undefined);
    if (header === undefined) throw new Error(`no record at ${position} of ${file}`);
    return header;
  }

  test('is not believed, though length, sequence, origin and checksums are right', () => {
    const { disk, file, position, origin } = carried();
    const sound = openOn(disk.copy(), OPTIONS);
    expect(sound.damage).toEqual([]);
    // The write of this lap is lost: what stands there is the same checkpoint as an earlier lap had it.
    const bytes = disk.bytesOf(file);
    const header = headerAt(disk, file, position);
    const earlier = { ...header, lap: header.lap - segmentFiles(disk).length, commit: header.commit - 20 };
    finishRecordHeader(bytes, viewOf(bytes), position, earlier);
    const start = position + RECORD_HEADER_BYTES;
    expect(() => verifyFrame(bytes.subarray(start, start + header.length))).not.toThrow();
    expect(headerAt(disk, file, position)).toMatchObject({ lap: earlier.lap, origin, length: header.length });
    const log = openOn(disk, OPTIONS);
    expect(log.lost.map(({ stream }) => stream)).toEqual(['kept']);
    expect([...log.store.streams()]).toEqual(['a']);
    expect(log.frontiers, 'everything is read from the start').toEqual(new Map());
  });
});
