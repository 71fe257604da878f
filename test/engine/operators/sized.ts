/** A slot of as many bytes as the stream's name says before its first dash: every event fills it with its payload's first byte. */
import type { Operator } from '../../../src/index.ts';

export default (stream: string): readonly Operator[] => [
  {
    kind: 'slot',
    name: 'sized',
    version: 1,
    bytes: Number.parseInt(stream, 10),
    process({ payload }, { bytes }) {
      bytes.fill(payload[0] ?? 0);
    },
  },
];
