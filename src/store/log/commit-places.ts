/**
 * Where the COMMIT records of this session lie, by segment, so that compaction finds those it needs without reading what
 * lies between: a segment is mostly dead when its turn comes, and its pages have long left the system's cache.
 *
 * Three numbers a commit, which is nothing beside commits of some size. Of small ones there may be millions, so a segment
 * that is full of them is not told of; to go through it takes no more reading than its records would.
 */
import { HEADER_REGION_BYTES } from './layout.ts';

/** Commits of a segment are kept while they have so many bytes on average. */
const COMMIT_BYTES_LEAST = 32 * 1024;
/** Commits of any segment that are kept, however small. */
const COMMITS_LEAST = 64;

export interface CommitPlace {
  readonly number: number;
  /** Of its COMMIT record, and where that ends. */
  readonly recordAt: number;
  readonly end: number;
}

/** The commits of one segment from `from` on, ascending. */
interface SegmentPlaces {
  readonly from: number;
  readonly places: CommitPlace[];
}

export class CommitPlaces {
  private readonly bySegment = new Map<number, SegmentPlaces>();

  /** `head` is the segment that has been appended to up to `appendAt` before this session. */
  constructor(head: { readonly id: number; readonly appendAt: number } | undefined) {
    if (head !== undefined) this.bySegment.set(head.id, { from: head.appendAt, places: [] });
  }

  /** A segment is put to use: what is known of its last lap counts no more. */
  begin(segment: number): void {
    this.bySegment.set(segment, { from: HEADER_REGION_BYTES, places: [] });
  }

  note(segment: number, place: CommitPlace): void {
    const known = this.bySegment.get(segment);
    if (known === undefined) return;
    known.places.push(place);
    const { length } = known.places;
    if (length > COMMITS_LEAST && place.end < length * COMMIT_BYTES_LEAST) this.bySegment.delete(segment);
  }

  forget(segment: number): void {
    this.bySegment.delete(segment);
  }

  /** Where the commits of `segment` are known from on; undefined: none are. */
  knownFrom(segment: number): number | undefined {
    return this.bySegment.get(segment)?.from;
  }

  /** The commit that the record at `position` belongs to, which is not before what is known. */
  at(segment: number, position: number): CommitPlace | undefined {
    const places = this.bySegment.get(segment)?.places ?? [];
    let low = 0;
    let high = places.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((places[middle] as CommitPlace).end <= position) low = middle + 1;
      else high = middle;
    }
    return places[low];
  }
}
