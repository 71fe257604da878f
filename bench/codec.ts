/**
 * The codec suite: a live state to bytes and back, for each shape, against what people would use instead
 * and against bare copying.
 *
 *   encode-body  image to body                    gather    heap operators to a whole frame
 *   encode       image to a whole frame           decode    body to a state, everything materialised
 *   view-body    body validated, one operator and one offset read
 *   view         frame verified, then the same
 *   checksum     of a frame's bytes
 */
import { runChild } from './child.ts';
import type { CodecRequest } from './codec-run.ts';
import { SHAPES } from './shapes.ts';
import type { Result, Suite } from './suite.ts';

export const suite: Suite = {
  name: 'codec',
  async *run({ isSmoke }) {
    for (const { name: shape } of SHAPES) {
      const request: CodecRequest = { shape, isSmoke };
      yield* await runChild<CodecRequest, Result[][]>(new URL('./codec-run.ts', import.meta.url), request);
    }
  },
};
