/**
 * Ways to read a body where it lies: the whole of it is validated, one operator and one offset are read.
 * The `view-body` cases take as many as there are; each is a subject under its own name.
 */
import { indexBody } from '../src/codec/body.ts';
import { compareBytes, type TextRange, viewOf } from '../src/codec/cursor.ts';
import { encodeUtf8 } from '../src/codec/utf8.ts';

export interface ReadParts {
  readonly operator: Uint8Array | undefined;
  readonly offset: bigint | undefined;
}

export interface BodyReader {
  readonly subject: string;
  /** Makes what reads `body`, of which successive versions are read in turn; not measured. */
  prepare(body: Uint8Array, names: { readonly operator: string; readonly source: string }): () => ReadParts;
}

export const typescriptReader: BodyReader = {
  subject: 'tidemark-typescript',
  prepare: (body, names) => () => {
    const index = indexBody(body);
    const operator = find(body, index.operators, names.operator);
    const source = find(body, index.sources, names.source);
    return {
      operator: operator && body.subarray(operator.stateStart, operator.stateEnd),
      offset: source && viewOf(body).getBigUint64(source.offsetAt, true),
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
