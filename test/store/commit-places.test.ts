/** Where COMMIT records lie, as far as that is worth knowing. */
import { expect, test } from 'vitest';
import { CommitPlaces } from '../../src/store/log/commit-places.ts';
import { HEADER_REGION_BYTES } from '../../src/store/log/layout.ts';

const KIB = 1024;

/** Notes `count` commits of `bytes`, one behind the other. */
function fill(places: CommitPlaces, segment: number, { count, bytes }: { count: number; bytes: number }) {
  let at = places.knownFrom(segment) ?? 0;
  return Array.from({ length: count }, (_, i) => {
    const place = { number: i + 1, recordAt: at + bytes - 512, end: at + bytes };
    places.note(segment, place);
    at += bytes;
    return place;
  });
}

test('the commit of a record is the one whose end comes next', () => {
  const places = new CommitPlaces(undefined);
  places.begin(7);
  expect(places.knownFrom(7)).toBe(HEADER_REGION_BYTES);
  const noted = fill(places, 7, { count: 20, bytes: 64 * KIB });
  for (const [i, place] of noted.entries()) {
    const start = HEADER_REGION_BYTES + i * 64 * KIB;
    expect(places.at(7, start)).toEqual(place);
    expect(places.at(7, place.recordAt)).toEqual(place);
    expect(places.at(7, place.end - 1)).toEqual(place);
  }
  expect(places.at(7, (noted.at(-1)?.end ?? 0) + 1)).toBeUndefined();
  expect(places.at(8, 0)).toBeUndefined();
});

test('of a head that was there before, what is behind its end is known', () => {
  const places = new CommitPlaces({ id: 3, appendAt: 100 * KIB });
  expect(places.knownFrom(3)).toBe(100 * KIB);
  const [first] = fill(places, 3, { count: 2, bytes: 64 * KIB });
  expect(places.at(3, 100 * KIB)).toEqual(first);
});

test('a segment that is put to use again starts anew, and one that is freed is not known', () => {
  const places = new CommitPlaces(undefined);
  places.begin(1);
  fill(places, 1, { count: 3, bytes: 64 * KIB });
  places.begin(1);
  expect(places.at(1, HEADER_REGION_BYTES)).toBeUndefined();
  places.forget(1);
  expect(places.knownFrom(1)).toBeUndefined();
  fill(places, 1, { count: 3, bytes: 64 * KIB });
  expect(places.at(1, 0)).toBeUndefined();
});

test('many small commits are not worth it, a few are', () => {
  const places = new CommitPlaces(undefined);
  for (const segment of [1, 2, 3]) places.begin(segment);
  fill(places, 1, { count: 64, bytes: KIB });
  expect(places.knownFrom(1)).toBe(HEADER_REGION_BYTES);
  fill(places, 2, { count: 65, bytes: KIB });
  expect(places.knownFrom(2)).toBeUndefined();
  fill(places, 3, { count: 1_000, bytes: 33 * KIB });
  expect(places.knownFrom(3)).toBe(HEADER_REGION_BYTES);
});
