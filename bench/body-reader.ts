/**
 * Ways to read a body where it lies: the whole of it is validated, one operator and one offset are read.
 * The `view-body` cases take as many as there are; each is a subject under its own name.
 */
import { indexBody } from '../src/codec/body.ts';
import { compareBytes, type TextRange, viewOf } from '../src/codec/cursor.ts';
import { encodeUtf8 } from '../src/codec/utf8.ts';
import { CheckpointView } from '../src/codec/view.ts';
import type { LiveStreams } from './live-stream.ts';
import { versionAt } from './shapes.ts';

export interface ReadParts {
  readonly operator: Uint8Array | undefined;
  readonly offset: bigint | undefined;
}

export interface BodyReader {
  readonly subject: string;
  /** What reads the body that call number `turn` works on. */
  prepare(
    live: LiveStreams,
    names: { readonly operator: string; readonly source: string },
  ): (turn: number) => ReadParts;
}

/**
 * As the engine views a frame, but that it is checked by its form alone: a body has no checksum. All versions are laid
 * out alike, as the checkpoints of a stream of slots are.
 */
export const kernelReader: BodyReader = {
  subject: 'tidemark',
  prepare(live, names) {
    const { frames, kernel } = live.memory;
    const { bodyBytes } = live;
    return (turn) => {
      const start = live.versionAt(turn).stream.image;
      const sourcesAt = kernel.index(start, bodyBytes, frames.knownLayout);
      if (sourcesAt === 0) throw new Error('tidemark: the body is damaged');
      // Without a frame around it: nobody asks for the extension's parts.
      const body = new CheckpointView(frames, start, bodyBytes, sourcesAt, bodyBytes, frames.checkedLayout);
      return { operator: body.operator(names.operator), offset: body.sourceOffset(names.source) };
    };
  },
};

/** The same, as if no body were laid out as the one before. Written out: what both called would be compiled for both. */
export const changingLayoutReader: BodyReader = {
  subject: 'tidemark-changing-layout',
  prepare(live, names) {
    const { frames, kernel } = live.memory;
    const { bodyBytes } = live;
    return (turn) => {
      frames.forgetLayout();
      const start = live.versionAt(turn).stream.image;
      const sourcesAt = kernel.index(start, bodyBytes, frames.knownLayout);
      if (sourcesAt === 0) throw new Error('tidemark-changing-layout: the body is damaged');
      const body = new CheckpointView(frames, start, bodyBytes, sourcesAt, bodyBytes, frames.checkedLayout);
      return { operator: body.operator(names.operator), offset: body.sourceOffset(names.source) };
    };
  },
};

/** Over bytes of its own, as the codec serves those that are not in an engine's memory. */
export const typescriptReader: BodyReader = {
  subject: 'tidemark-typescript',
  prepare({ memory, versions, bodyBytes }, names) {
    const bodies = versions.map(({ stream }) => memory.u8.slice(stream.image, stream.image + bodyBytes));
    return (turn) => {
      const body = versionAt(bodies, turn);
      const index = indexBody(body);
      const operator = find(body, index.operators, names.operator);
      const source = find(body, index.sources, names.source);
      return {
        operator: operator && body.subarray(operator.stateStart, operator.stateEnd),
        offset: source && viewOf(body).getBigUint64(source.offsetAt, true),
      };
    };
  },
};

/** The one of `ranges`, which ascend, whose name is `name`. */
function find<Range extends { readonly name: TextRange }>(
  body: Uint8Array,
  ranges: readonly Range[],
  name: string,
): Range | undefined {
  const key = encodeUtf8(name, 'name');
  const keyRange = { start: 0, end: key.length };
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle] as Range;
    const order = compareBytes(body, range.name, key, keyRange);
    if (order === 0) return range;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}
